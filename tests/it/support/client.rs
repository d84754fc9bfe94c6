//! The upstream client without a sidecar.

use std::io::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use wonder_signer::{
    config::{Config, Flags},
    metrics::Metrics,
    net::upstream::{Destination, Handover, SendError, Streamed, Upstream},
};

use super::patience::{HANG, soon};

/// A client for one origin, with its metrics.
pub(crate) struct Client {
    pub(crate) upstream: Upstream,
    metrics: Metrics,
}

impl Client {
    /// For `origin`, with more configuration (TOML).
    pub(crate) fn of(origin: &str, toml: &str) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let environment =
            [("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom"), ("WONDER_SIGNER_UPSTREAM__ORIGIN", origin)];
        let environment = environment.map(|(name, value)| (name.into(), value.into()));
        let config = Config::load(&[file.path().to_owned()], environment, &Flags::default()).unwrap();
        let metrics = Metrics::new(&[]);
        let destination = Destination::new(&config.upstream, &config.limits, &config.timeouts);
        let upstream = Upstream::new(&destination, metrics.clone()).unwrap();
        Self { upstream, metrics }
    }

    pub(crate) fn start(
        &self,
        target: &'static str,
        body: &[u8],
    ) -> impl Future<Output = Result<Response<Streamed>, SendError>> + Send + use<> {
        let (upstream, body) = (self.upstream.clone(), Bytes::copy_from_slice(body));
        async move { post(&upstream, target, body, &Handover::default()).await }
    }

    /// One attempt of the request that `handover` belongs to.
    pub(crate) async fn attempt(
        &self,
        target: &'static str,
        body: &[u8],
        handover: &Handover,
    ) -> Result<Response<Streamed>, SendError> {
        post(&self.upstream, target, Bytes::copy_from_slice(body), handover).await
    }

    pub(crate) async fn send(&self, target: &'static str) -> Result<Response<Streamed>, SendError> {
        self.start(target, b"{}").await
    }

    /// The value of one series, by its full text.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.encode().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Waits until a series has a value, and yields to other tasks meanwhile.
    pub(crate) async fn until(&self, series: &str, value: f64) {
        soon(async {
            while (self.metric(series) - value).abs() > f64::EPSILON {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn post(
    upstream: &Upstream,
    target: &'static str,
    body: Bytes,
    handover: &Handover,
) -> Result<Response<Streamed>, SendError> {
    let mut headers = HeaderMap::new();
    headers.insert("content-length", HeaderValue::from(body.len()));
    let target = http::uri::PathAndQuery::from_static(target);
    let deadline = tokio::time::Instant::now() + HANG;
    upstream.send(Method::POST, target, headers, std::iter::once(body).collect(), deadline, handover).await
}
