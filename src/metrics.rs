//! What the program counts, as verbs: `request_finished`, `signed`, `proxy_error`.
//!
//! Callers say what happened and never see a metric's name or a label's text; those are in `families` and `labels`. A verb costs an
//! array index and an atomic addition: no look-up, no allocation, no lock. Label values come from closed sets only, and every
//! series is there at zero from the start. Reading is by `encode`, for Prometheus, and `snapshot`, for people.
//!
//! ```
//! use wonder_signer::{contract::Sent, metrics::Metrics};
//! let metrics = Metrics::new(&["body_too_large"]);
//! metrics.proxy_error("body_too_large", Sent::No);
//! let text = metrics.encode().unwrap();
//! assert!(text.contains(r#"wonder_signer_proxy_errors_total{reason="body_too_large",sent="no"} 1"#));
//! ```

mod families;
mod labels;
mod last;
mod make;
mod snapshot;
#[cfg(test)]
mod tests;
mod webhooks;

use std::{collections::BTreeMap, fmt, sync::Arc};

use http::{Method, StatusCode};
use prometheus::{IntCounter, IntGauge, TextEncoder};

use self::{
    families::Families,
    labels::{CodeClass, Label, Verb},
};
pub use self::{
    labels::{
        Closed, DuplicateStore, Phase, Responder, StoreOperation, Stripped, WebhookAction, WebhookOutcome, WebhookPhase,
    },
    last::{Last, LastAnswer, Lasts},
    snapshot::{Distribution, Snapshot},
    webhooks::Webhooks,
};
use crate::{contract::Sent, operations::Operation};

/// The `Content-Type` of what [`Metrics::encode`] gives.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The label of all callers that the configuration does not list.
const OTHER_CALLER: &str = "other";

/// Counts what the program does; clones count into the same numbers.
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

    /// A request's head was read. It is in flight until the guard is dropped, which must be after the last byte of its answer.
    #[must_use]
    pub fn request_started(&self) -> InFlight {
        InFlight(Held::take(&self.0.in_flight, 1))
    }

    /// A request got its answer, `seconds` after its head was read.
    pub fn request_finished(
        &self,
        operation: &'static Operation,
        method: &Method,
        status: StatusCode,
        by: Responder,
        seconds: f64,
    ) {
        let answers = if operation.is_other() {
            &self.0.other_requests[Verb::of(method).place()]
        } else {
            &self.0.requests[operation.index()]
        };
        // Answers of our own are errors, so two classes are enough for them.
        let place = match (by, CodeClass::of(status)) {
            (Responder::Upstream, class) => class.place(),
            (Responder::Signer, CodeClass::ClientError) => 4,
            (Responder::Signer, _) => 5,
        };
        answers[place].inc();
        self.0.request_duration[by.place()].observe(seconds);
    }

    /// The request counts of the callers that the configuration lists, by `names`; each is at zero from now on.
    #[must_use]
    pub fn callers<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> CallerRequests {
        let count = |name: &str| self.0.callers.with_label_values(&[name]);
        let listed = names.into_iter().map(|name| (name.to_owned(), count(name))).collect();
        CallerRequests { listed, other: count(OTHER_CALLER) }
    }

    /// The counts of a webhook listener that serves these credentials, at zero from now on. `reasons` is the closed set for
    /// [`Webhooks::not_forwarded`].
    #[must_use]
    pub fn webhooks<'a>(
        &self,
        credentials: impl IntoIterator<Item = &'a str>,
        reasons: impl IntoIterator<Item = &'static str>,
    ) -> Webhooks {
        Webhooks::new(&self.0, credentials, reasons)
    }

    /// A TLS handshake with a caller came to nothing.
    pub fn handshake_failed(&self) {
        self.0.handshakes_failed.inc();
    }

    /// The last byte of a request's body arrived, `seconds` after its head; its size.
    pub fn body_read(&self, seconds: f64, bytes: u64) {
        self.0.body_read_duration.observe(seconds);
        self.0.request_body.observe(approximate(bytes));
    }

    /// The last byte of an answer's body was passed on; its size.
    pub fn response_body(&self, bytes: u64) {
        self.0.response_body.observe(approximate(bytes));
    }

    /// What a request spent in our own hands: its duration less the reading of its body and all [phases](Phase) of upstream.
    pub fn added(&self, seconds: f64) {
        self.0.added_duration.observe(seconds);
    }

    /// Memory for the body of a request or an answer was taken; it is given back when the guard is dropped.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        Buffered(Held::take(&self.0.buffered, 0))
    }

    /// A signature was made, or could not be.
    pub fn signed(&self, ok: bool, seconds: f64) {
        if ok { &self.0.signatures_ok } else { &self.0.signatures_failed }.inc();
        self.0.signing_duration.observe(seconds);
    }

    /// A part of the time that a request spent on upstream is over.
    pub fn upstream_phase(&self, phase: Phase, seconds: f64) {
        self.0.upstream_duration[phase.place()].observe(seconds);
    }

    /// Upstream answered. 401 and 403 count as authentication rejected.
    pub fn upstream_responded(&self, status: StatusCode) {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.0.upstream_rejected.inc(),
            _ => self.0.upstream_accepted[CodeClass::of(status).place()].inc(),
        }
        self.0.last.upstream(status);
    }

    /// A connection to upstream is ready for requests; it counts as open until the guard is dropped.
    #[must_use]
    pub fn upstream_connected(&self) -> Connection {
        self.0.connections_opened.inc();
        Connection { families: Arc::clone(&self.0), _open: Held::take(&self.0.connections_open, 1), reason: None }
    }

    /// A request that was not written at all is tried once more on another connection.
    pub fn connect_retried(&self) {
        self.0.connect_retries.inc();
    }

    /// An error was answered. A reason that is not in the set given to [`Self::new`] counts as `other`.
    pub fn proxy_error(&self, reason: &'static str, sent: Sent) {
        let errors = &self.0.errors;
        let place = errors.iter().position(|(known, _)| *known == reason).unwrap_or(errors.len().saturating_sub(1));
        if let Some((_, counters)) = errors.get(place) {
            counters[sent.place()].inc();
            self.0.last.signer(place, sent);
        }
    }

    /// One header of the caller was not sent on.
    pub fn stripped(&self, kind: Stripped) {
        self.0.stripped[kind.place()].inc();
    }

    /// The caller left before it had its answer.
    pub fn cancelled(&self, sent: Sent) {
        self.0.cancelled[sent.place()].inc();
    }

    /// A request was cut off because the grace period ended.
    pub fn drain_cut(&self, sent: Sent) {
        self.0.drain_cut[sent.place()].inc();
    }

    /// Whether the program is finishing its last requests.
    pub fn set_draining(&self, draining: bool) {
        self.0.draining.set(draining.into());
    }

    /// The configured number of requests in flight.
    pub fn set_in_flight_limit(&self, requests: usize) {
        self.0.in_flight_limit.set(signed(requests));
    }

    /// How many seconds our clock is ahead of upstream's (negative: behind).
    pub fn set_clock_skew(&self, seconds: f64) {
        self.0.clock_skew.set(seconds);
    }

    /// What [`set_clock_skew`](Self::set_clock_skew) was last called with, 0 before that.
    #[must_use]
    pub fn clock_skew(&self) -> f64 {
        self.0.clock_skew.get()
    }

    /// These keys are in use from now on, and no others.
    pub fn set_keys(&self, keys: &[LoadedKey<'_>]) {
        let rows: Vec<_> = keys
            .iter()
            .map(|key| ([key.credential, key.fingerprint], i64::try_from(key.unix_seconds).unwrap_or(i64::MAX)))
            .collect();
        self.0.keys.replace(&rows);
    }

    /// This configuration is in use from now on. `hash` is short text over the effective configuration without its secrets.
    pub fn set_config(&self, environment: &str, hash: &str) {
        self.0.config.replace(&[([environment, hash], 1)]);
    }

    /// Everything in the Prometheus text format, [`TEXT_FORMAT`]; reads `/proc/self` on Linux.
    pub fn encode(&self) -> Result<String, EncodeError> {
        let mut text = String::with_capacity(96 * 1024);
        TextEncoder::new().encode_utf8(&self.0.registry.gather(), &mut text).map_err(EncodeError)?;
        Ok(text)
    }

    /// The numbers that the status page shows, as of now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.0)
    }

    /// The last success and the last failures.
    #[must_use]
    pub fn lasts(&self) -> Lasts {
        self.0.last.read()
    }
}

