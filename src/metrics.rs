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

mod counters;
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

pub use self::labels::{Phase, Responder};
use self::{
    families::Families,
    labels::{CodeClass, Label},
};
pub(crate) use self::{
    labels::{
        Certificates, Closed, DuplicateStore, StoreOperation, Stripped, WebhookAction, WebhookOutcome, WebhookPhase,
    },
    last::{Last, LastAnswer, Lasts},
    snapshot::{Distribution, Snapshot},
    webhooks::Webhooks,
};
use crate::{contract::Sent, operations::Operation};

/// The `Content-Type` of the text that [`Metrics::encode`] returns.
pub(crate) const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The results of a proof of a unit.
const PROOFS: [&str; 3] = ["accepted", "rejected", "unknown"];

/// The label of all callers that the configuration does not list.
const OTHER_CALLER: &str = "other";

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

    /// A request head was read. The request is in flight until the guard is dropped, after the last byte of its response.
    #[must_use]
    pub fn request_started(&self) -> InFlight {
        InFlight(Held::take(&self.0.in_flight, 1))
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

    /// The request counts of the callers that the configuration lists, by `names`; each is at zero from now on.
    #[must_use]
    pub(crate) fn callers<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> CallerRequests {
        let count = |name: &str| self.0.callers.with_label_values(&[name]);
        let listed = names.into_iter().map(|name| (name.to_owned(), count(name))).collect();
        CallerRequests { listed, other: count(OTHER_CALLER) }
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

    /// Memory for a request or response body is held until the guard is dropped.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        Buffered(Held::take(&self.0.buffered, 0))
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

    /// A connection to upstream is ready for requests; it counts as open until the guard is dropped.
    #[must_use]
    pub(crate) fn upstream_connected(&self) -> Connection {
        self.0.connections_opened.inc();
        Connection { families: Arc::clone(&self.0), _open: Held::take(&self.0.connections_open, 1), reason: None }
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

    /// These are the configured credentials; each is at zero from now on.
    pub(crate) fn set_credentials<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            for result in ["ok", "failed"] {
                self.0.credential_reloads.with_label_values(&[name, result]);
            }
            for result in ["accepted", "rejected"] {
                self.0.credential_responses.with_label_values(&[name, result]);
            }
            for (unit, result) in ["main", "next"].iter().flat_map(|unit| PROOFS.map(|result| (*unit, result))) {
                self.0.credential_proofs.with_label_values(&[name, unit, result]);
            }
            self.0.credential_usable.with_label_values(&[name]).set(0);
            self.credential_outdated(name, false);
        }
    }

    /// This key signs for its credential from now on, and no other.
    pub(crate) fn key_loaded(&self, key: &LoadedKey<'_>) {
        let seconds = i64::try_from(key.unix_seconds).unwrap_or(i64::MAX);
        self.0.keys.replace_one([key.credential, key.fingerprint], seconds);
        self.0.credential_usable.with_label_values(&[key.credential]).set(1);
    }

    /// The files of a credential were read again.
    pub(crate) fn credential_reloaded(&self, credential: &str, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.0.credential_reloads.with_label_values(&[credential, result]).inc();
    }

    /// Whether the files of a credential, as they are now, cannot be used.
    pub(crate) fn credential_outdated(&self, credential: &str, outdated: bool) {
        self.0.credential_outdated.with_label_values(&[credential]).set(outdated.into());
    }

    /// An echo call tested whether Wonder accepts a unit of a credential.
    pub(crate) fn unit_proved(&self, credential: &str, unit: &str, result: &str) {
        self.0.credential_proofs.with_label_values(&[credential, unit, result]).inc();
    }

    /// The counts of Wonder's answers to requests that are signed with a credential.
    #[must_use]
    pub(crate) fn credential_answers(&self, credential: &str) -> CredentialAnswers {
        let [accepted, rejected] =
            ["accepted", "rejected"].map(|result| self.0.credential_responses.with_label_values(&[credential, result]));
        CredentialAnswers { accepted, rejected }
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

/// A signing key as `wonder_signer_key_loaded_timestamp_seconds` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadedKey<'a> {
    /// The credential's name in the configuration.
    pub(crate) credential: &'a str,
    /// The first 8 hex digits of SHA-256 over the public key.
    pub(crate) fingerprint: &'a str,
    /// When it was loaded, seconds since 1970-01-01T00:00:00Z.
    pub(crate) unix_seconds: u64,
}

/// How many requests that were signed with a credential Wonder accepted, and how many it rejected with 401 or 403.
#[derive(Debug, Clone)]
pub(crate) struct CredentialAnswers {
    accepted: IntCounter,
    rejected: IntCounter,
}

impl CredentialAnswers {
    /// Counts one answer.
    pub(crate) fn count(&self, rejected: bool) {
        if rejected { &self.rejected } else { &self.accepted }.inc();
    }
}

/// How many requests each caller with a certificate has sent.
#[derive(Debug, Clone)]
pub(crate) struct CallerRequests {
    listed: BTreeMap<String, IntCounter>,
    other: IntCounter,
}

impl CallerRequests {
    /// Counts one request. A name that is not listed, and none, counts as `other`, because labels come from closed sets only.
    pub(crate) fn count(&self, name: Option<&str>) {
        name.and_then(|name| self.listed.get(name)).unwrap_or(&self.other).inc();
    }
}

/// A request in flight; dropped after the last byte of the response.
#[derive(Debug)]
pub struct InFlight(#[expect(dead_code, reason = "held for its drop")] Held);

/// Memory held for one body.
#[derive(Debug)]
pub struct Buffered(Held);

impl Buffered {
    /// Adds `bytes` to the memory held.
    pub fn add(&mut self, bytes: usize) {
        self.0.add(signed(bytes));
    }
}

/// An open connection to upstream. Dropped without a [reason](Self::because), it counts as [`Closed::Idle`].
pub(crate) struct Connection {
    families: Arc<Families>,
    _open: Held,
    reason: Option<Closed>,
}

impl Connection {
    /// Sets why the connection is about to end. The first reason stays, because later ones are its consequence.
    pub(crate) fn because(&mut self, reason: Closed) {
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

/// The metrics could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics")]
pub struct EncodeError(#[source] prometheus::Error);

/// An amount that is added to a gauge and subtracted on drop.
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
