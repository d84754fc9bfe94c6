//! The metrics of the program, as one verb for each event: `request_finished`, `signed`, `proxy_error`.
//!
//! Callers report events only; the names of metrics and the texts of labels are in `families` and `labels`. A verb costs an array
//! index and an atomic addition: no look-up, no allocation, no lock. Label values come from closed sets only. Every series exists at
//! zero from the start. `encode` writes the metrics for Prometheus, `snapshot` returns the figures of the status page.
//!
//! ```
//! use wonder_signer::{contract::Sent, metrics::Metrics};
//! let metrics = Metrics::new(&["body_too_large"]);
//! metrics.proxy_error("body_too_large", Sent::No);
//! let text = metrics.encode().unwrap();
//! assert!(text.contains(r#"wonder_signer_proxy_errors_total{reason="body_too_large",sent="no"} 1"#));
//! ```

mod callers;
mod counters;
mod credentials;
mod families;
mod held;
mod labels;
mod last;
mod make;
mod snapshot;
#[cfg(test)]
mod tests;
mod webhooks;

use std::{fmt, sync::Arc};

use http::{Method, StatusCode};
use prometheus::TextEncoder;

pub(crate) use self::{
    callers::CallerRequests,
    credentials::{CredentialAnswers, LoadedKey},
    held::OpenConnection,
    labels::{
        Certificates, Closed, DuplicateStore, StoreOperation, Stripped, WebhookAction, WebhookOutcome, WebhookPhase,
    },
    last::{Last, LastAnswer, Lasts},
    snapshot::{Distribution, Snapshot},
    webhooks::Webhooks,
};
use self::{
    families::Families,
    held::signed,
    labels::{CodeClass, Label},
};
pub use self::{
    held::{Buffered, InFlight},
    labels::{Phase, Responder},
};
use crate::{contract::Sent, operations::Operation};

/// The `Content-Type` of the text that [`Metrics::encode`] returns.
pub(crate) const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics; clones count into the same series.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

impl Metrics {
    /// All at zero. `reasons` is the closed set for [`Self::proxy_error`]; `other` is added to it.
    #[must_use]
    pub fn new(reasons: &[&'static str]) -> Self {
        let metrics = Self(Arc::new(Families::new(reasons)));
        let _at_zero = metrics.callers([]);
        metrics
    }

    /// A request with a response ended, `seconds` after its head was read.
    pub fn request_finished(
        &self,
        operation: &'static Operation,
        method: &Method,
        status: StatusCode,
        by: Responder,
        seconds: f64,
    ) {
        self.0.requests.count(operation, method, status, by);
        self.0.request_duration[by.place()].observe(seconds);
    }

    /// The counts of a webhook listener that serves these credentials, at zero from now on. `reasons` is the closed set for
    /// [`Webhooks::not_forwarded`].
    #[must_use]
    pub(crate) fn webhooks<'a>(
        &self,
        credentials: impl IntoIterator<Item = &'a str>,
        reasons: impl IntoIterator<Item = &'static str>,
    ) -> Webhooks {
        Webhooks::new(&self.0, credentials, reasons)
    }

    /// A TLS handshake with a caller failed.
    pub(crate) fn handshake_failed(&self) {
        self.0.handshakes_failed.inc();
    }

    /// The last byte of a request body was read, `seconds` after the first read began.
    pub fn body_read(&self, seconds: f64, bytes: u64) {
        self.0.body_read_duration.observe(seconds);
        self.0.request_body.observe(approximate(bytes));
    }

    /// A response ended; the size of its body as far as it was forwarded.
    pub(crate) fn response_body(&self, bytes: u64) {
        self.0.response_body.observe(approximate(bytes));
    }

    /// The time that this program added to a request: its duration without the reading of its body and the [phases](Phase) of upstream.
    pub(crate) fn added(&self, seconds: f64) {
        self.0.added_duration.observe(seconds);
    }

    /// A signature was made, or could not be.
    pub fn signed(&self, ok: bool, seconds: f64) {
        if ok { &self.0.signatures_ok } else { &self.0.signatures_failed }.inc();
        self.0.signing_duration.observe(seconds);
    }

