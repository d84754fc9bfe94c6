//! What is known about one request and its answer. Filled in on the way, handed to metrics and telemetry once, when the last
//! holder lets go: after the answer's last byte, or when the caller has hung up.
//!
//! Nothing is put into words here: what is counted, written or exported of it, and whether, is for those who take it.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Request, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use rand::Rng as _;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    deadline::Deadline,
    drain::{Drain, End},
    rejection,
    trace::Traceparent,
};
use crate::{
    contract::{Code, Sent},
    keystore::Entry,
    metrics::{self, InFlight, Metrics, Responder},
    net::{intake::Refusal, respond::Failure, upstream::Handover},
    operations::{self, Operation},
    policy::{Caller, Name},
    telemetry::{Finished, Phase, Phases, Requests, SpanId, Trace, TraceId},
};

/// The cause of an answer that a drain broke off.
pub(super) const CUT: &str = "the answer was not forwarded whole before the end of shutdown.grace";

/// The log's name for a caller whose certificate has no usable name.
const UNNAMED: &str = "unnamed";

/// A request, and what becomes of it.
pub(super) struct Call {
    pub(super) request: Request<Incoming>,
    /// The request is not sent after it.
    pub(super) deadline: Deadline,
    pub(super) exchange: Arc<Exchange>,
}

pub(super) struct Exchange {
    id: HeaderValue,
    method: Method,
    operation: &'static Operation,
    started: Instant,
    trace: Option<Trace>,
    caller: Caller,
    /// The template form of the path, where that belongs to no operation.
    path: Option<String>,
    metrics: Metrics,
    requests: Requests,
    drain: Drain,
    _in_flight: InFlight,
    handover: Handover,
    /// Whether a part of the request's body has not been read.
    body_unread: AtomicBool,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    slot: Option<OwnedSemaphorePermit>,
    signer: Option<Arc<Entry>>,
    attempts: u32,
    status: Option<StatusCode>,
    by_us: bool,
    code: Option<Code>,
    /// What is certain about the request's bytes, once that is decided.
    sent: Option<Sent>,
    cause: Option<String>,
    request_bytes: u64,
    response_bytes: u64,
    phases: Phases,
    /// When the attempt under way was begun; times here count from the request's head.
    attempt: Option<Duration>,
    /// When the head of Wonder's answer was there.
    answered: Option<Duration>,
    ended: Option<Duration>,
}

impl Exchange {
    pub(super) fn open<B: Body>(
        request: &Request<B>,
        caller: Caller,
        id: HeaderValue,
        metrics: Metrics,
        requests: Requests,
        drain: Drain,
    ) -> Self {
        drain.opened();
        let path = request.uri().path();
        let operation = operations::find(request.method().as_str(), path);
        // A head that was refused was replaced by another, with another path.
        let is_own = request.extensions().get::<Refusal>().is_none();
        Self {
            id,
            method: request.method().clone(),
            path: (operation.is_other() && is_own).then(|| operations::template(path)),
            operation,
            started: Instant::now(),
            trace: place_in_trace(Traceparent::of(request.headers()), &requests),
            caller,
            _in_flight: metrics.request_started(),
            metrics,
            requests,
            drain,
            handover: Handover::default(),
            body_unread: AtomicBool::new(!request.body().is_end_stream()),
            facts: Mutex::default(),
        }
    }

