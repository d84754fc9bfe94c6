//! The client: sends signed requests to the one origin over pooled connections.
//!
//! Which origin is decided when the client is built. A request brings method, target, headers and body; it cannot bring
//! a host.

mod chunks;
mod failure;
mod skew;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Method, Request, Response, Uri, uri::PathAndQuery};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client, ResponseFuture,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;

pub use self::{chunks::Chunks, failure::SendError};
use super::{
    connect::{Connector, Deadlines, Life, Tls},
    egress::Egress,
    tls::{self, TlsError},
};
use crate::{
    config::{HttpVersion, Timeouts},
    metrics::{Metrics, Sent},
};

/// A pool of connections to one origin.
#[derive(Clone)]
pub struct Upstream {
    client: Client<Connector, Chunks>,
    scheme: http::uri::Scheme,
    authority: http::uri::Authority,
    max_connection_age: Duration,
    metrics: Metrics,
}

/// Bytes of one answer that may wait for a slow reader on HTTP/2.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same for all answers on a connection: 256 of them, so that readers who do not read cannot use up what the others need.
/// Where this is less than the streams together may hold, a few stuck answers stop the connection for all.
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;
/// How long an HTTP/2 connection with requests on it may be silent before it is asked for a sign of life, and how long that
/// may take.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// What can be wrong with the settings of the client.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The origin, or the proxy on the way to it, cannot stand in a request.
    #[error("{key}: {authority:?} is not a host name or address")]
    Authority {
        /// The key that names it.
        key: &'static str,
        /// What it names.
        authority: String,
    },
}

impl Upstream {
    /// Builds the client; connects when the first request comes.
    pub fn new(
        upstream: &crate::config::Upstream,
        timeouts: &Timeouts,
        metrics: Metrics,
    ) -> Result<Self, UpstreamError> {
        let origin = &upstream.origin;
        let only_http2 = upstream.http_version == HttpVersion::Http2;
        let tls = if origin.scheme_is_tls() {
            let (config, name) = tls::client(upstream)?;
            Some(Tls { config, name, only_http2 })
        } else {
            None
        };
        // A plain origin is on this machine, where no proxy is needed.
        let proxy = upstream.proxy.as_ref().filter(|_| tls.is_some());
        let egress = proxy.map(|proxy| {
            let unfit = || UpstreamError::Authority { key: "upstream.proxy", authority: proxy.authority().to_owned() };
            Egress::new(proxy, origin).ok_or_else(unfit)
        });
        let deadlines = Deadlines { connect: timeouts.connect, tls_handshake: timeouts.tls_handshake };
        let connector = Connector::new(egress.transpose()?, tls, deadlines, metrics.clone());
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(upstream.pool_idle)
            .pool_max_idle_per_host(upstream.pool_max_idle)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            // On its own the client would send a request again when it was handed to a pooled connection that turned
            // out closed. It does so only if not a byte was written, but with the same nonce, time and signature.
            // A second attempt is ours to make, with new ones: `a_connection_closed_between_requests_…` in
            // `tests/it/upstream.rs` shows both halves of it.
            .retry_canceled_requests(false)
            // Without TLS there is nothing to ask; with it ALPN decides, and the connector insists.
            .http2_only(only_http2 && !origin.scheme_is_tls())
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            // A dead path is noticed while someone waits, and not by every request in turn.
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(HTTP2_PING)
            .build(connector);
        let scheme = if origin.scheme_is_tls() { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP };
        let authority = origin.authority().parse().map_err(|_| UpstreamError::Authority {
            key: "upstream.origin",
            authority: origin.authority().to_owned(),
        })?;
        Ok(Self { client, scheme, authority, max_connection_age: upstream.max_connection_age, metrics })
    }

    /// Begins to send one request, once.
    ///
    /// `headers` are complete but for `Host` and `:authority`, which are the origin's.
    pub fn start(
        &self,
        method: Method,
        target: PathAndQuery,
        headers: HeaderMap,
        body: Chunks,
    ) -> Result<Pending, SendError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        let uri = Uri::from_parts(parts).map_err(|error| SendError::Unsendable(Box::new(error)))?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let handover = Handover(capture_connection(&mut request));
        Ok(Pending {
            answer: self.client.request(request),
            handover,
            started: Instant::now(),
            max_connection_age: self.max_connection_age,
            metrics: self.metrics.clone(),
        })
    }
}

/// A request on its way.
pub struct Pending {
    answer: ResponseFuture,
    handover: Handover,
    started: Instant,
    max_connection_age: Duration,
    metrics: Metrics,
}

impl Pending {
    /// Knows, now and later, whether the request was handed to a connection.
    #[must_use]
    pub fn handover(&self) -> Handover {
        self.handover.clone()
    }

    /// Waits for the head of the answer.
    pub async fn head(self) -> Result<Response<Incoming>, SendError> {
        let response = self.answer.await.map_err(SendError::from)?;
        let received = Instant::now();
        let life = response.extensions().get::<Arc<Life>>();
        // Before there was a connection nothing was on its way.
        let sent = life.map_or(self.started, |life| life.opened().max(self.started));
        if let Some(ahead) = skew::seconds_ahead(response.headers(), SystemTime::now(), received - sent) {
            self.metrics.set_clock_skew(ahead);
        }
        // An old connection answers what it was asked and is not used again, so that a move in DNS is followed.
        if let Some(life) = life.filter(|life| received - life.opened() > self.max_connection_age)
            && let Some(connection) = &*self.handover.0.connection_metadata()
        {
            life.retire();
            connection.poison();
        }
        Ok(response)
    }
}

/// Whether a request was handed to a connection. Until then none of its bytes can have been written.
#[derive(Clone)]
pub struct Handover(CaptureConnection);

impl Handover {
    /// What may be said of the request's bytes at this moment.
    #[must_use]
    pub fn sent(&self) -> Sent {
        if self.0.connection_metadata().is_some() { Sent::Maybe } else { Sent::No }
    }
}