    /// A phase of a request to upstream ended.
    pub fn upstream_phase(&self, phase: Phase, seconds: f64) {
        self.0.upstream_duration[phase.place()].observe(seconds);
    }

    /// A response of upstream is forwarded. 401 and 403 count as rejected authentication.
    pub fn upstream_responded(&self, status: StatusCode) {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.0.upstream_rejected.inc(),
            _ => self.0.upstream_accepted[CodeClass::of(status).place()].inc(),
        }
        self.0.last.upstream(status);
    }

    /// A request of which nothing was written is sent once more, on another connection.
    pub(crate) fn connect_retried(&self) {
        self.0.connect_retries.inc();
    }

    /// A connection of a caller was closed because a new one needed its place.
    pub fn connection_evicted(&self) {
        self.0.evictions.inc();
    }

    /// A request was answered with an error of our own, or its response broke off. A reason that is not in the set given to [`Self::new`]
    /// counts as `other`.
    pub fn proxy_error(&self, reason: &'static str, sent: Sent) {
        let place = self.0.errors.count(reason, sent);
        self.0.last.signer(place, sent);
    }

    /// One header of the caller was not forwarded.
    pub(crate) fn stripped(&self, kind: Stripped) {
        self.0.stripped[kind.place()].inc();
    }

    /// The caller hung up before it had the whole response.
    pub(crate) fn cancelled(&self, sent: Sent) {
        self.0.cancelled[sent.place()].inc();
    }

    /// The end of the grace period cut a request.
    pub(crate) fn drain_cut(&self, sent: Sent) {
        self.0.drain_cut[sent.place()].inc();
    }

    /// Whether the program drains.
    pub(crate) fn set_draining(&self, draining: bool) {
        self.0.draining.set(draining.into());
    }

    /// The configured number of requests in flight.
    pub(crate) fn set_in_flight_limit(&self, requests: usize) {
        self.0.in_flight_limit.set(signed(requests));
    }

    /// How many seconds this host's clock is ahead of upstream's (negative: behind).
    pub(crate) fn set_clock_skew(&self, seconds: f64) {
        self.0.clock_skew.set(seconds);
    }

    /// The last value of [`set_clock_skew`](Self::set_clock_skew); 0 before the first.
    #[must_use]
    pub(crate) fn clock_skew(&self) -> f64 {
        self.0.clock_skew.get()
    }

    /// Certificates were read again; those that cannot be used leave the old ones in use.
    pub(crate) fn certificates_reloaded(&self, files: Certificates, ok: bool) {
        self.0.certificate_reloads[files.place()][usize::from(!ok)].inc();
        self.0.certificates_outdated[files.place()].set((!ok).into());
    }

    /// Replaces the configuration in use. `hash` is short text over the effective configuration without its secrets.
    pub(crate) fn set_config(&self, environment: &str, hash: &str) {
        self.0.config.replace(&[([environment, hash], 1)]);
    }

    /// All metrics in the Prometheus text format, `TEXT_FORMAT`; reads `/proc/self` on Linux.
    pub fn encode(&self) -> Result<String, EncodeError> {
        let mut text = String::with_capacity(96 * 1024);
        TextEncoder::new().encode_utf8(&self.0.registry.gather(), &mut text).map_err(EncodeError)?;
        Ok(text)
    }

    /// The current figures of the status page.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.0)
    }

    /// The last success and the last failures.
    #[must_use]
    pub(crate) fn lasts(&self) -> Lasts {
        self.0.last.read()
    }
}

/// Log lines were lost. The process has one log, so all [`Metrics`] of a process share this count.
pub(crate) fn log_lines_lost(lines: usize) {
    families::LOG_LINES_LOST.inc_by(lines.try_into().unwrap_or(u64::MAX));
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The metrics could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics")]
pub struct EncodeError(#[source] prometheus::Error);

/// Histograms hold `f64`; above 2^53 bytes the last digits do not matter.
#[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
fn approximate(bytes: u64) -> f64 {
    bytes as f64
}
