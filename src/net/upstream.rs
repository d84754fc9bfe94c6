//! The client: sends signed requests to the one origin over pooled connections.
//!
//! Which origin is decided when the client is built. A request brings method, target, headers and body; it cannot bring
//! a host.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, uri::PathAndQuery};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client, ResponseFuture,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::{
    connect::{ConnectError, Connector, Deadlines, Opened, Step},
    respond::{Code, Failure},
};
use crate::{
    config::{CaMode, Origin, Timeouts},
    metrics::{Metrics, Sent},
};

/// A pool of connections to one origin.
#[derive(Clone)]
pub struct Upstream {
    client: Client<Connector, Chunks>,
    scheme: http::uri::Scheme,
    authority: http::uri::Authority,
    max_connection_age: Duration,
}

/// What can be wrong with the settings of the client.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The file cannot be read.
    #[error("upstream.ca_file {path}: {cause}")]
    CaFile {
        /// Which file.
        path: String,
        /// Why not.
        cause: String,
    },
    /// The origin is not a name that a certificate can be for.
    #[error("upstream.origin: {0:?} is not a host name or address")]
    Host(String),
    /// The crypto provider does not support the protocol versions asked for.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl Upstream {
    /// Builds the client; connects when the first request comes.
    pub fn new(
        upstream: &crate::config::Upstream,
        timeouts: &Timeouts,
        metrics: Metrics,
    ) -> Result<Self, UpstreamError> {
        let origin = &upstream.origin;
        let tls = if origin.scheme_is_tls() {
            let config = tls_config(&trusted(upstream)?)?;
            Some((Arc::new(config), server_name(origin)?))
        } else {
            None
        };
        let deadlines = Deadlines { connect: timeouts.connect, tls_handshake: timeouts.tls_handshake };
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(upstream.pool_idle)
            .pool_max_idle_per_host(upstream.pool_max_idle)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            // On its own the client would send a request again when it was handed to a pooled connection that turned
            // out closed. It does so only if not a byte was written, but with the same nonce, time and signature.
            // A second attempt is ours to make, with new ones.
            .retry_canceled_requests(false)
            .build(Connector::new(tls, deadlines, metrics));
        let scheme = if origin.scheme_is_tls() { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP };
        let authority = origin.authority().parse().map_err(|_| UpstreamError::Host(origin.authority().to_owned()))?;
        Ok(Self { client, scheme, authority, max_connection_age: upstream.max_connection_age })
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
        Ok(Pending { answer: self.client.request(request), handover, max_connection_age: self.max_connection_age })
    }
}

/// A request on its way.
pub struct Pending {
    answer: ResponseFuture,
    handover: Handover,
    max_connection_age: Duration,
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
        // An old connection answers what it was asked and is not used again, so that a move in DNS is followed.
        if response.extensions().get::<Opened>().is_some_and(|opened| opened.0.elapsed() > self.max_connection_age)
            && let Some(connection) = &*self.handover.0.connection_metadata()
        {
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

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: nothing was written.
    #[error("no connection")]
    Connect(Step, #[source] Source),
    /// A pooled connection was found closed before anything was written to it.
    #[error("the connection was closed before the request was written")]
    Unsent(#[source] Source),
    /// The request could not be put in order; a fault of ours.
    #[error("the request cannot be sent")]
    Unsendable(#[source] Source),
    /// What came back is not HTTP.
    #[error("the answer is not valid HTTP")]
    BadResponse(#[source] Source),
    /// The connection broke after some of the request may have been written.
    #[error("the connection broke before the answer")]
    Broken(#[source] Source),
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl SendError {
    /// Whether it is certain that no byte of the request was written.
    #[must_use]
    pub fn sent(&self) -> Sent {
        match self {
            Self::Connect(..) | Self::Unsent(_) | Self::Unsendable(_) => Sent::No,
            Self::BadResponse(_) | Self::Broken(_) => Sent::Maybe,
        }
    }

    /// Whether a second attempt may help and can do no harm.
    #[must_use]
    pub fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::Connect(Step::Tcp, _) => true,
            Self::Connect(..) | Self::Unsendable(_) | Self::BadResponse(_) | Self::Broken(_) => false,
        }
    }
}

impl From<hyper_util::client::legacy::Error> for SendError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        let connecting = error.is_connect();
        let Some(source) = std::error::Error::source(&error) else {
            return if connecting { Self::Unsent(Box::new(error)) } else { Self::Broken(Box::new(error)) };
        };
        if connecting {
            // The pool also calls it a connect error when the connection that it waited for was closed.
            return match source.downcast_ref::<ConnectError>() {
                Some(cause) => Self::Connect(cause.step, Box::new(error)),
                None => Self::Unsent(Box::new(error)),
            };
        }
        match source.downcast_ref::<hyper::Error>() {
            // hyper gives this out for requests that it hands back unwritten, and for no others.
            Some(cause) if cause.is_canceled() => Self::Unsent(Box::new(error)),
            Some(cause) if cause.is_parse() => Self::BadResponse(Box::new(error)),
            Some(cause) if cause.is_user() => Self::Unsendable(Box::new(error)),
            _ => Self::Broken(Box::new(error)),
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let (code, message) = match &error {
            SendError::Connect(Step::Dns, _) => (Code::UpstreamDns, "the name of the origin cannot be resolved"),
            SendError::Connect(Step::Tcp, _) => (Code::UpstreamConnect, "no connection to the origin"),
            SendError::Connect(Step::Tls, _) => (Code::UpstreamTls, "no TLS connection to the origin"),
            SendError::Unsent(_) => (Code::UpstreamConnect, "the origin keeps closing connections"),
            SendError::Unsendable(_) => (Code::Internal, "the request could not be put on the wire"),
            SendError::BadResponse(_) => (Code::UpstreamBadResponse, "the origin did not answer in valid HTTP"),
            SendError::Broken(_) => (Code::UpstreamReset, "the connection to the origin broke before the answer"),
        };
        Self::new(code, message).with_sent(error.sent()).because(&error)
    }
}

fn trusted(upstream: &crate::config::Upstream) -> Result<RootCertStore, UpstreamError> {
    let mut roots = RootCertStore::empty();
    if upstream.ca_file.is_none() || upstream.ca_mode == CaMode::Add {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let Some(path) = &upstream.ca_file else { return Ok(roots) };
    let bad = |cause: String| UpstreamError::CaFile { path: path.display().to_string(), cause };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
    let before = roots.len();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(bad("holds no certificate (no \"-----BEGIN CERTIFICATE\" line)".to_owned()));
    }
    Ok(roots)
}

fn tls_config(roots: &RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn server_name(origin: &Origin) -> Result<ServerName<'static>, UpstreamError> {
    let host = origin.host().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| UpstreamError::Host(host.to_owned()))
}

/// A body in the chunks that it arrived in. Cloning it copies no bytes.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    chunks: VecDeque<Bytes>,
    left: u64,
}

impl FromIterator<Bytes> for Chunks {
    fn from_iter<T: IntoIterator<Item = Bytes>>(chunks: T) -> Self {
        let chunks: VecDeque<Bytes> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self { chunks, left }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunks.pop_front();
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
