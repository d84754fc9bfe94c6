//! Builds the sidecar from its configuration and runs it until told to stop.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::SystemTime};

use hyper_util::service::TowerToHyperService;
use tokio::{net::TcpListener, sync::oneshot, time::sleep};

use crate::{
    admin::{self, CredentialFact, Readiness, StatusFacts, shutdown::ShutdownRequest},
    config::Config,
    keystore::{Keystore, KeystoreError},
    metrics::Metrics,
    net::{
        respond::Code,
        server::{self, Allowance, Drained},
        upstream::{Upstream, UpstreamError},
    },
    proxy::{self, Hosts},
    signing::RequestTime,
};

/// A sidecar whose keys are loaded and whose listeners are bound, ready to [run](Self::run).
pub struct App {
    config: Config,
    metrics: Metrics,
    readiness: Readiness,
    keystore: Arc<Keystore>,
    upstream: Upstream,
    listen: TcpListener,
    admin: TcpListener,
    addresses: Addresses,
}

/// Where a sidecar listens, port 0 replaced by the port that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Addresses {
    /// The signing listener.
    pub listen: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
}

/// Why a sidecar could not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key cannot be used.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The client cannot be set up.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// An address cannot be listened on.
    #[error("{key} {address}: {}", reason(.cause))]
    Bind {
        /// The configuration key that the address came from.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

fn reason(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "the port is taken; stop the other program or choose another port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted; ports below 1024 need a privilege".to_owned(),
        _ => cause.to_string(),
    }
}

impl App {
    /// Loads keys and binds both listeners.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let keystore = Arc::new(Keystore::load(&config.credentials)?);
        let reasons: Vec<&'static str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        let metrics = Metrics::new(&reasons);
        let upstream = Upstream::new(&config.upstream, &config.timeouts, metrics.clone())?;
        let listen = bind("listen.address", config.listen.address).await?;
        let admin = bind("admin.address", config.admin.address).await?;
        let addresses = Addresses { listen: local(&listen), admin: local(&admin) };
        Ok(Self { config, metrics, readiness: Readiness::new(), keystore, upstream, listen, admin, addresses })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `shutdown` resolves, then drains: not ready at once, still accepting for `shutdown.drain_delay`,
    /// then letting requests finish for `shutdown.grace`. Probes and metrics answer until the end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Drained {
        let Self { config, metrics, readiness, keystore, upstream, listen, admin, addresses } = self;
        for entry in keystore.entries() {
            tracing::info!(
                credential = entry.name,
                app_id = %entry.app_id,
                key = %entry.key.verifying_key(),
                "credential loaded"
            );
        }
        let page = facts(&config, &keystore);
        let (stop_admin, stopped) = oneshot::channel::<()>();
        let asked = ShutdownRequest::new();
        let mut routes = admin::router(metrics.clone(), readiness.clone(), page);
        if config.admin.shutdown {
            routes = routes.merge(admin::shutdown::router(asked.clone()));
        }
        let probes = axum::serve(admin, routes.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
        let probes = tokio::spawn(probes.into_future());

        let own = [config.listen.address.ip(), addresses.listen.ip()].map(|ip| match ip {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let stack = proxy::stack(proxy::Parts {
            keystore,
            upstream,
            metrics: metrics.clone(),
            hosts: Hosts::new(own.into_iter().chain(config.listen.allowed_hosts.iter().cloned())),
            limits: config.limits,
            timeouts: config.timeouts,
            clock: now,
        });
        let allowance = Allowance {
            connections: config.limits.connections,
            headers: config.limits.headers,
            header_bytes: config.limits.header_bytes,
            request_head: config.timeouts.request_head,
        };
        tracing::info!(
            listen = %addresses.listen,
            admin = %addresses.admin,
            origin = %config.upstream.origin,
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        readiness.set_ready();
        let shutdown = async {
            tokio::select! {
                () = shutdown => {}
                () = asked.asked() => {}
            }
            readiness.set_draining();
            metrics.set_draining(true);
            tracing::info!(delay = ?config.shutdown.drain_delay, grace = ?config.shutdown.grace, "draining");
            sleep(config.shutdown.drain_delay).await;
        };
        let service = TowerToHyperService::new(stack);
        let drained = server::serve(listen, service, allowance, shutdown, config.shutdown.grace).await;
        tracing::info!(cut = drained.cut, "stopped");
        drop(stop_admin);
        probes.abort();
        drained
    }
}

/// What the admin pages tell about this sidecar.
fn facts(config: &Config, keystore: &Arc<Keystore>) -> StatusFacts {
    let (keystore, masked) = (Arc::clone(keystore), config.to_masked_json());
    StatusFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        environment: config.upstream.environment.to_string(),
        origin: config.upstream.origin.to_string(),
        credentials: Arc::new(move || {
            keystore
                .entries()
                .map(|entry| CredentialFact {
                    name: entry.name.clone(),
                    fingerprint: entry.key.verifying_key().fingerprint().to_owned(),
                    bits: entry.key.verifying_key().bits(),
                })
                .collect()
        }),
        config: Arc::new(move || masked.clone()),
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|cause| StartError::Bind { key, address, cause })
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
}

/// The time of day, for stamps. A clock before 1970 gives 1970.
fn now() -> RequestTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    RequestTime::from_unix_seconds(since.as_secs())
}
