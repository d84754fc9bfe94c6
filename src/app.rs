//! Builds the sidecar from its configuration, runs it, and drains it.

mod credential_facts;
mod webhooks;

use std::{
    future::{Future, pending},
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture, OptionFuture},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    time::{sleep, timeout},
};

mod rotations;

use self::{rotations::Rotations, webhooks::WebhookListener};
use crate::{
    admin::{self, Probes, Readiness, StatusFacts, shutdown::ShutdownRequest},
    config::{Config, ListenAddress, Shutdown},
    contract::{Code, Sent},
    credentials::{self, Permits, Store, UnitError},
    files::{Reload, Watch},
    metrics::Metrics,
    net::{
        self,
        admission::{Admission, AdmissionLimits, body::BodyLimits},
        hosts::Hosts,
        intake,
        listen::Listener,
        server::{self, Allowance, ListenerSet},
        shutdown::Stage,
        tls::TlsError,
        tls_server::TlsServer,
        upstream::{Destination, UpstreamError, Upstreams},
    },
    policy::Policy,
    proxy::{self, Drain, Receipt, Rules},
    signing::RequestTime,
    telemetry::Requests,
    webhook::{self, Ledger, RedisSetupError},
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

/// Where a sidecar listens, port 0 replaced by the port that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The signing listener's addresses, at least one.
    pub listen: Vec<ListenAddress>,
    /// The admin listener.
    pub admin: SocketAddr,
    /// The webhook listener, if there is one.
    pub webhook: Option<ListenAddress>,
}

/// Why a sidecar could not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A credential cannot be used, and no file can change that.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The client cannot be set up.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The TLS of a listener cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connections to Redis cannot be set up.
    #[error(transparent)]
    Redis(#[from] RedisSetupError),
    /// A listener cannot bind its address.
    #[error("{key} {address}: {}", bind_reason(.address, .cause))]
    Bind {
        /// The configuration key that the address came from.
        key: &'static str,
        /// The address.
        address: String,
        /// The system's error.
        cause: io::Error,
    },
}

impl StartError {
    /// Whether an argument, a setting, or a file that one of them names must change. Otherwise something outside prevents the start.
    #[must_use]
    pub(crate) fn is_configuration(&self) -> bool {
        match self {
            Self::Unit(_) | Self::Upstream(_) | Self::Tls(_) | Self::Redis(_) => true,
            Self::Bind { .. } => false,
        }
    }
}

/// Why a listener cannot bind its address, and the remedy.
pub(crate) fn bind_reason(address: &str, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse if address.starts_with("unix:") => {
            "the socket is taken; stop the other program or choose another file".to_owned()
        }
        io::ErrorKind::PermissionDenied if address.starts_with("unix:") => {
            "not permitted; this user must be able to create files in the socket's directory, and to connect to an existing socket"
                .to_owned()
        }
        io::ErrorKind::NotFound if address.starts_with("unix:") => "the socket's directory does not exist".to_owned(),
        io::ErrorKind::AddrInUse => "the port is taken; stop the other program or choose another port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted; ports below 1024 need a privilege".to_owned(),
        _ => cause.to_string(),
    }
}

impl App {
    /// Loads keys and binds all listeners.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let reasons: Vec<&'static str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let metrics = Metrics::new(&reasons);
        let credentials = Arc::new(Store::new(config.credentials.keys()));
        let destination = Destination::new(&config.upstream, &config.limits, &config.timeouts);
        let origins = config.credentials.iter().map(|(name, credential)| (name.as_str(), &credential.origin));
        let upstreams = Upstreams::new(&destination, origins, &metrics)?;
        let rotations = Rotations::new(&config, &credentials, &upstreams, &metrics);
        rotations.prove_first(&credentials);
        let permits = Arc::new(Permits::new(Handle::current().metrics().num_workers(), config.timeouts.sign));
        let mut watched =
            credentials::load(&config.credentials, &permits, &credentials, &metrics, &rotations.notified())?;
        let tls = config.listen.tls.as_ref().map(|tls| TlsServer::load(tls, &metrics).map(Arc::new)).transpose()?;
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

    /// Has files with credentials and certificates read again at once.
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
        let drain = Drain::new(shutdown.clone(), metrics.clone());
        let admission = Arc::new(Admission::new(admission_limits(&config), metrics.clone()));
        let mut proved = credentials.proved();
        let proved = async move { drop(proved.wait_for(|proved| *proved).await) };
        let webhooks = webhook.map(|listener| listener.serve(&config, Arc::clone(&credentials), &metrics, &shutdown));
        let (ledger, webhooks) = webhooks.unzip();
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
            clock: now,
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
            let webhooks_in_flight = ledger.as_ref().map(Ledger::in_flight);
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
        log_receipt(&receipt, ledger.as_ref().map(Ledger::receipt));
        receipt
    }
}

/// How many connections may wait to be accepted.
fn backlog(config: &Config) -> u32 {
    u32::try_from(config.limits.connections).unwrap_or(u32::MAX)
}

/// How many connections a listener accepts, and what their heads may be.
fn allowance(config: &Config) -> Allowance {
    Allowance {
        connections: config.limits.connections,
        intake: intake::IntakeLimits {
            headers: config.limits.headers,
            header_bytes: config.limits.header_bytes,
            head: config.timeouts.request_head,
            idle: config.timeouts.idle,
        },
    }
}

fn admission_limits(config: &Config) -> AdmissionLimits {
    let (limits, timeouts) = (config.limits, config.timeouts);
    AdmissionLimits {
        requests: limits.requests_in_flight,
        queue: timeouts.queue,
        body: BodyLimits { size: limits.body, size_key: "limits.body", time: timeouts.body },
        buffered: limits.buffered,
    }
}

