//! Sends one webhook and reads the answer. It does not follow redirects and sends no request twice.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::{Instant, timeout_at};

use super::Callback;
use crate::{
    config::{CaMode, HttpVersion, Origin, TlsVersion},
    metrics::Metrics,
    net::{
        connect::Deadlines,
        respond::chain,
        response_head,
        tls::TlsSettings,
        upstream::{Destination, Handover, PoolLimits, SendError, Upstream, UpstreamError},
    },
    signing::Signed,
};

/// The time limit for a receiver's whole answer. Wonder's own limit is not documented.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// The maximum size of an answer's body that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The maximum number of origins with a prepared client.
const MOST_ORIGINS: usize = 64;

/// The answer of a receiver.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: http::StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body; `None` if it broke off or is too long.
    pub(crate) body: Bytes,
    /// The time from the request to the end of the answer.
    pub(crate) took: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    /// No connection can be prepared.
    #[error(transparent)]
    Client(#[from] UpstreamError),
    /// The request or its answer failed.
    #[error("{}", chain(.0))]
    Send(#[from] SendError),
    /// No answer in time.
    #[error("no answer within {PATIENCE:?}")]
    Late,
    /// The target cannot be sent.
    #[error("the target cannot be sent")]
    Target,
}

/// A client for any origin.
#[derive(Default)]
pub(crate) struct Client {
    ca_file: Option<PathBuf>,
    origins: Mutex<HashMap<Origin, Upstream>>,
}

impl Client {
    /// Trusts the built-in root certificates, and those in `ca_file`.
    #[must_use]
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, ..Self::default() }
    }

    /// Posts `body` with `headers` to a URL, once.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn post(&self, to: &Callback, headers: HeaderMap, body: Bytes) -> Result<Reply, PostError> {
        let upstream = self.upstream(&to.origin)?;
        let target = to.target.parse().map_err(|_| PostError::Target)?;
        let (began, handover) = (Instant::now(), Handover::default());
        let deadline = began + PATIENCE;
        let exchange = async {
            let body = std::iter::once(body).collect();
            let sent = upstream.send(Method::POST, target, headers, body, deadline, &handover).await?;
            let (head, body) = sent.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await.map(http_body_util::Collected::to_bytes);
            Ok(Reply {
                status: head.status,
                headers: head.headers,
                body: body.unwrap_or_default(),
                took: began.elapsed(),
            })
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(PostError::Late))
    }

    fn upstream(&self, origin: &Origin) -> Result<Upstream, UpstreamError> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(upstream) = origins.get(origin) {
            return Ok(upstream.clone());
        }
        if origins.len() >= MOST_ORIGINS {
            origins.clear();
        }
        let destination = Destination {
            origin: origin.clone(),
            tls: TlsSettings {
                ca_file: self.ca_file.clone(),
                ca_mode: CaMode::Add,
                client_certificate: None,
                min_version: TlsVersion::Tls12,
            },
            http_version: HttpVersion::Http1,
            egress: None,
            deadlines: Deadlines { connect: Duration::from_secs(5), tls_handshake: Duration::from_secs(5) },
            // Each delivery has its own connection, because a receiver may close an idle one at any time.
            pool: PoolLimits { idle: Duration::ZERO, max_idle: 0, age: Duration::from_secs(1) },
            response_head: response_head::HeadLimits { headers: 100, bytes: 64 * 1024 },
        };
        let upstream = Upstream::new(&destination, Metrics::new(&[]))?;
        origins.insert(origin.clone(), upstream.clone());
        Ok(upstream)
    }
}

/// The headers of a webhook (`deploy/docs/wonder.md` §3.1).
///
/// # Errors
/// When a value cannot be a header value; the values of a signature always can.
pub(crate) fn headers(
    signed: &Signed,
    action: Option<&str>,
    length: usize,
) -> Result<HeaderMap, header::InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in [
        ("credential", Some(&signed.credential[..])),
        ("nonce", Some(&signed.nonce)),
        ("signature", Some(&signed.signature)),
        ("x-action", action),
    ] {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
    }
    Ok(headers)
}
