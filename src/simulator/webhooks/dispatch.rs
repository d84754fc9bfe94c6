//! Makes a delivery of an event for each URL; `lanes` queues deliveries, `attempt` attempts one.

mod attempt;
mod lanes;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{Semaphore, mpsc, watch};

pub(crate) use self::lanes::Lane;
use self::lanes::Lanes;
use super::{
    Callback, Client, Event, Settings,
    history::{Delivery, History, Outcome, Pending},
    keys::Keys,
    probe::Sender,
};
use crate::{
    config::Origin,
    signing::AppId,
    simulator::{
        Clock,
        faults::{self, Switches, WebhookFault},
        ids::Ids,
        state::Journal,
    },
};

/// The maximum number of waiting deliveries, retries included. A further one is dropped with a warning.
const WAITING: usize = 4096;
/// The maximum number of concurrent attempts.
const AT_ONCE: usize = 32;
/// The number of URLs and hosts whose warning is remembered, so that it is logged once.
const WARNED: usize = 1000;

/// Delivers events.
pub(crate) struct Webhooks {
    settings: Settings,
    /// An origin, and the origin that receives its webhooks and forwards them: the sidecar's webhook listener.
    through: OnceLock<(Origin, Origin)>,
    keys: Keys,
    clock: Clock,
    ids: Arc<Ids>,
    faults: Arc<Switches>,
    journal: Option<Arc<Journal>>,
    client: Client,
    history: Arc<History>,
    lanes: Mutex<Lanes>,
    /// Lanes that have no task yet.
    begun: mpsc::UnboundedSender<Lane>,
    /// Changes when a delivery is queued behind others.
    arrived: watch::Sender<()>,
    /// Changes when all deliveries are deleted.
    forgotten: watch::Sender<()>,
    /// Whether events are ignored, because a seed causes them.
    silent: AtomicBool,
    at_once: Semaphore,
    warned: Mutex<HashSet<String>>,
}

/// The parts of [`Webhooks`].
pub(crate) struct Means {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) ids: Arc<Ids>,
    pub(crate) faults: Arc<Switches>,
    pub(crate) journal: Option<Arc<Journal>>,
}

impl Webhooks {
    /// [`deliver`](Self::deliver) takes the receiver of lanes.
    pub(crate) fn new(means: Means) -> (Arc<Self>, mpsc::UnboundedReceiver<Lane>) {
        let Means { settings, keys, clock, ids, faults, journal } = means;
        let (begun, lanes) = mpsc::unbounded_channel();
        let this = Self {
            client: Client::new(settings.ca_file.clone()),
            settings,
            through: OnceLock::new(),
            keys,
            clock,
            ids,
            faults,
            arrived: watch::Sender::default(),
            history: Arc::new(History::new(journal.clone())),
            journal,
            lanes: Mutex::default(),
            begun,
            forgotten: watch::Sender::default(),
            silent: AtomicBool::new(false),
            at_once: Semaphore::new(AT_ONCE),
            warned: Mutex::default(),
        };
        (Arc::new(this), lanes)
    }

    /// From now on sends the webhooks for one origin to another one.
    pub(crate) fn go_through(&self, from: Origin, through: Origin) {
        let _ = self.through.set((from, through));
    }

    /// The sender for a probe of the handler at a URL; it takes the same way as the webhooks of an AppID.
    ///
    /// # Errors
    /// The reason why no webhook is sent to the URL.
    pub(crate) async fn probe(&self, to: Callback, app_id: AppId) -> Result<Sender, String> {
        let via = self.way_to(&to);
        if !self.settings.allow(&via) {
            let host = to.origin.host();
            return Err(format!("{host} is not loopback and not allowed; allow it with --webhook-allow {host}"));
        }
        let key = self.keys.of(&app_id).await.map_err(|error| format!("webhook key: {error}"))?;
        let client = Client::new(self.settings.ca_file.clone());
        Ok(Sender { to, via, app_id, key, client, clock: Arc::clone(&self.clock) })
    }

    /// The general URL.
    pub(crate) fn url(&self) -> Option<&Callback> {
        self.settings.url.as_ref()
    }