/// Logs which credentials it has, where the sidecar listens, and that it is ready as soon as it is.
fn announce(config: &Config, addresses: &Addresses, credentials: &Arc<Store>) {
    let listen: Vec<String> = addresses.listen.iter().map(ToString::to_string).collect();
    let (listen, admin, origin) = (listen.join(","), addresses.admin, config.upstream.origin.to_string());
    let webhook = addresses.webhook.as_ref().map(ToString::to_string);
    let version = env!("CARGO_PKG_VERSION");
    for entry in credentials.entries() {
        let key = &entry.verifying_key;
        tracing::info!(credential = entry.name, app_id = %entry.app_id, %key, "credential loaded");
    }
    if credentials.is_usable() {
        tracing::info!(listen, %admin, webhook, origin, version, "ready");
        return;
    }
    tracing::warn!(listen, %admin, webhook, origin, version, "listening; not ready before every credential can sign");
    let credentials = Arc::clone(credentials);
    tokio::spawn(async move {
        credentials.wait_until_usable().await;
        tracing::info!(listen, %admin, webhook, origin, version, "ready");
    });
}

/// The hash of the configuration without its secrets: the first 8 hex digits of SHA-256 over the masked configuration. Addresses
/// are left out, because each instance may have its own.
fn fingerprint(config: &Config) -> String {
    let mut masked = config.to_masked_json();
    for listener in ["listen", "admin", "webhook"] {
        if let Some(listener) = masked[listener].as_object_mut() {
            listener.remove("address");
        }
    }
    let digest = Sha256::digest(masked.to_string());
    digest.iter().take(4).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Logs the last line, with the requests that got no response, and the webhooks that were not acknowledged, for the person on call.
fn log_receipt(receipt: &Receipt, webhooks: Option<webhook::Receipt>) {
    let Receipt { finished, cut } = receipt;
    let maybe: Vec<&str> =
        cut.iter().filter(|cut| cut.sent == Sent::Maybe).map(|cut| cut.request_id.as_str()).collect();
    let (webhooks_finished, webhooks_cut) = webhooks.map(|webhooks| (webhooks.finished, webhooks.cut)).unzip();
    let cut_webhook_ids = webhooks_cut.as_ref().filter(|cut| !cut.is_empty()).map(|cut| cut.join(","));
    let webhooks_cut = webhooks_cut.map(|cut| cut.len());
    macro_rules! line {
        ($level:ident, $message:literal $(, $field:ident = $value:expr)*) => {
            tracing::$level!(
                finished,
                cut = cut.len(),
                $($field = $value,)*
                webhooks_finished,
                webhooks_cut,
                webhooks_cut_request_ids = cut_webhook_ids,
                $message
            )
        };
    }
    match (cut.is_empty(), maybe.is_empty()) {
        (true, _) if cut_webhook_ids.is_none() => line!(info, "stopped"),
        (true, _) => line!(warn, "stopped; Wonder sends the webhooks that were cut again"),
        (false, true) => line!(warn, "stopped; the requests that were cut were not sent"),
        (false, false) => line!(
            error,
            "stopped; ask Wonder what became of the requests that may have been sent",
            maybe_sent = maybe.len(),
            maybe_sent_request_ids = maybe.join(",")
        ),
    }
}

/// The host names that callers may use: the loopback names, the bound addresses, the origin's name, and the configured names.
fn hosts(config: &Config, addresses: &Addresses) -> Hosts {
    let bound = addresses.listen.iter().chain(&config.listen.addresses).filter_map(|address| match address {
        ListenAddress::Tcp(SocketAddr::V4(address)) => Some(address.ip().to_string()),
        ListenAddress::Tcp(SocketAddr::V6(address)) => Some(format!("[{}]", address.ip())),
        ListenAddress::Unix(_) => None,
    });
    let origins = config.credentials.values().map(|credential| &credential.origin).chain([&config.upstream.origin]);
    let origins = origins.map(|origin| {
        let origin = origin.authority();
        let host = origin.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(origin, |(host, _)| host);
        host.to_owned()
    });
    Hosts::new(bound.chain(origins).chain(config.listen.allowed_hosts.iter().cloned()))
}

/// The rules on callers.
fn policy(config: &Config) -> Policy {
    let listener = config.listen.tls.as_ref().map(|tls| tls.callers.clone()).unwrap_or_default();
    let restricted =
        config.credentials.iter().filter_map(|(name, credential)| Some((name, credential.callers.clone()?)));
    restricted.fold(Policy::new(listener), |policy, (name, callers)| policy.restrict(name, callers))
}

/// The facts about this sidecar for the admin pages.
fn facts(config: &Config, credentials: &Arc<Store>, addresses: &Addresses) -> StatusFacts {
    let (credentials, masked) = (Arc::clone(credentials), config.to_masked_json());
    StatusFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // In Kubernetes this is the pod's name.
        instance: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        environment: config.upstream.environment.to_string(),
        origin: config.upstream.origin.to_string(),
        hosts: hosts(config, addresses),
        credentials: Arc::new(move || credential_facts::of(&credentials)),
        config: Arc::new(move || masked.clone()),
    }
}

fn failed(key: &'static str, address: impl ToString) -> impl FnOnce(io::Error) -> StartError {
    move |cause| StartError::Bind { key, address: address.to_string(), cause }
}

/// The time of day, for stamps. A clock before 1970 returns 1970.
fn now() -> RequestTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    RequestTime::from_unix_seconds(since.as_secs())
}
