//! The client: sends signed requests to one origin over pooled connections.
//!
//! The [`Destination`] decides the origin when the client is made. A request has a method, target, headers and body, and no host.

mod connection;
mod destination;
mod failure;
mod http2;
mod pool;
mod request_body;
mod several;
mod skew;
mod streamed;

use std::{
    fmt,
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri::PathAndQuery};
use rustls::ClientConfig;
use tokio::time::Instant;

#[cfg(feature = "simulator")]
pub(crate) use self::destination::PoolLimits;
use self::{connection::Connection, pool::Pool};
pub use self::{destination::Destination, failure::SendError, streamed::Streamed};
pub(crate) use self::{request_body::RequestBody, several::Upstreams, streamed::BodyError};
use super::{
    connect::{Connector, Tls},
    egress::Egress,
    tls::{self, TlsError},
};
use crate::{
    config::HttpVersion,
    contract::Sent,
    files::{Commit, Fingerprint, Subject, steady},
    metrics::{Certificates, Metrics},
};

/// A pool of connections to one origin.
#[derive(Clone)]
pub struct Upstream {
    pool: Arc<Pool>,
    /// Scheme and authority, with the path `/`.
    origin: Uri,
    host: HeaderValue,
    metrics: Metrics,
    renewed: Option<Arc<Renewed>>,
}

/// The TLS settings, and the files from which they are made.
struct Renewed {
    read_at: Fingerprint,
    config: Arc<ArcSwap<ClientConfig>>,
    destination: Destination,
}

impl Renewed {
    fn read(self: &Arc<Self>, metrics: &Metrics) -> Commit {
        let Destination { tls, http_version, origin, .. } = &self.destination;
        let read = tls::client(tls, *http_version, origin);
        let (this, metrics) = (Arc::clone(self), metrics.clone());
        Box::new(move || {
            let count = |ok| metrics.certificates_reloaded(Certificates::Upstream, ok);
            match read {
                Ok((config, _)) => {
                    this.config.store(config);
                    count(true);
                    tracing::info!("certificates for the origin reloaded");
                }
                Err(error) => {
                    count(false);
                    tracing::error!(%error, "certificates for the origin cannot be used; the old ones stay in use");
                }
            }
        })
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The origin cannot be named in a request.
    #[error("upstream.origin: {0:?} is not a host name or address")]
    Authority(String),
}

impl Upstream {
    /// A client of `destination`. It connects when the first request comes.
    pub fn new(destination: &Destination, metrics: Metrics) -> Result<Self, UpstreamError> {
        let Destination { origin, tls, http_version, egress, deadlines, pool, response_head } = destination;
        let only_http2 = *http_version == HttpVersion::Http2;
        let mut renewed = None;
        let tls = if origin.scheme_is_tls() {
            let paths = tls.paths();
            let (read_at, read) = steady(&paths, || tls::client(tls, *http_version, origin));
            let (config, name) = read?;
            let config = Arc::new(ArcSwap::new(config));
            if !paths.is_empty() {
                renewed = Some(Renewed { read_at, config: Arc::clone(&config), destination: destination.clone() });
            }
            Some(Tls { config, name, only_http2 })
        } else {
            None
        };
        let egress = egress.as_ref().filter(|_| tls.is_some()).map(|proxy| Egress::new(proxy, origin));
        let unfit = || UpstreamError::Authority(origin.authority().to_owned());
        let uri: Uri = format!("{origin}/").parse().map_err(|_| unfit())?;
        let host = origin.authority().parse().map_err(|_| unfit())?;
        let connector = Connector::new((origin.host(), origin.port()), egress, tls, *deadlines, metrics.clone());
        let pool = Arc::new(Pool::new(connector, *pool, deadlines.connect, *response_head, only_http2));
        Ok(Self { pool, origin: uri, host, metrics, renewed: renewed.map(Arc::new) })
    }

