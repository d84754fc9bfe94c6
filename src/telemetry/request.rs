//! Logs and traces a request at its end.
//!
//! The proxy fills in a [`Finished`] and passes it to [`Requests`], which decides on level, sampling and export. A [`Finished`] has no
//! field for a target, a query, a header's value or a body, so none of these can be logged.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{quota::Quota, values};
use crate::{
    config::Log,
    contract::{Code, Sent, Severity},
};

/// The event of a request. `tracing` needs a level that is fixed at the call site. The values are evaluated only if the event is enabled.
macro_rules! line {
    ($level:ident, $request:ident, $slow:expr) => {
        tracing::event!(
            target: "wonder_signer::proxy",
            tracing::Level::$level,
            request_id = $request.request_id,
            trace_id = $request.trace.map(|trace| tracing::field::display(trace.id)),
            operation = $request.operation,
            method = $request.short_method(),
            path = $request.path,
            status = $request.status,
            origin = $request.status.map(|_| $request.origin),
            sent = $request.sent_text(),
            error = $request.error.map(Code::as_str),
            cause = $request.cause,
            cancelled = $request.cancelled.then_some(true),
            slow = $slow,
            caller = $request.caller,
            peer = $request.peer,
            credential = $request.credential,
            attempts = $request.attempts,
            body_ms = milliseconds($request.phases.body.took),
            sign_ms = milliseconds($request.phases.signing),
            connect_ms = milliseconds($request.phases.connect.took),
            upstream_ms = milliseconds($request.phases.waiting),
            response_ms = milliseconds($request.phases.response.took),
            total_ms = milliseconds($request.total),
            request_bytes = $request.request_bytes,
            response_bytes = $request.response_bytes,
            "request"
        )
    };
}

/// The longest method that is logged whole.
const METHOD: usize = 32;

/// A request at its end, and its response.
#[derive(Debug, Clone)]
pub(crate) struct Finished<'a> {
    /// Its `X-Request-ID`.
    pub(crate) request_id: &'a str,
    /// Its position in a trace, if it is in one.
    pub(crate) trace: Option<Trace>,
    /// The name of the operation, from a closed set.
    pub(crate) operation: &'static str,
    /// Its method, as received.
    pub(crate) method: &'a str,
    /// The template form of its path, if that belongs to no operation.
    pub(crate) path: Option<&'a str>,
    /// The status of its response, if it got one.
    pub(crate) status: Option<u16>,
    /// The origin of the response: `upstream` or `signer`.
    pub(crate) origin: &'static str,
    /// Whether it may have been sent; `None` if Wonder's response was forwarded whole.
    pub(crate) sent: Option<Sent>,
    /// The code of the error, if there was one.
    pub(crate) error: Option<Code>,
    /// The error's cause, for the log alone.
    pub(crate) cause: Option<&'a str>,
    /// The caller disconnected before the end of the response.
    pub(crate) cancelled: bool,
    /// The name in the caller's certificate, if it sent one.
    pub(crate) caller: Option<&'a str>,
    /// The address of the caller, for a request that was rejected or is not known as one of Wonder's.
    pub(crate) peer: Option<&'a str>,
    /// The name of the credential that the request selected.
    pub(crate) credential: Option<&'a str>,
    /// How often it was handed to the upstream client.
    pub(crate) attempts: u32,
    /// From its head to the end of its response.
    pub(crate) total: Duration,
    /// The parts of that time.
    pub(crate) phases: Phases,
    /// Bytes of its body.
    pub(crate) request_bytes: u64,
    /// Bytes of the response body.
    pub(crate) response_bytes: u64,
}

impl Finished<'_> {
    /// The method, cut to the length of the longest that exists: a caller may send a method as long as a whole head.
    #[must_use]
    pub(crate) fn short_method(&self) -> &str {
        // Methods are ASCII (RFC 9110 §9.1).
        self.method.get(..METHOD).unwrap_or(self.method)
    }

    /// Whether it was rejected before it was signed.
    fn was_refused_unsigned(&self) -> bool {
        self.attempts == 0 && self.phases.signing.is_zero()
    }

    /// Whether it succeeded: Wonder answered with a status below 400, and the response was forwarded whole.
    #[must_use]
    pub(crate) fn is_success(&self) -> bool {
        self.error.is_none() && !self.cancelled && self.status.is_some_and(|status| status < 400)
    }

    /// `sent` in the line.
    #[must_use]
    pub(crate) fn sent_text(&self) -> &'static str {
        self.sent.map_or("yes", Sent::as_str)
    }

    /// The level of its line, unless it was slow: that of its row in the contract's table. A request that the service cancelled has no
    /// code. If it may have been sent, the service does not know its outcome either.
    fn severity(&self) -> Severity {
        match (self.error, self.sent) {
            (Some(code), Some(sent)) => code.row(sent).severity(),
            (None, Some(Sent::Maybe)) => Severity::Error,
            (_, None) | (None, Some(Sent::No)) => Severity::Info,
        }
    }
}

