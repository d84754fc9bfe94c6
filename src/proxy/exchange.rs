//! Observes one request: stamps each event with its time, adds it to the request's [`Record`], and counts it. When the last reference
//! is dropped, after the last byte of the response or when the caller has closed the connection, the record goes to log, traces
//! and drain.
//!
//! The meaning of an event is in `record`; formatting and sampling are in `telemetry`.

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
use tokio::sync::OwnedSemaphorePermit;

use super::{
    deadline::Deadline,
    record::Record,
    rejection,
    trace::{self, Traceparent},
};
use crate::{
    contract::{Code, Sent},
    credentials::Entry,
    metrics::{self, InFlight, Metrics},
    net::{
        drain::{Drain, End},
        intake::HeadError,
        respond::Failure,
        upstream::Handover,
    },
    operations::{self, Operation},
    policy::{Caller, Name},
    telemetry::{Finished, Requests, Trace},
};

/// The cause of a response that the end of a drain broke off.
pub(super) const CUT: &str = "the answer was not forwarded whole before the end of shutdown.grace";

/// The log's name for a caller whose certificate has no usable name.
const UNNAMED: &str = "unnamed";

/// A request on its way through the layers.
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
    /// The template form of the path, if that belongs to no operation.
    path: Option<String>,
    metrics: Metrics,
    requests: Requests,
    drain: Drain,
    _in_flight: InFlight,
    handover: Handover,
    /// Whether a part of the request body has not been read.
    body_unread: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slot: Option<OwnedSemaphorePermit>,
    credential: Option<Arc<Entry>>,
    record: Record,
}