    /// When its head was there.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// What those after us are to be told of the trace, if it was started here and they are to join it.
    pub(super) fn traceparent(&self) -> Option<Traceparent> {
        let started_here = self.trace.filter(|trace| trace.parent.is_none() && self.requests.makes_traceparent());
        started_here.map(|Trace { id, span, recorded, .. }| Traceparent { trace: id, span, sampled: recorded })
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn operation(&self) -> &'static Operation {
        self.operation
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Keeps a slot taken until the exchange is over.
    pub(super) fn hold(&self, slot: OwnedSemaphorePermit) {
        self.facts().slot = Some(slot);
    }

    pub(super) fn signing_as(&self, signer: &Arc<Entry>) {
        self.facts().signer = Some(Arc::clone(signer));
    }

    pub(super) fn body_taken(&self, bytes: u64, began: Instant) {
        let (ended, took) = self.since(began);
        let mut facts = self.facts();
        facts.request_bytes = bytes;
        facts.phases.body = Phase { ended, took };
        drop(facts);
        self.body_read();
        self.metrics.body_read(took.as_secs_f64(), bytes);
    }

    /// The request's body was read to its end.
    pub(super) fn body_read(&self) {
        self.body_unread.store(false, Ordering::Relaxed);
    }

    /// Whether a part of the request's body has not been read.
    pub(super) fn has_unread_body(&self) -> bool {
        self.body_unread.load(Ordering::Relaxed)
    }

    pub(super) fn signed(&self, began: Instant) {
        let (ended, took) = self.since(began);
        let mut facts = self.facts();
        facts.phases.sign = Phase { ended, took };
        facts.phases.signing += took;
        drop(facts);
        self.metrics.signed(true, took.as_secs_f64());
    }

    /// A new attempt begins: when, and who is to be told whether a connection has got hold of it.
    pub(super) fn attempt(&self) -> (Instant, &Handover) {
        let now = Instant::now();
        let began = now - self.started;
        let mut facts = self.facts();
        facts.attempts += 1;
        facts.attempt = Some(began);
        (facts.phases.connect, facts.phases.upstream) = Default::default();
        (now, &self.handover)
    }

    /// The attempt got the head of an answer.
    pub(super) fn head_came(&self) {
        let ended = self.started.elapsed();
        let mut facts = self.facts();
        let took = ended.saturating_sub(facts.attempt.take().unwrap_or(ended));
        facts.answered = Some(ended);
        facts.phases.upstream = Phase { ended, took };
        facts.phases.waiting += took;
        drop(facts);
        self.metrics.upstream_phase(metrics::Phase::Head, took.as_secs_f64());
    }

    /// The answer's head came over a connection that was opened at `opened`. If that was during the attempt, the attempt waited for it.
    pub(super) fn came_over(&self, opened: Instant) {
        let opened = opened.saturating_duration_since(self.started);
        let Phases { connect, upstream, .. } = &mut self.facts().phases;
        let waited = (opened + upstream.took).saturating_sub(upstream.ended);
        if !waited.is_zero() {
            *connect = Phase { ended: opened, took: waited };
            upstream.took = upstream.took.saturating_sub(waited);
        }
    }

    /// Whether any byte of the request may have left.
    pub(super) fn sent(&self) -> Sent {
        self.handover.sent()
    }

    /// The attempt came to nothing.
    pub(super) fn attempt_failed(&self) {
        let (now, sent) = (self.started.elapsed(), self.sent());
        self.facts().close_attempt(now, sent);
    }

    /// Wonder's answer is forwarded.
    pub(super) fn answered(&self, status: StatusCode) {
        let mut facts = self.facts();
        facts.status = Some(status);
        facts.cause = rejection::cause(status, self.metrics.clock_skew());
        drop(facts);
        self.metrics.upstream_responded(status);
    }

    /// Wonder's answer was passed on to its last byte.
    pub(super) fn passed_on(&self) {
        let now = self.started.elapsed();
        let mut facts = self.facts();
        facts.ended = Some(now);
        let took = now.saturating_sub(facts.answered.unwrap_or(now));
        drop(facts);
        self.metrics.upstream_phase(metrics::Phase::Body, took.as_secs_f64());
    }

    /// We answer in its place.
    pub(super) fn failed(&self, failure: &Failure) {
        self.metrics.proxy_error(failure.code.as_str(), failure.sent);
        let (now, sent) = (self.started.elapsed(), self.sent());
        let mut facts = self.facts();
        facts.close_attempt(now, sent);
        facts.status = Some(failure.row().status);
        facts.sent = Some(failure.sent);
        facts.by_us = true;
        facts.code = Some(failure.code);
        facts.cause =
            Some(self.located(failure.code, failure.cause().map_or_else(|| failure.to_string(), str::to_owned)));
    }

    /// Ends when the answer is to be broken off.
    pub(super) fn cutting(&self) -> impl Future<Output = ()> + Send + use<> {
        self.drain.cutting()
    }

    /// Whether the answer is to be broken off.
    pub(super) fn is_cutting(&self) -> bool {
        self.drain.is_cutting()
    }

    /// The answer broke off after its head was forwarded. The caller cannot know what it would have said.
    pub(super) fn cut(&self, code: Code, cause: String) {
        self.metrics.proxy_error(code.as_str(), Sent::Maybe);
        let mut facts = self.facts();
        facts.code = Some(code);
        facts.sent = Some(Sent::Maybe);
        facts.cause = Some(self.located(code, cause));
    }

    /// The cause of an error on the way to Wonder, with the place where it happened.
    fn located(&self, code: Code, cause: String) -> String {
        use Code::{
            Draining, UpstreamBadResponse, UpstreamConnect, UpstreamDns, UpstreamReset, UpstreamTimeout, UpstreamTls,
        };
        match (code, self.handover.place()) {
            (
                UpstreamDns | UpstreamConnect | UpstreamTls | UpstreamReset | UpstreamBadResponse | UpstreamTimeout
                | Draining,
                Some(place),
            ) => format!("{cause} ({place})"),
            _ => cause,
        }
    }

    pub(super) fn passed(&self, bytes: usize) {
        self.facts().response_bytes += bytes as u64;
    }

    /// The last byte of our own answer was passed on.
    pub(super) fn ended(&self) {
        let now = self.started.elapsed();
        self.facts().ended = Some(now);
    }

    /// How long after the request's head it is now, and how long after `began`.
    fn since(&self, began: Instant) -> (Duration, Duration) {
        let now = Instant::now();
        (now - self.started, now - began)
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        // Nothing panics while it is held, and a fact half written is still worth a line.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    /// The attempt under way, if there is one, got no answer: it ended in waiting for a connection, or on one.
    fn close_attempt(&mut self, now: Duration, sent: Sent) {
        let Some(began) = self.attempt.take() else { return };
        let phase = Phase { ended: now, took: now.saturating_sub(began) };
        self.phases.waiting += phase.took;
        match sent {
            Sent::No => self.phases.connect = phase,
            Sent::Maybe => self.phases.upstream = phase,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let (total, sent) = (self.started.elapsed(), self.sent());
        // Its connection was ended with it, or its answer could not even be broken off: the caller read none of it.
        let unread = self.drain.is_cutting();
        let facts = self.facts.get_mut().unwrap_or_else(PoisonError::into_inner);
        // First, since whoever reads the line may send the next request.
        drop(facts.slot.take());
        facts.close_attempt(total, sent);
        if let Some(answered) = facts.answered {
            let ended = facts.ended.unwrap_or(total);
            facts.phases.response = Phase { ended, took: ended.saturating_sub(answered) };
        }
        let ended = facts.ended.is_some();
        if unread && facts.code.is_none() && !ended {
            self.metrics.proxy_error(Code::Draining.as_str(), sent);
            facts.code = Some(Code::Draining);
            facts.cause = Some(CUT.to_owned());
        }
        let cancelled = facts.code.is_none() && !ended;
        let answered = facts.answered.is_some() && facts.code.is_none() && ended;
        let sent = facts.sent.unwrap_or(sent);
        let by = if facts.by_us { Responder::Signer } else { Responder::Upstream };
        if let Some(status) = facts.status {
            self.metrics.request_finished(self.operation, &self.method, status, by, total.as_secs_f64());
            self.metrics.response_body(facts.response_bytes);
        }
        if facts.answered.is_some() && ended {
            let Phases { body, waiting, response, .. } = facts.phases;
            let theirs = body.took + waiting + response.took;
            self.metrics.added(total.saturating_sub(theirs).as_secs_f64());
        }
        if cancelled {
            self.metrics.cancelled(sent);
        }
        let request_id = self.id.to_str().unwrap_or_default();
        let refused = facts.by_us && facts.status.is_some_and(|status| status.is_client_error());
        let peer = (refused || self.operation.is_other()).then(|| self.caller.to_string());
        let has_certificate = matches!(self.caller, Caller::Certificate { .. });
        self.requests.finished(&Finished {
            request_id,
            trace: self.trace,
            operation: self.operation.name(),
            method: self.method.as_str(),
            path: self.path.as_deref(),
            status: facts.status.map(|status| status.as_u16()),
            origin: by.as_str(),
            sent: (!answered).then_some(sent),
            error: facts.code,
            cause: facts.cause.as_deref(),
            cancelled,
            caller: has_certificate.then(|| self.caller.name().map_or(UNNAMED, Name::as_str)),
            peer: peer.as_deref(),
            credential: facts.signer.as_ref().map(|signer| signer.name.as_str()),
            attempts: facts.attempts,
            total,
            phases: facts.phases,
            request_bytes: facts.request_bytes,
            response_bytes: facts.response_bytes,
        });
        // Last, since the program may end as soon as nothing is in flight.
        self.drain.closed(
            request_id,
            match facts.code {
                Some(Code::Draining) => End::Cut(sent),
                Some(_) if !facts.by_us => End::GivenUp,
                _ if ended => End::Answered,
                _ => End::GivenUp,
            },
        );
    }
}

/// In the caller's trace, or in a new one if somebody wants it.
fn place_in_trace(caller: Option<Traceparent>, requests: &Requests) -> Option<Trace> {
    if caller.is_none() && !requests.makes_traceparent() && !requests.has_recorder() {
        return None;
    }
    // All zeros names nothing (W3C Trace Context §3.2.2.3); one in 2^64 is not left to chance.
    let random = || rand::thread_rng().r#gen::<u64>().max(1).to_be_bytes();
    let span = SpanId(random());
    let (id, parent) = if let Some(Traceparent { trace, span, .. }) = caller {
        (trace, Some(span))
    } else {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&random());
        id[8..].copy_from_slice(&random());
        (TraceId(id), None)
    };
    Some(Trace { id, span, parent, recorded: requests.wants(id, caller.map(|caller| caller.sampled)) })
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::{
        config::{Log, LogFormat, LogLevel},
        telemetry::Recorder,
    };

    /// Is told of requests, and looks each time how many places are free.
    struct Watcher {
        places: Arc<Semaphore>,
        free: Mutex<Vec<usize>>,
    }

    impl Recorder for Watcher {
        fn wants(&self, _: TraceId, _: Option<bool>) -> bool {
            true
        }

        fn record(&self, _: &Finished<'_>) {
            self.free.lock().unwrap().push(self.places.available_permits());
        }
    }

    #[test]
    fn a_slot_is_free_before_anybody_is_told_that_its_request_is_over() {
        let places = Arc::new(Semaphore::new(1));
        let watcher = Arc::new(Watcher { places: Arc::clone(&places), free: Mutex::default() });
        let log = Log {
            level: LogLevel::Off,
            format: LogFormat::Json,
            make_traceparent: false,
            sample_success: 0.0,
            slow_request: Duration::ZERO,
        };
        let metrics = Metrics::new(&[]);
        let drain = Drain::new(1, metrics.clone());
        let requests = Requests::new(&log).recorded_by(Arc::<Watcher>::clone(&watcher));
        let exchange = Exchange::open(
            &Request::new(String::new()),
            Caller::UnixSocket,
            HeaderValue::from_static("r-1"),
            metrics,
            requests,
            drain,
        );
        exchange.hold(Arc::clone(&places).try_acquire_owned().unwrap());
        assert_eq!(places.available_permits(), 0);
        drop(exchange);
        assert_eq!(*watcher.free.lock().unwrap(), [1]);
    }
}