/// The position of a request in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The trace.
    pub(crate) id: TraceId,
    /// The request's own span.
    pub(crate) span: SpanId,
    /// The caller's span.
    pub(crate) parent: Option<SpanId>,
    /// Whether it is recorded.
    pub(crate) recorded: bool,
}

/// Names a trace; shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId(pub(crate) [u8; 16]);

/// Names a span; shown as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanId(pub(crate) [u8; 8]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(values::hexadecimal(&self.0, &mut [0; 32]))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(values::hexadecimal(&self.0, &mut [0; 16]))
    }
}

/// The parts of a request's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Phases {
    /// Reading the request's body.
    pub(crate) body: Phase,
    /// Signing; the last of two attempts.
    pub(crate) sign: Phase,
    /// Waiting for a new connection; the last of two attempts.
    pub(crate) connect: Phase,
    /// From the connection to the response head, or to the failure; the last of two attempts.
    pub(crate) upstream: Phase,
    /// Forwarding the response body.
    pub(crate) response: Phase,
    /// Signing, in all attempts.
    pub(crate) signing: Duration,
    /// Connecting and waiting for the response head, in all attempts.
    pub(crate) waiting: Duration,
}

/// A part of a request's time; zero if there was none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Phase {
    /// When it ended, counted from the request head.
    pub(crate) ended: Duration,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Makes traces of requests.
pub(crate) trait Recorder: Send + Sync {
    /// Whether a request of this trace is to be recorded; `parent` is whether its caller's part is.
    fn wants(&self, trace: TraceId, parent: Option<bool>) -> bool;

    /// Records a request that was wanted. Must not block, because the threads that serve requests call it.
    fn record(&self, request: &Finished<'_>);
}

/// Logs and records requests. Clones share one recorder and one quota.
#[derive(Clone)]
pub(crate) struct Requests {
    makes_traceparent: bool,
    chosen: Share,
    slow: Duration,
    refused: Arc<Quota>,
    recorder: Option<Arc<dyn Recorder>>,
}

impl Requests {
    /// Log lines without traces.
    #[must_use]
    pub(crate) fn new(log: &Log) -> Self {
        let slow = if log.slow_request.is_zero() { Duration::MAX } else { log.slow_request };
        let chosen = Share::new(log.sample_success);
        Self { makes_traceparent: log.make_traceparent, chosen, slow, refused: Arc::default(), recorder: None }
    }

    /// Adds traces.
    #[cfg(any(feature = "otel", test))]
    #[must_use]
    pub(crate) fn recorded_by(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Whether a request without a trace starts one, for upstream to join.
    #[must_use]
    pub(crate) fn makes_traceparent(&self) -> bool {
        self.makes_traceparent
    }

    /// Whether requests can be recorded at all.
    #[must_use]
    pub(crate) fn has_recorder(&self) -> bool {
        self.recorder.is_some()
    }

    /// Whether a request of this trace is to be recorded; `parent` is whether its caller's part is.
    #[must_use]
    pub(crate) fn wants(&self, trace: TraceId, parent: Option<bool>) -> bool {
        self.recorder.as_ref().is_some_and(|recorder| recorder.wants(trace, parent))
    }

    /// Logs and records a request at its end.
    pub(crate) fn finished(&self, request: &Finished<'_>) {
        if let (Some(recorder), Some(Trace { recorded: true, .. })) = (&self.recorder, request.trace) {
            recorder.record(request);
        }
        if request.was_refused_unsigned() && !self.refused.admits(Instant::now()) {
            return;
        }
        let slow = (request.total >= self.slow).then_some(true);
        match request.severity() {
            Severity::Error => line!(ERROR, request, slow),
            Severity::Info if slow.is_none() => {
                if !request.is_success() || self.chosen.holds(request.request_id.as_bytes()) {
                    line!(INFO, request, slow);
                }
            }
            Severity::Info | Severity::Warn => line!(WARN, request, slow),
        }
    }
}

/// With three decimals: a signature takes a fraction of one.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A share of all ids, chosen by their bits alone: every process chooses the same ids at any time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Ids with a hash below it belong to the share. Hashes have 53 bits, so that a share is exact.
    below: u64,
}

impl Share {
    /// `share` is from 0 to 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^53")]
    pub(super) fn new(share: f64) -> Self {
        Self { below: (share.clamp(0.0, 1.0) * TWO_TO_THE_53) as u64 }
    }

    fn holds(self, id: &[u8]) -> bool {
        self.takes(hash(id))
    }

    /// Whether a uniformly distributed number belongs to the share.
    pub(super) fn takes(self, number: u64) -> bool {
        number >> 11 < self.below
    }
}

const TWO_TO_THE_53: f64 = 9_007_199_254_740_992.0;

/// FNV-1a, which is fast on short texts, and the mixing of `SplitMix64`: with FNV alone, ids that differ only at their end have similar
/// high bits.
fn hash(text: &[u8]) -> u64 {
    let fnv = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ fnv >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
pub(super) mod tests;