    /// The files to watch, if any; new connections use their new content.
    #[must_use]
    pub(crate) fn subject(&self) -> Option<Subject> {
        let (renewed, metrics) = (Arc::clone(self.renewed.as_ref()?), self.metrics.clone());
        let paths = renewed.destination.tls.paths();
        Some(Subject::new(paths, renewed.read_at.clone(), move || renewed.read(&metrics)))
    }

    /// Sends one request, once, and waits for the head of its answer.
    ///
    /// `headers` are complete except for `Host` and `:authority`, which are the origin's. `handover` records whether the request was
    /// handed to a connection, and can be read at any time. After `deadline` the request is handed to no connection: the future does not
    /// complete, and its caller drops it.
    pub async fn send(
        &self,
        method: Method,
        target: PathAndQuery,
        headers: HeaderMap,
        body: RequestBody,
        deadline: Instant,
        handover: &Handover,
    ) -> Result<Response<Streamed>, SendError> {
        let started = Instant::now();
        // A kept connection may be about to end like the first one, so a second attempt gets a new connection.
        let fresh = handover.attempted.swap(true, Ordering::Relaxed);
        handover.goes_to(self.host.clone(), None);
        let connection = self.pool.connection(started, fresh).await?;
        handover.goes_to(self.host.clone(), Some(connection.life().peer()));
        let (opened, request) = (connection.life().opened(), self.request(&connection, method, target, headers, body));
        if Instant::now() >= deadline {
            // The caller's timer is polled after this future, so it could not prevent the write.
            pending::<()>().await;
        }
        handover.sent.store(true, Ordering::Release);
        let response = connection.send(request).await.inspect_err(|error| {
            handover.sent.store(error.sent() == Sent::Maybe, Ordering::Release);
        })?;
        // Without a connection nothing was sent.
        let sent = opened.max(started);
        if let Some(ahead) = skew::seconds_ahead(response.headers(), SystemTime::now(), sent.elapsed()) {
            self.metrics.set_clock_skew(ahead);
        }
        Ok(response.map(|body| Streamed::new(body, opened, &self.pool)))
    }

    /// The request in the form of the connection's HTTP version: the origin is in a header, or in the target.
    fn request(
        &self,
        connection: &Connection,
        method: Method,
        target: PathAndQuery,
        mut headers: HeaderMap,
        body: RequestBody,
    ) -> Request<RequestBody> {
        let uri = if connection.is_http1() {
            headers.insert(header::HOST, self.host.clone());
            Uri::from(target)
        } else {
            let mut parts = self.origin.clone().into_parts();
            parts.path_and_query = Some(target);
            Uri::from_parts(parts).unwrap_or_else(|_| unreachable!("scheme and authority are valid with any target"))
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }
}

/// Records whether a request was handed to a connection and not returned unprocessed. Before that, the origin cannot have processed any
/// of its bytes.
#[derive(Debug, Default)]
pub struct Handover {
    sent: AtomicBool,
    attempted: AtomicBool,
    route: Mutex<Option<Route>>,
}

/// The route of a request: the origin, and the peer address of its connection.
#[derive(Debug, Clone)]
pub(crate) struct Route(HeaderValue, Option<SocketAddr>);

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "origin {}", self.0.to_str().unwrap_or_default())?;
        self.1.map_or(Ok(()), |address| write!(f, " at {address}"))
    }
}

impl Handover {
    fn goes_to(&self, origin: HeaderValue, address: Option<SocketAddr>) {
        *self.route.lock().unwrap_or_else(PoisonError::into_inner) = Some(Route(origin, address));
    }

    /// The route, from the first attempt on.
    #[must_use]
    pub(crate) fn route(&self) -> Option<Route> {
        self.route.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the origin may have received any of the request's bytes by now.
    #[must_use]
    pub(crate) fn sent(&self) -> Sent {
        if self.sent.load(Ordering::Acquire) { Sent::Maybe } else { Sent::No }
    }
}
