//! What is known of a request: one record when it is over, from which its log line is written and its trace is made.
//!
//! The server fills in a [`Finished`] and gives it to [`Requests`]; it knows nothing of levels, sampling or exporters.
//! A record has no place for a target, a query, a header's value or a body, so none of these can get out.

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

/// One event. `tracing` needs a level that is fixed at the place of the event; the values are worked out only if it is written.
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

/// Characters of a method that are logged.
const METHOD: usize = 32;

/// A request that is over, and its answer.
#[derive(Debug, Clone)]
pub struct Finished<'a> {
    /// Its `X-Request-ID`.
    pub request_id: &'a str,
    /// Where it stands in a trace, if anywhere.
    pub trace: Option<Trace>,
    /// The name of the operation: one of a closed set.
    pub operation: &'static str,
    /// Its method, as received.
    pub method: &'a str,
    /// The template form of its path, where that belongs to no operation.
    pub path: Option<&'a str>,
    /// The status that it was answered with, if it was.
    pub status: Option<u16>,
    /// Who made the answer: `upstream` or `signer`.
    pub origin: &'static str,
    /// What is certain about its bytes; none where Wonder's answer was forwarded whole.
    pub sent: Option<Sent>,
    /// The code of the error, if there was one.
    pub error: Option<Code>,
    /// The error's cause, for the log alone.
    pub cause: Option<&'a str>,
    /// The caller left before it had its answer.
    pub cancelled: bool,
    /// The name in the caller's certificate, where it showed one.
    pub caller: Option<&'a str>,
    /// The other end of its connection, where it sent what it should not have sent.
    pub peer: Option<&'a str>,
    /// The name of the credential that it was to be signed with.
    pub credential: Option<&'a str>,
    /// How often it was begun to be sent.
    pub attempts: u32,
    /// From its head to the end of its answer.
    pub total: Duration,
    /// What the time went to.
    pub phases: Phases,
    /// Bytes of its body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
}

impl Finished<'_> {
    /// The method, cut where it is longer than any that there is: a caller may send as many bytes as a head may have.
    #[must_use]
    pub fn short_method(&self) -> &str {
        // Methods are ASCII (RFC 9110 §9.1).
        self.method.get(..METHOD).unwrap_or(self.method)
    }

    /// Whether it ended here before anything was signed for it.
    fn was_refused_unsigned(&self) -> bool {
        self.attempts == 0 && self.phases.signing.is_zero()
    }

    /// Whether it went as it should: answered upstream with a status below 400, and the answer passed on whole.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.error.is_none() && !self.cancelled && self.status.is_some_and(|status| status < 400)
    }

    /// `sent` as it stands in the line.
    #[must_use]
    pub fn sent_text(&self) -> &'static str {
        self.sent.map_or("yes", Sent::as_str)
    }

    /// The level of its line, if it was not slow: that of its row in the contract's table. A request that the service gave up
    /// has no code; its outcome is as unknown to the service as that of any other that may have been sent.
    fn severity(&self) -> Severity {
        match (self.error, self.sent) {
            (Some(code), Some(sent)) => code.row(sent).severity(),
            (None, Some(Sent::Maybe)) => Severity::Error,
            (_, None) | (None, Some(Sent::No)) => Severity::Info,
        }
    }
}

/// Where a request stands in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The request's own span.
    pub span: SpanId,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// Whether it is recorded.
    pub recorded: bool,
}

/// Names a trace; shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// Names a span; shown as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

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

/// What a request's time went to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Reading the request's body.
    pub body: Phase,
    /// Signing; of two attempts, the last.
    pub sign: Phase,
    /// Waiting for a new connection; of two attempts, the last.
    pub connect: Phase,
    /// From the connection to the head of the answer, or to its failure; of two attempts, the last.
    pub upstream: Phase,
    /// Passing on the answer's body.
    pub response: Phase,
    /// Signing, in all attempts.
    pub signing: Duration,
    /// Connecting and waiting for the head of the answer, in all attempts.
    pub waiting: Duration,
}

/// A part of a request's time; none if it took no time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phase {
    /// When it ended, counted from the request's head.
    pub ended: Duration,
    /// How long it took.
    pub took: Duration,
}

/// Makes traces of requests.
pub trait Recorder: Send + Sync {
    /// Whether a request of this trace is to be recorded; `parent` is whether its caller's part is.
    fn wants(&self, trace: TraceId, parent: Option<bool>) -> bool;

    /// Records a request that was wanted. Called where requests are served: never waits.
    fn record(&self, request: &Finished<'_>);
}

/// Takes in requests that are over. Clones share one recorder and one quota.
#[derive(Clone)]
pub struct Requests {
    makes_traceparent: bool,
    chosen: Share,
    slow: Duration,
    refused: Arc<Quota>,
    recorder: Option<Arc<dyn Recorder>>,
}

impl Requests {
    /// Writes log lines, no traces.
    #[must_use]
    pub fn new(log: &Log) -> Self {
        let slow = if log.slow_request.is_zero() { Duration::MAX } else { log.slow_request };
        let chosen = Share::new(log.sample_success);
        Self { makes_traceparent: log.make_traceparent, chosen, slow, refused: Arc::default(), recorder: None }
    }

    /// Makes traces too.
    #[must_use]
    pub fn recorded_by(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Whether a request without a trace is to start one for those after us to join.
    #[must_use]
    pub fn makes_traceparent(&self) -> bool {
        self.makes_traceparent
    }

    /// Whether requests can be recorded at all.
    #[must_use]
    pub fn has_recorder(&self) -> bool {
        self.recorder.is_some()
    }

    /// Whether a request of this trace is to be recorded; `parent` is whether its caller's part is.
    #[must_use]
    pub fn wants(&self, trace: TraceId, parent: Option<bool>) -> bool {
        self.recorder.as_ref().is_some_and(|recorder| recorder.wants(trace, parent))
    }

    /// A request is over.
    pub fn finished(&self, request: &Finished<'_>) {
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

/// A share of all ids, chosen by their bits alone: the same ones in every process, at every time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Ids whose hash is below it are in; hashes have 53 bits, so that a share is exact.
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

    /// Whether a number that is as likely as any other is among the share.
    pub(super) fn takes(self, number: u64) -> bool {
        number >> 11 < self.below
    }
}

const TWO_TO_THE_53: f64 = 9_007_199_254_740_992.0;

/// FNV-1a, which is quick on short texts, and then the mixing of `SplitMix64`: FNV alone leaves the high bits of ids that differ only
/// at their end too much alike.
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
