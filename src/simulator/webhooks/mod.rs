//! Webhooks: delivers the store's events to the order's own `callback_url` and to one general URL, signed with the webhook key of the
//! AppID, and attempts failed deliveries again.
//!
//! Where Wonder's documents are silent, this is decided:
//!
//! * The events of one order reach a URL in their order: the next one waits until the one before it is acknowledged or has failed.
//! * An event goes to a URL once, also where `callback_url` and the general URL are the same.
//! * A retry carries the headers of the first attempt, unless the settings say otherwise.
//!
//! # Layout
//!
//! * `callback`: URLs, and which of them known receivers cannot verify; `client`: one POST.
//! * `schedule`: when a delivery is attempted again; `history`: what became of each; `keys`: the key pairs.

mod callback;
mod client;
mod history;
mod keys;
mod schedule;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::HeaderMap;
use rand::rngs::OsRng;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

pub(super) use self::history::{Delivery, History, Outcome};
pub use self::{
    callback::{Callback, CallbackError, Caution},
    client::{Client, PostError, Reply, headers},
    schedule::{RetryCredential, RetryOn, TimeScale},
};
use self::{history::Attempt, keys::Keys, schedule::Verdict};
use super::{Clock, store::Event};
use crate::{
    config::Origin,
    signing::{self, AppId, Nonce, SigningKey, Stamp},
};

/// How many deliveries wait at most, retries included. A further one is dropped with a warning.
const WAITING: usize = 4096;
/// How many deliveries are attempted at the same time.
const AT_ONCE: usize = 32;
/// For how many URLs and hosts a warning is remembered, so that it is logged once.
const WARNED: usize = 1000;

/// Where webhooks go, and how.
#[derive(Clone, Default)]
pub struct Settings {
    /// The URL for the webhooks of all orders.
    pub url: Option<Callback>,
    /// An origin whose webhooks go to another one, which forwards them: the sidecar's webhook listener.
    pub through: Option<(Origin, Origin)>,
    /// Hosts other than loopback that webhooks may go to.
    pub allowed_hosts: Vec<String>,
    /// PEM file with root certificates for `https` URLs, in addition to the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Webhook keys. An AppID without one gets a new one.
    pub keys: Vec<(AppId, Arc<SigningKey>)>,
    /// How much faster than Wonder's the schedule of retries is.
    pub time_scale: TimeScale,
    /// Which answers lead to a retry.
    pub retry_on: RetryOn,
    /// What a retry carries.
    pub retry_credential: RetryCredential,
}

impl Settings {
    /// Whether webhooks may go to the host of this URL.
    #[must_use]
    pub fn allow(&self, to: &Callback) -> bool {
        let host = to.origin.host();
        to.origin.is_loopback() || self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// The URL that a webhook to this one is sent to. Its target, which is signed, stays.
    fn way_to(&self, to: Callback) -> Callback {
        match &self.through {
            Some((from, through)) if *from == to.origin => Callback { origin: through.clone(), ..to },
            _ => to,
        }
    }
}

/// Delivers events.
pub(super) struct Webhooks {
    settings: Settings,
    keys: Keys,
    clock: Clock,
    client: Client,
    history: Arc<History>,
    lanes: Mutex<Lanes>,
    at_once: Semaphore,
    warned: Mutex<HashSet<String>>,
}

/// The deliveries that wait, in one queue for each order and URL.
#[derive(Default)]
struct Lanes {
    queues: HashMap<Lane, VecDeque<Job>>,
    waiting: usize,
}

type Lane = (String, Callback);

/// One event for one URL.
struct Job {
    id: u64,
    app_id: AppId,
    action: &'static str,
    body: Bytes,
}

impl Webhooks {
    pub(super) fn new<'a>(settings: Settings, app_ids: impl IntoIterator<Item = &'a AppId>, clock: Clock) -> Self {
        Self {
            keys: Keys::new(app_ids, &settings.keys),
            client: Client::new(settings.ca_file.clone()),
            settings,
            clock,
            history: Arc::default(),
            lanes: Mutex::default(),
            at_once: Semaphore::new(AT_ONCE),
            warned: Mutex::default(),
        }
    }

    /// Sends the webhooks for one origin to another one, from now on.
    pub(super) fn go_through(&mut self, from: Origin, through: Origin) {
        self.settings.through = Some((from, through));
    }