/// A line of the log could not be written. There is one log, the process's, so the count is in every [`Metrics`] of it.
pub fn log_line_lost() {
    families::LOG_LINES_LOST.inc();
}

/// Says what it is; the numbers are in [`Metrics::encode`].
impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// A signing key as `wonder_signer_key_loaded_timestamp_seconds` shows it.
#[derive(Debug, Clone, Copy)]
pub struct LoadedKey<'a> {
    /// The credential's name in the configuration.
    pub credential: &'a str,
    /// The first 8 hex digits of SHA-256 over the public key.
    pub fingerprint: &'a str,
    /// When it was loaded, seconds since 1970-01-01T00:00:00Z.
    pub unix_seconds: u64,
}

/// How many requests each caller with a certificate has sent.
#[derive(Debug, Clone)]
pub struct CallerRequests {
    listed: BTreeMap<String, IntCounter>,
    other: IntCounter,
}

impl CallerRequests {
    /// Counts one request. A name that is not listed, and none, counts as `other`, because labels come from closed sets only.
    pub fn count(&self, name: Option<&str>) {
        name.and_then(|name| self.listed.get(name)).unwrap_or(&self.other).inc();
    }
}

/// A request under way; drop it after the last byte of the answer.
#[derive(Debug)]
pub struct InFlight(#[expect(dead_code, reason = "held for its drop")] Held);

/// Memory held for one request's body.
#[derive(Debug)]
pub struct Buffered(Held);

impl Buffered {
    /// That many more bytes are held.
    pub fn add(&mut self, bytes: usize) {
        self.0.add(signed(bytes));
    }
}

/// An open connection to upstream. Dropped without a [reason](Self::because), it counts as [`Closed::Idle`].
pub struct Connection {
    families: Arc<Families>,
    _open: Held,
    reason: Option<Closed>,
}

impl Connection {
    /// Why it is about to end. The first reason given stands: what comes after it is its consequence.
    pub fn because(&mut self, reason: Closed) {
        self.reason.get_or_insert(reason);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.families.connections_closed[self.reason.unwrap_or(Closed::Idle).place()].inc();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// The metrics could not be written out.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics")]
pub struct EncodeError(#[source] prometheus::Error);

/// A share of a gauge, given back on drop.
#[derive(Debug)]
struct Held {
    gauge: IntGauge,
    share: i64,
}

impl Held {
    fn take(gauge: &IntGauge, share: i64) -> Self {
        gauge.add(share);
        Self { gauge: gauge.clone(), share }
    }

    fn add(&mut self, more: i64) {
        self.gauge.add(more);
        self.share += more;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.sub(self.share);
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Histograms hold `f64`; above 2^53 bytes the last digits do not matter.
#[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
fn approximate(bytes: u64) -> f64 {
    bytes as f64
}
