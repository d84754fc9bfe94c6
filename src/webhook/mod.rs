//! The webhook listener: verifies each webhook, and forwards those that Wonder signed to the application.
//!
//! # Layout
//!
//! * [`service`]: the service of every connection of the webhook listener.
//! * `listener`: passes a webhook through all of the following.
//! * `verifier`: verifies it, with all of the next two.
//! * `source`: the address of a webhook's sender, if known; `target`: the target that Wonder signed; both pure.
//! * `rejection`: why a webhook is answered with 401; `malformed`: the reasons of HTTP; both pure.
//! * `duplicates`: the deliveries that were acknowledged before.
//! * `paid`: whether the order in the body is paid; pure.
//! * `application`: the client of the application; `answers`: its answer as Wonder's, pure.
//! * `account`: what is logged and counted of one webhook.

mod account;
mod answers;
mod application;
mod duplicates;
mod listener;
mod malformed;
mod paid;
mod rejection;
mod source;
mod target;
mod verifier;

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tower::{Service, service_fn};

pub(crate) use self::duplicates::{Connections as RedisConnections, RedisSetupError};
use self::{
    application::Application, duplicates::Duplicates, listener::Listener, source::SourceAddresses, verifier::Verifier,
};
use crate::{
    config::Config,
    contract::Code,
    credentials::Store,
    metrics::Metrics,
    net::{admission::Admission, drain::Drain, shutdown::Shutdown},
    signing::{RequestTime, window::Window},
};

/// The parts of a webhook listener.
pub(crate) struct Parts<'a> {
    /// The accepted webhooks and the application.
    pub(crate) config: &'a Config,
    /// The webhook keys.
    pub(crate) credentials: Arc<Store>,
    /// The store of deliveries that replicas share.
    pub(crate) redis: Option<RedisConnections>,
    /// The admission limits.
    pub(crate) admission: Arc<Admission>,
    /// The metrics.
    pub(crate) metrics: &'a Metrics,
    /// The shutdown of all listeners.
    pub(crate) shutdown: Shutdown,
    /// The time of day.
    pub(crate) clock: fn() -> RequestTime,
}

/// Completes when no webhook is in flight and no connection can bring one.
pub(crate) struct InFlight(mpsc::Receiver<Infallible>);

impl InFlight {
    /// Waits for that.
    pub(crate) async fn ended(mut self) {
        // No value is ever sent.
        let _ = self.0.recv().await;
    }
}

/// Puts the service together.
pub(crate) fn service(
    parts: Parts<'_>,
) -> (
    impl Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send + Unpin + 'static>
    + Clone
    + Send
    + Sync
    + 'static
    + use<>,
    InFlight,
    Drain,
) {
    let Parts { config, credentials, redis, admission, metrics, shutdown, clock } = parts;
    let settings = &config.webhook;
    let names = config.credentials.keys().map(String::as_str);
    let reasons = rejection::Rejection::names().into_iter().chain(Code::ALL.iter().map(|code| code.as_str()));
    let metrics = metrics.webhooks(names, reasons);
    let mut duplicates = Duplicates::new(settings.remember, metrics.clone());
    if let (Some(connections), Some(redis)) = (redis, &settings.redis) {
        duplicates = duplicates.shared(connections, redis.timeout, settings.forward_timeout);
    }
    let (alive, ended) = mpsc::channel(1);
    let drain = Drain::new(shutdown);
    let verifier = Verifier {
        credentials,
        sources: SourceAddresses {
            accepted: settings.source_addresses.clone(),
            proxies: settings.trusted_proxies.clone(),
        },
        original_target: settings.original_target.clone(),
        path_prefixes: settings.path_prefixes.clone(),
        window: Window::webhook(settings.tolerance),
        metrics: metrics.clone(),
        clock,
    };
    let listener = Arc::new(Listener {
        verifier,
        applications: applications(config),
        duplicates,
        admission,
        tolerance: settings.tolerance,
        forward_timeout: settings.forward_timeout,
        metrics,
        drain: drain.clone(),
        quota: Arc::default(),
        clock,
        alive,
    });
    let service = service_fn(move |request| Box::pin(Arc::clone(&listener).answer(request).map(Ok)));
    (service, InFlight(ended), drain)
}

/// The client of each credential's application. Credentials with the same application share its client.
fn applications(config: &Config) -> BTreeMap<String, Arc<Application>> {
    let mut clients = BTreeMap::new();
    let named = config.credentials.iter().filter_map(|(name, credential)| {
        let place = config.webhook.application_of(credential)?;
        let client = clients.entry(place).or_insert_with(|| Arc::new(Application::new(place.clone())));
        Some((name.clone(), Arc::clone(client)))
    });
    named.collect()
}