    pub(crate) fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    /// Deletes all deliveries. An attempt in progress is not interrupted and has no effect.
    pub(crate) fn forget(&self) {
        self.history.clear();
        self.lanes().clear();
        self.forgotten.send_replace(());
    }

    /// Calls `work` and ignores the events that it causes. The caller holds the lock of the store.
    pub(crate) fn silently<T>(&self, work: impl FnOnce() -> T) -> T {
        self.silent.store(true, Ordering::Relaxed);
        let done = work();
        self.silent.store(false, Ordering::Relaxed);
        done
    }

    /// Queues an event for its URLs.
    pub(crate) fn report(&self, event: &Event<'_>) {
        if self.silent.load(Ordering::Relaxed) {
            return;
        }
        let order_number = event.order.number.to_string();
        let mut to: Vec<Callback> = Vec::new();
        if let Some(text) = event.order.draft.callback_url.as_deref() {
            match text.parse() {
                Ok(callback) => to.push(callback),
                Err(reason) => {
                    self.warn_once(
                        text,
                        || tracing::warn!(%reason, "no webhook goes to a callback_url that cannot be used"),
                    );
                    let mut delivery = self.delivery(event, &order_number, "callback_url".to_owned());
                    delivery.warnings = vec![format!("callback_url {reason}")];
                    delivery.outcome = Outcome::Refused;
                    self.history.add(delivery);
                }
            }
        }
        to.extend(self.settings.url.clone().filter(|url| !to.contains(url)));
        if to.is_empty() {
            return;
        }
        let fault = faults::of_webhook(&self.faults, event.action, event.order.app_id.as_str());
        let mut body: Option<Arc<str>> = None;
        for callback in to {
            if let Some(mut delivery) = self.admitted(event, &order_number, &callback) {
                delivery.fault = fault;
                if fault == Some(WebhookFault::Lose) {
                    delivery.outcome = Outcome::Lost;
                    self.history.add(delivery);
                    continue;
                }
                let body = body.get_or_insert_with(|| event.order.view().to_string().into());
                let url = callback.whole();
                let pending = Pending { url, body: Arc::clone(body), signed: None, due_at: None, again: false };
                let id = self.history.add(Delivery { pending: Some(pending), ..delivery });
                self.queue(id, (order_number.clone(), callback));
            }
        }
    }

    /// A delivery to a URL, if webhooks are allowed to it and the queue has room.
    fn admitted(&self, event: &Event<'_>, order_number: &str, to: &Callback) -> Option<Delivery> {
        let refused = !self.settings.allow(&self.way_to(to));
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
        let mut delivery = self.delivery(event, order_number, to.to_string());
        delivery.warnings = warnings;
        if refused {
            delivery.outcome = Outcome::Refused;
        } else if self.lanes().waiting >= WAITING {
            tracing::warn!(action = event.action, "webhook dropped, because too many wait for delivery");
            delivery.outcome = Outcome::Dropped;
        } else {
            return Some(delivery);
        }
        self.history.add(delivery);
        None
    }

    fn delivery(&self, event: &Event<'_>, order_number: &str, url: String) -> Delivery {
        Delivery {
            id: 0,
            created_at: (self.clock)().to_string(),
            app_id: event.order.app_id.to_string(),
            order_number: order_number.to_owned(),
            action: event.action,
            url,
            outcome: Outcome::Waiting,
            attempts: Vec::new(),
            next_attempt_in: None,
            warnings: Vec::new(),
            fault: None,
            pending: None,
        }
    }

    /// The URL to connect to for a webhook to this URL. The target, which is signed, stays the same.
    fn way_to(&self, to: &Callback) -> Callback {
        match self.through.get() {
            Some((from, through)) if *from == to.origin => {
                Callback { origin: through.clone(), target: to.target.clone() }
            }
            _ => to.clone(),
        }
    }

    fn warn_once(&self, about: &str, warn: impl FnOnce()) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < WARNED && warned.insert(about.to_owned()) {
            warn();
        }
    }
}
