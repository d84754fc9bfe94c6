//! Sockets: binds, accepts, serves TLS and HTTP, and shuts down on request.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::config::Origin;

use super::{
    Apps, Made, Options, Wonder,
    faults::Switches,
    ids::Ids,
    orders, router,
    seed::SeedError,
    state::{self, Journal, StateError, StateFile},
    tls::Identity,
    webhooks::{Keys, Lane, Means, Webhooks},
};

/// How many connections are served at the same time; others wait to be accepted.
const CONNECTIONS: usize = 1024;
/// The time limit for the TLS handshake, and for the arrival of a request head.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The time limit for requests in flight after the shutdown began.
const GRACE: Duration = Duration::from_secs(5);
/// The pause after accept(2) failed, which happens when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound simulator. It answers while [`run`](Self::run) is polled.
pub struct Simulator {
    apps: Apps,
    listener: TcpListener,
    address: SocketAddr,
    identity: Option<Identity>,
    router: Router,
    wonder: Arc<Wonder>,
    lanes: mpsc::UnboundedReceiver<Lane>,
    state: Option<(Arc<StateFile>, Arc<Journal>)>,
}

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] io::Error),
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The seed has an error.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

impl Simulator {
    /// Binds the address and, for TLS, makes keys and certificates.
    ///
    /// # Errors
    /// `InvalidInput` for an address that is not loopback and not allowed; otherwise as binding fails.
    pub async fn bind(options: Options) -> Result<Self, BindError> {
        if !options.allow_non_loopback && !options.listen.ip().to_canonical().is_loopback() {
            let text = "is not a loopback address; take 127.0.0.1 or [::1], or allow it with --allow-non-loopback";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text).into());
        }
        let identity = if options.tls { Some(Identity::new((options.clock)(), &options.tls_names)?) } else { None };
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let faults = Arc::<Switches>::default();
        let ids = Arc::new(Ids::new(options.deterministic.as_deref()));
        let state = options.state.clone().map(|state| (state, Arc::new(Journal::default())));
        let journal = state.as_ref().map(|(_, journal)| Arc::clone(journal));
        let app_ids = options.apps.iter().map(|(app_id, _)| app_id);
        let (webhooks, lanes) = Webhooks::new(Means {
            keys: Keys::new(app_ids, &options.webhooks.keys, journal.clone()),
            settings: options.webhooks.clone(),
            clock: Arc::clone(&options.clock),
            ids: Arc::clone(&ids),
            faults: Arc::clone(&faults),
            journal: journal.clone(),
        });
        // Links to pages use plain HTTP, because a browser would warn of the certificate.
        let wonder = super::wonder(&options, origin(false, address), Made { ids, journal, faults, webhooks })?;
        let apps = Apps::new(options.apps.clone());
        let router = router(options, apps.clone(), &wonder);
        Ok(Self { apps, listener, address, identity, router, wonder, lanes, state })
    }

    /// The bound address, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The AppIDs that may call, to change them while it runs.
    #[must_use]
    pub fn apps(&self) -> Apps {
        self.apps.clone()
    }

    /// Sends the webhooks for one origin to another one, which forwards them. For a sidecar that starts after the simulator is bound.
    pub(crate) fn send_webhooks_through(&self, from: Origin, through: Origin) {
        self.wonder.webhooks.go_through(from, through);
    }

    /// Scheme and address for callers on this machine, `https://127.0.0.1:4443`.
    #[must_use]
    pub fn origin(&self) -> String {
        origin(self.identity.is_some(), self.address)
    }

    /// The certificate authority to trust, as PEM; `None` without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.identity.as_ref().map(|identity| &identity.ca_pem[..])
    }

    /// Serves until `shutdown` ends, then waits up to five seconds for the requests in flight.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let tls = self.identity.map(|identity| TlsAcceptor::from(identity.config));
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        // These tasks end with this function; deliveries that wait are not sent.
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self.wonder.webhooks).deliver(self.lanes));
        if let Some((state, journal)) = &self.state {
            tasks.spawn(state::write(Arc::clone(&self.wonder), Arc::clone(state), Arc::clone(journal)));
        }
        tasks.spawn(orders::due::watch(Arc::clone(&self.wonder)));
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&self.listener, &places) => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let Some((stream, place)) = accepted else { continue };
            let (tls, router, watcher) = (tls.clone(), self.router.clone(), graceful.watcher());
            connections.spawn(async move {
                let _place = place;
                serve(stream, tls, router, watcher).await;
            });
        }
        drop(self.listener);
        self.wonder.console.close();
        // Requests that have not ended by then are cut off when `connections` is dropped.
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
        // Waits for the end of each task, so that no task holds the state file when this function returns.
        connections.shutdown().await;
        tasks.shutdown().await;
        if let Some((state, journal)) = &self.state
            && let Err(reason) = state::commit(&self.wonder, state, journal).await
        {
            tracing::error!(reason, "state file not written at the end; the changes since its last commit are lost");
        }
    }
}

fn origin(tls: bool, address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{}://{}", if tls { "https" } else { "http" }, SocketAddr::new(ip, address.port()))
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "connection not accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, watcher: Watcher) {
    // A small answer must not wait for the acknowledgement of earlier data.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return converse(stream, router, watcher).await };
    if is_plain(&stream).await {
        return converse(stream, router.layer(Extension(Plain)), watcher).await;
    }
    match tokio::time::timeout(HEAD_TIME, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, router, watcher).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS was not agreed"),
        Err(_) => tracing::debug!("TLS was not agreed in time"),
    }
}

/// A request extension: the connection is plain although the simulator serves TLS. Pages are served on it, signed calls are not.
#[derive(Clone, Copy)]
pub(super) struct Plain;

/// Whether the first byte is not that of a TLS handshake record (RFC 8446 §5.1).
async fn is_plain(stream: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 22;
    let mut first = [HANDSHAKE];
    let peeked = tokio::time::timeout(HEAD_TIME, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first[0] != HANDSHAKE
}

/// HTTP/1.1 or HTTP/2, selected by ALPN or by the first bytes.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router, watcher: Watcher) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(error, "connection ended early");
    }
}
