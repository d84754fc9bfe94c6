//! Builds the sidecar from its configuration, runs it, and drains it.

mod addresses;
mod error;
mod facts;
mod own_listeners;
mod report;
mod rotations;
mod settings;
mod webhooks;

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture, OptionFuture},
};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    time::{sleep, timeout},
};

// For a listener of the simulator.
#[cfg(feature = "simulator")]
pub(crate) use self::error::bind_reason;
pub use self::{addresses::Addresses, error::StartError};
use self::{
    error::failed,
    facts::facts,
    report::{announce, log_receipt},
    rotations::Rotations,
    settings::{admission_limits, allowance, backlog, fingerprint, hosts, policy},
    webhooks::WebhookListener,
};
use crate::{
    admin::{self, Probes, Readiness, shutdown::ShutdownRequest},
    clock,
    config::{Config, Shutdown},
    contract::Code,
    credentials::{self, Permits, Store},
    files::{Reload, Watch},
    metrics::Metrics,
    net::{
        self,
        admission::Admission,
        drain::{Drain, Receipt},
        listen::Listener,
        server::{self, ListenerSet},
        shutdown::Stage,
        tls_server::{TlsFiles, TlsServer},
        upstream::{Destination, Upstreams},
    },
    proxy::{self, Rules},
    telemetry::Requests,
};

/// A sidecar whose keys are loaded and whose listeners are bound, ready to [run](Self::run).
pub struct App {
    config: Config,
    metrics: Metrics,
    requests: Requests,
    readiness: Readiness,
    credentials: Arc<Store>,
    upstreams: Upstreams,
    rotations: Rotations,
    listeners: Vec<Listener>,
    tls: Option<Arc<TlsServer>>,
    webhook: Option<WebhookListener>,
    admin: TcpListener,
    addresses: Addresses,
    watch: Watch,
    hurry: BoxFuture<'static, ()>,
}

/// How a drain begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// New connections and requests are still served for `shutdown.drain_delay`.
    AfterDelay,
    /// No caller can still send.
    AtOnce,
}