    pub(super) fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    /// Takes up events until the store is gone, and delivers them.
    pub(super) async fn deliver(self: Arc<Self>, mut events: mpsc::Receiver<Event>) {
        let mut lanes = JoinSet::new();
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                Some(_) = lanes.join_next() => continue,
            };
            let Some(event) = event else { break };
            for lane in self.take_up(&event) {
                let this = Arc::clone(&self);
                lanes.spawn(async move { this.work(lane).await });
            }
        }
        while lanes.join_next().await.is_some() {}
    }

    /// Queues an event for its URLs and returns the lanes that have no task yet.
    fn take_up(&self, event: &Event) -> Vec<Lane> {
        let order_number = event.order["number"].as_str().unwrap_or_default();
        let mut to: Vec<Callback> = Vec::new();
        if let Some(text) = &event.callback_url {
            match text.parse() {
                Ok(callback) => to.push(self.settings.way_to(callback)),
                Err(reason) => {
                    self.warn_once(
                        text,
                        || tracing::warn!(%reason, "no webhook goes to a callback_url that cannot be used"),
                    );
                    let warnings = vec![format!("callback_url {reason}")];
                    let id = self.begin(event, order_number, "callback_url".to_owned(), warnings);
                    self.history.change(id, |delivery| delivery.outcome = Outcome::Refused);
                }
            }
        }
        let general = self.settings.url.clone().map(|url| self.settings.way_to(url));
        to.extend(general.filter(|url| !to.contains(url)).into_iter().collect::<Vec<_>>());
        if to.is_empty() {
            return Vec::new();
        }
        let body = Bytes::from(event.order.to_string());
        to.into_iter().filter_map(|callback| self.queue(event, order_number, callback, body.clone())).collect()
    }

    fn queue(&self, event: &Event, order_number: &str, to: Callback, body: Bytes) -> Option<Lane> {
        let refused = !self.settings.allow(&to);
        let host = to.origin.host();
        let warnings: Vec<String> = if refused {
            self.warn_once(host, || {
                tracing::warn!(host, "no webhook goes to this host; allow it with --webhook-allow");
            });
            vec![format!("{host} is not loopback and not allowed; allow it with --webhook-allow {host}")]
        } else {
            to.cautions().iter().map(ToString::to_string).collect()
        };
        if !refused && !warnings.is_empty() {
            let url = to.to_string();
            self.warn_once(&url, || {
                for warning in &warnings {
                    tracing::warn!(url, warning, "a known receiver cannot verify webhooks to this URL");
                }
            });
        }
        let id = self.begin(event, order_number, to.to_string(), warnings);
        let end = |outcome| {
            self.history.change(id, |delivery| delivery.outcome = outcome);
            None
        };
        if refused {
            return end(Outcome::Refused);
        }
        let mut lanes = self.lanes();
        if lanes.waiting >= WAITING {
            tracing::warn!(action = event.action, "webhook dropped, because too many wait for delivery");
            return end(Outcome::Dropped);
        }
        lanes.waiting += 1;
        let job = Job { id, app_id: event.app_id.clone(), action: event.action, body };
        let lane = (order_number.to_owned(), to);
        if let Some(queue) = lanes.queues.get_mut(&lane) {
            queue.push_back(job);
            return None;
        }
        lanes.queues.insert(lane.clone(), VecDeque::from([job]));
        Some(lane)
    }

    fn begin(&self, event: &Event, order_number: &str, url: String, warnings: Vec<String>) -> u64 {
        self.history.begin((self.clock)(), &event.app_id, (order_number, event.action), url, warnings)
    }

    /// Delivers what waits in a lane, one after the other, and removes the lane when it is empty.
    async fn work(&self, lane: Lane) {
        loop {
            let job = {
                let mut lanes = self.lanes();
                let Some(job) = lanes.queues.get_mut(&lane).and_then(VecDeque::pop_front) else {
                    lanes.queues.remove(&lane);
                    return;
                };
                job
            };
            self.attempt_until_done(&lane.1, &job).await;
            self.lanes().waiting -= 1;
        }
    }

    async fn attempt_until_done(&self, to: &Callback, job: &Job) {
        let mut first = None;
        for attempts in 1.. {
            let kept = first.take().filter(|_| self.settings.retry_credential == RetryCredential::First);
            let headers = match kept {
                Some(headers) => headers,
                None => match self.sign(to, job).await {
                    Some(headers) => headers,
                    None => return self.history.change(job.id, |delivery| delivery.outcome = Outcome::Failed),
                },
            };
            first = Some(headers.clone());
            let at = (self.clock)().to_string();
            let answer = {
                let _permit = self.at_once.acquire().await;
                self.client.post(to, headers, job.body.clone()).await
            };
            let verdict = match &answer {
                Ok(reply) => self.settings.retry_on.judge(reply.status.as_u16()),
                Err(_) => Verdict::Retry,
            };
            let delay = self.settings.time_scale.delay(attempts).filter(|_| verdict == Verdict::Retry);
            let (status, error) = match answer {
                Ok(reply) => (Some(reply.status.as_u16()), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let outcome = match (verdict, delay) {
                (Verdict::Acknowledged, _) => Outcome::Acknowledged,
                (Verdict::Retry, Some(_)) => Outcome::Waiting,
                (Verdict::Retry, None) | (Verdict::Final, _) => Outcome::Failed,
            };
            tracing::info!(url = %to, action = job.action, attempts, status, error, ?outcome, ?delay, "webhook");
            self.history.change(job.id, |delivery| {
                delivery.attempts.push(Attempt { at, status, error });
                delivery.outcome = outcome;
                delivery.next_attempt_in = delay.map(|delay| delay.as_secs_f64());
            });
            let Some(delay) = delay else { return };
            tokio::time::sleep(delay).await;
        }
    }

    async fn sign(&self, to: &Callback, job: &Job) -> Option<HeaderMap> {
        let key = self.keys.of(&job.app_id).await;
        let key = key.inspect_err(|error| tracing::error!(%error, "no webhook key")).ok()?;
        let stamp = Stamp { request_time: (self.clock)(), nonce: Nonce::generate(&mut OsRng) };
        let signed = signing::webhook::sign(&key, &job.app_id, &stamp, &to.target, &[&job.body]).ok()?;
        headers(&signed, Some(job.action), job.body.len()).ok()
    }

    fn warn_once(&self, about: &str, warn: impl FnOnce()) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < WARNED && warned.insert(about.to_owned()) {
            warn();
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