impl Exchange {
    /// Opens the exchange of a request whose head was just read.
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
        // The server replaces a request head that it rejects, and with it the path.
        let is_own = request.extensions().get::<HeadError>().is_none();
        Self {
            id,
            method: request.method().clone(),
            path: (operation.is_other() && is_own).then(|| operations::template(path)),
            operation,
            started: Instant::now(),
            trace: trace::position(Traceparent::of(request.headers()), &requests, &mut rand::thread_rng()),
            caller,
            _in_flight: metrics.request_started(),
            metrics,
            requests,
            drain,
            handover: Handover::default(),
            body_unread: AtomicBool::new(!request.body().is_end_stream()),
            state: Mutex::default(),
        }
    }

    /// When the request head was read.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// The `traceparent` to forward, if the trace started here and `log.make_traceparent` is set.
    pub(super) fn traceparent(&self) -> Option<Traceparent> {
        let started_here = self.trace.filter(|trace| trace.parent.is_none() && self.requests.makes_traceparent());
        started_here.map(|Trace { id, span, recorded, .. }| Traceparent { trace: id, span, sampled: recorded })
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Keeps a slot until the exchange ends.
    pub(super) fn hold(&self, slot: OwnedSemaphorePermit) {
        self.state().slot = Some(slot);
    }

    /// This credential will sign the request.
    pub(super) fn signing_as(&self, credential: &Arc<Entry>) {
        self.state().credential = Some(Arc::clone(credential));
    }

    /// The last byte of the request body was read.
    pub(super) fn body_read(&self, bytes: u64, began: Instant) {
        let (at, took) = self.since(began);
        self.record(|record| record.body_read(at, took, bytes));
        self.body_discarded();
        self.metrics.body_read(took.as_secs_f64(), bytes);
    }

    /// No byte of the request body is left on the connection.
    pub(super) fn body_discarded(&self) {
        self.body_unread.store(false, Ordering::Relaxed);
    }

    /// Whether a part of the request body has not been read.
    pub(super) fn has_unread_body(&self) -> bool {
        self.body_unread.load(Ordering::Relaxed)
    }

    pub(super) fn signed(&self, began: Instant) {
        let (at, took) = self.since(began);
        self.record(|record| record.signed(at, took));
        self.metrics.signed(true, took.as_secs_f64());
    }

    /// Returns when the attempt started, and the handover that records whether a connection took the request.
    pub(super) fn attempt_started(&self) -> (Instant, &Handover) {
        let now = Instant::now();
        self.record(|record| record.attempt_started(now - self.started));
        (now, &self.handover)
    }

    pub(super) fn attempt_failed(&self) {
        let (at, sent) = (self.started.elapsed(), self.sent());
        self.record(|record| record.attempt_failed(at, sent));
    }

    /// `connected` is when the connection was ready for requests.
    pub(super) fn response_head(&self, connected: Instant) {
        let (at, connected) = (self.started.elapsed(), connected.saturating_duration_since(self.started));
        let took = self.record(|record| record.response_head(at, connected));
        self.metrics.upstream_phase(metrics::Phase::Head, took.as_secs_f64());
    }

    /// Whether any byte of the request may have been sent.
    pub(super) fn sent(&self) -> Sent {
        self.handover.sent()
    }

    pub(super) fn head_forwarded(&self, status: StatusCode) {
        let cause = rejection::cause(status, self.metrics.clock_skew());
        self.record(|record| record.head_forwarded(status, cause));
        self.metrics.upstream_responded(status);
    }

    pub(super) fn response_data(&self, bytes: usize) {
        self.record(|record| record.response_data(bytes));
    }

    pub(super) fn response_end(&self) {
        let at = self.started.elapsed();
        if let Some(took) = self.record(|record| record.response_end(at)) {
            self.metrics.upstream_phase(metrics::Phase::Body, took.as_secs_f64());
        }
    }

    pub(super) fn failed(&self, failure: &Failure) {
        let (code, sent) = (failure.code, failure.sent);
        self.metrics.proxy_error(code.as_str(), sent);
        let cause = self.located(code, failure.cause().map_or_else(|| failure.to_string(), str::to_owned));
        let at = self.started.elapsed();
        self.record(|record| record.failed(at, failure.row().status, code, sent, cause));
    }

    pub(super) fn response_broken(&self, code: Code, cause: String) {
        self.metrics.proxy_error(code.as_str(), Sent::Maybe);
        let cause = self.located(code, cause);
        self.record(|record| record.response_broken(code, cause));
    }

    /// Completes when the response must be broken off.
    pub(super) fn cutting(&self) -> impl Future<Output = ()> + Send + use<> {
        self.drain.cutting()
    }

    /// Whether the response must be broken off.
    pub(super) fn is_cutting(&self) -> bool {
        self.drain.is_cutting()
    }

    /// The cause of an upstream error, with the origin or address where it happened.
    fn located(&self, code: Code, cause: String) -> String {
        use Code::{
            Draining, UpstreamBadResponse, UpstreamConnect, UpstreamDns, UpstreamReset, UpstreamTimeout, UpstreamTls,
        };
        match (code, self.handover.route()) {
            (
                UpstreamDns | UpstreamConnect | UpstreamTls | UpstreamReset | UpstreamBadResponse | UpstreamTimeout
                | Draining,
                Some(route),
            ) => format!("{cause} ({route})"),
            _ => cause,
        }
    }

    /// The time since the request head, and since `began`.
    fn since(&self, began: Instant) -> (Duration, Duration) {
        let now = Instant::now();
        (now - self.started, now - began)
    }

    fn count(&self, record: &Record) {
        if let Some(status) = record.status() {
            let seconds = record.total().as_secs_f64();
            self.metrics.request_finished(self.operation, &self.method, status, record.responder(), seconds);
            self.metrics.response_body(record.response_bytes());
        }
        if let Some(added) = record.added() {
            self.metrics.added(added.as_secs_f64());
        }
    }

    /// Writes the log line and the trace.
    fn report(&self, record: &Record, credential: Option<&Entry>) {
        let shows_peer = record.is_rejected() || self.operation.is_other();
        let peer = shows_peer.then(|| self.caller.to_string());
        let has_certificate = matches!(self.caller, Caller::Certificate { .. });
        self.requests.finished(&Finished {
            request_id: self.id.to_str().unwrap_or_default(),
            trace: self.trace,
            operation: self.operation.name(),
            method: self.method.as_str(),
            path: self.path.as_deref(),
            status: record.status().map(|status| status.as_u16()),
            origin: record.responder().as_str(),
            sent: record.sent(),
            error: record.error(),
            cause: record.cause(),
            cancelled: record.is_cancelled(),
            caller: has_certificate.then(|| self.caller.name().map_or(UNNAMED, Name::as_str)),
            peer: peer.as_deref(),
            credential: credential.map(|credential| credential.name.as_str()),
            attempts: record.attempts(),
            total: record.total(),
            phases: record.phases(),
            request_bytes: record.request_bytes(),
            response_bytes: record.response_bytes(),
        });
    }

    fn record<T>(&self, event: impl FnOnce(&mut Record) -> T) -> T {
        event(&mut self.state().record)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it is held, and an incomplete record still gets a line.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let (at, sent) = (self.started.elapsed(), self.sent());
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let State { slot, credential, mut record } = std::mem::take(state);
        // First, because a reader of the line may send the next request.
        drop(slot);
        if record.is_open() {
            if self.drain.is_cutting() {
                self.metrics.proxy_error(Code::Draining.as_str(), sent);
                record.drained(at, sent, CUT.to_owned());
            } else {
                self.metrics.cancelled(sent);
                record.cancelled(at, sent);
            }
        }
        record.closed(at);
        self.count(&record);
        self.report(&record, credential.as_deref());
        let end = record.end();
        if let End::Cut(sent) = end {
            self.metrics.drain_cut(sent);
        }
        // Last, because the program may exit when no request is in flight.
        self.drain.closed(self.id.to_str().unwrap_or_default(), end);
    }
}

#[cfg(test)]
mod tests;