impl App {
    /// Loads keys and binds all listeners.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let reasons: Vec<&'static str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let metrics = Metrics::new(&reasons);
        let credentials = Arc::new(Store::new(config.credentials.keys(), metrics.clone()));
        let destination = Destination::new(&config.upstream, &config.limits, &config.timeouts);
        let origins = config.credentials.iter().map(|(name, credential)| (name.as_str(), &credential.origin));
        let upstreams = Upstreams::new(&destination, origins, &metrics)?;
        let rotations = Rotations::new(&config, &credentials, &upstreams, &metrics);
        rotations.prove_first(&credentials);
        let permits = Arc::new(Permits::new(Handle::current().metrics().num_workers(), config.timeouts.sign));
        let mut watched =
            credentials::load(&config.credentials, &permits, &credentials, &metrics, &rotations.notified())?;
        let tls = config
            .listen
            .tls
            .as_ref()
            .map(|tls| TlsServer::load(TlsFiles::listen(tls), &metrics).map(Arc::new))
            .transpose()?;
        watched.extend(upstreams.subjects());
        watched.extend(tls.as_ref().map(TlsServer::subject));
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        let backlog = backlog(&config);
        for address in &config.listen.addresses {
            let bound = Listener::bind(address, config.listen.socket_mode, backlog).await;
            let listener = bound.map_err(failed("listen.address", address))?;
            addresses.push(listener.address().map_err(failed("listen.address", address))?);
            listeners.push(listener);
        }
        let webhook = WebhookListener::start(&config, &metrics).await?;
        watched.extend(webhook.as_ref().and_then(WebhookListener::subject));
        let address = config.admin.address;
        let admin = TcpListener::bind(address).await.map_err(failed("admin.address", address))?;
        let addresses = Addresses {
            listen: addresses,
            admin: admin.local_addr().map_err(failed("admin.address", address))?,
            webhook: webhook.as_ref().map(WebhookListener::address).transpose()?,
        };
        own_listeners::check(&config, &addresses).await?;
        metrics.set_in_flight_limit(config.limits.requests_in_flight);
        let requests = Requests::new(&config.log);
        // From here on the system accepts connections, which wait in the listener's backlog until `run`.
        let readiness = Readiness::with_keys(credentials.proved(), credentials.usable());
        readiness.set_ready();
        let watch = Watch::new(watched);
        let hurry = Box::pin(pending());
        Ok(Self {
            config,
            metrics,
            requests,
            readiness,
            credentials,
            upstreams,
            rotations,
            listeners,
            tls,
            webhook,
            admin,
            addresses,
            watch,
            hurry,
        })
    }

    /// The metrics of this sidecar.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The bound addresses.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reads the files with credentials and certificates again at once.
    #[must_use]
    pub fn reload(&self) -> Reload {
        self.watch.reload()
    }

    /// Resolves when every credential can sign; at once where that is so from the start.
    pub(crate) fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let credentials = Arc::clone(&self.credentials);
        async move { credentials.wait_until_usable().await }
    }

    /// Adds a recorder of traces.
    #[cfg(feature = "otel")]
    #[must_use]
    pub(crate) fn recorded_by(mut self, recorder: Arc<dyn crate::telemetry::Recorder>) -> Self {
        self.requests = self.requests.recorded_by(recorder);
        self
    }

    /// Ends the drain as soon as `hurry` resolves. The requests in flight are then answered with `draining`.
    #[must_use]
    pub(crate) fn hurried_by(mut self, hurry: impl Future<Output = ()> + Send + 'static) -> Self {
        self.hurry = Box::pin(hurry);
        self
    }

    /// Serves until `stop` resolves, then drains. It is not ready from then on, and the next answer on each connection is its last.
    /// It accepts connections for `shutdown.drain_delay`, then lets the requests in flight finish for `shutdown.grace`, then answers
    /// those that are left with `draining`. Probes and metrics answer until the end.
    pub async fn run(self, stop: impl Future<Output = Stop>) -> Receipt {
        let Self {
            config,
            metrics,
            requests,
            readiness,
            credentials,
            upstreams,
            rotations,
            listeners,
            tls,
            webhook,
            admin,
            addresses,
            watch,
            hurry,
        } = self;
        metrics.set_config(config.upstream.environment.as_str(), &fingerprint(&config));
        let requested = ShutdownRequest::new();
        let (mut routes, sampler) =
            admin::router(metrics.clone(), readiness.clone(), facts(&config, &credentials, &addresses));
        if config.admin.shutdown {
            routes = routes.merge(admin::shutdown::router(requested.clone(), hosts(&config, &addresses)));
        }
        let rotators = rotations.start();
        if config.admin.rotate {
            routes = routes.merge(admin::rotate::router(rotators.clone(), hosts(&config, &addresses)));
        }
        let probes = Probes::serve(admin, routes, sampler).inspect_err(|error| {
            tracing::error!(%error, "no thread for the admin listener: no probes, no metrics");
        });
        // After the admin listener, which needs its threads more.
        let _watching = watch.start();

        announce(&config, &addresses, &credentials);
        let shutdown = net::shutdown::Shutdown::default();
        let drain = Drain::new(shutdown.clone());
        let admission = Arc::new(Admission::new(admission_limits(&config), metrics.clone()));
        let mut proved = credentials.proved();
        let proved = async move { drop(proved.wait_for(|proved| *proved).await) };
        let webhooks = webhook.map(|listener| listener.serve(&config, Arc::clone(&credentials), &metrics, &shutdown));
        let (webhook_drain, webhooks) = webhooks.unzip();
        let stack = proxy::stack(proxy::Parts {
            credentials,
            upstreams,
            metrics: metrics.clone(),
            requests,
            policy: Arc::new(policy(&config)),
            rules: Rules {
                hosts: hosts(&config, &addresses),
                browser_guard: config.listen.browser_guard,
                required_header: config.listen.required_header.clone(),
            },
            admission: Arc::clone(&admission),
            limits: config.limits,
            timeouts: config.timeouts,
            drain: drain.clone(),
            clock: clock::request_time,
        });
        let draining = async {
            let stop = tokio::select! {
                stop = stop => stop,
                // The program that requests it is the service itself, which sends no more.
                () = requested.requested() => Stop::AtOnce,
            };
            readiness.set_draining();
            metrics.set_draining(true);
            shutdown.enter(Stage::Draining);
            let Shutdown { mut drain_delay, grace } = config.shutdown;
            if stop == Stop::AtOnce {
                drain_delay = Duration::ZERO;
            }
            let webhooks_in_flight = webhook_drain.as_ref().map(Drain::in_flight);
            tracing::info!(in_flight = drain.in_flight(), webhooks_in_flight, ?drain_delay, ?grace, "draining");
            let hurry = hurry.shared();
            let _ = timeout(drain_delay, hurry.clone()).await;
            shutdown.enter(Stage::Closing);
            sleep(server::LAST_REQUESTS).await;
            let _ = timeout(grace, hurry).await;
            shutdown.enter(Stage::Over);
            admission.close();
            pending::<()>().await;
        };
        let signing = ListenerSet {
            listeners,
            tls,
            service: stack,
            admission: Arc::clone(&admission),
            allowance: allowance(&config),
        };
        tokio::select! {
            biased;
            // Connections wait in the backlog for the few seconds of a first proof, so that no request is signed with a unit that is not valid.
            _ = proved.then(|()| future::join(server::serve(signing, &shutdown, &metrics), OptionFuture::from(webhooks))) => {}
            () = draining => {}
        }
        let receipt = drain.receipt();
        drop(probes);
        log_receipt(&receipt, webhook_drain.as_ref().map(Drain::receipt));
        receipt
    }
}
