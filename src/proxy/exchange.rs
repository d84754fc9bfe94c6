//! What is known about one request and its answer. Filled in on the way, written to log and metrics once, when the last
//! holder lets go: after the answer's last byte, or when the caller has hung up.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Request, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::drain::Drain;
use crate::{
    keystore::Entry,
    metrics::{InFlight, Metrics, Responder, Sent},
    net::{
        respond::{Code, Failure},
        upstream::Handover,
    },
    operations::{self, Operation},
};

pub(super) struct Exchange {
    id: HeaderValue,
    method: Method,
    operation: &'static Operation,
    started: Instant,
    metrics: Metrics,
    drain: Drain,
    _in_flight: InFlight,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    slot: Option<OwnedSemaphorePermit>,
    signer: Option<Arc<Entry>>,
    attempts: u32,
    handover: Option<Handover>,
    status: Option<StatusCode>,
    by_us: bool,
    code: Option<Code>,
    cause: Option<String>,
    ended: bool,
    request_bytes: u64,
    response_bytes: u64,
    body: Duration,
    sign: Duration,
    upstream: Duration,
}

impl Exchange {
    pub(super) fn open<B>(request: &Request<B>, id: HeaderValue, metrics: Metrics, drain: Drain) -> Self {
        drain.opened();
        Self {
            id,
            method: request.method().clone(),
            operation: operations::find(request.method().as_str(), request.uri().path()),
            started: Instant::now(),
            _in_flight: metrics.request_started(),
            metrics,
            drain,
            facts: Mutex::default(),
        }
    }

    /// The exchange of a request that came through [`Observe`](super::observe::Observe).
    pub(super) fn of<B>(request: &Request<B>) -> Arc<Self> {
        match request.extensions().get::<Arc<Self>>() {
            Some(exchange) => Arc::clone(exchange),
            None => unreachable!("the outermost layer opens an exchange for every request"),
        }
    }

    pub(super) fn id(&self) -> &HeaderValue {
        &self.id
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

    pub(super) fn body_taken(&self, bytes: u64, took: Duration) {
        let mut facts = self.facts();
        (facts.request_bytes, facts.body) = (bytes, took);
        drop(facts);
        self.metrics.body_read(took.as_secs_f64(), bytes);
    }

    pub(super) fn signed(&self, took: Duration) {
        self.facts().sign += took;
        self.metrics.signed(true, took.as_secs_f64());
    }

    /// A new attempt begins; from here on `handover` knows whether a connection has got hold of it.
    pub(super) fn attempt(&self, handover: Handover) {
        let mut facts = self.facts();
        facts.attempts += 1;
        facts.handover = Some(handover);
    }

    pub(super) fn head_after(&self, took: Duration) {
        self.facts().upstream = took;
    }

    /// Whether any byte of the request may have left.
    pub(super) fn sent(&self) -> Sent {
        self.facts().handover.as_ref().map_or(Sent::No, Handover::sent)
    }

    /// The attempt came to nothing, and it is certain that none of it was sent.
    pub(super) fn not_sent(&self) {
        self.facts().handover = None;
    }

    /// Wonder has answered.
    pub(super) fn answered(&self, status: StatusCode) {
        self.facts().status = Some(status);
        self.metrics.upstream_responded(status);
    }

    /// We answer in its place.
    pub(super) fn failed(&self, failure: &Failure) {
        self.metrics.proxy_error(failure.code.as_str(), failure.sent);
        let mut facts = self.facts();
        facts.status = Some(failure.code.status());
        facts.by_us = true;
        facts.code = Some(failure.code);
        facts.cause = Some(failure.cause().map_or_else(|| failure.to_string(), str::to_owned));
    }

    /// The answer broke off after its head had been passed on.
    pub(super) fn cut(&self, code: Code, cause: String) {
        self.metrics.proxy_error(code.as_str(), Sent::Maybe);
        let mut facts = self.facts();
        facts.code = Some(code);
        facts.cause = Some(cause);
    }

    pub(super) fn passed(&self, bytes: usize) {
        self.facts().response_bytes += bytes as u64;
    }

    /// The answer's last byte was passed on.
    pub(super) fn ended(&self) {
        self.facts().ended = true;
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        // Nothing panics while it is held, and a fact half written is still worth a line.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let total = self.started.elapsed();
        let sent = self.sent();
        let facts = self.facts();
        let cancelled = facts.code.is_none() && !facts.ended;
        let by = if facts.by_us { Responder::Signer } else { Responder::Upstream };
        if let Some(status) = facts.status {
            self.metrics.request_finished(self.operation, &self.method, status, by, total.as_secs_f64());
        }
        if cancelled {
            self.metrics.cancelled(sent);
        }
        self.drain.closed(self.id.to_str().unwrap_or_default(), facts.ended, sent);
        tracing::info!(
            request_id = self.id.to_str().unwrap_or_default(),
            operation = self.operation.name(),
            method = self.method.as_str(),
            status = facts.status.map(|status| status.as_u16()),
            origin = facts.status.map(|_| by.as_str()),
            sent = if facts.status.is_some() && !facts.by_us { "yes" } else { sent.as_str() },
            error = facts.code.map(Code::as_str),
            cause = facts.cause.as_deref(),
            cancelled = cancelled.then_some(true),
            credential = facts.signer.as_ref().map(|signer| signer.name.as_str()),
            attempts = facts.attempts,
            body_ms = milliseconds(facts.body),
            sign_ms = milliseconds(facts.sign),
            upstream_ms = milliseconds(facts.upstream),
            total_ms = milliseconds(total),
            request_bytes = facts.request_bytes,
            response_bytes = facts.response_bytes,
            "request"
        );
    }
}

/// With three decimals: a signature takes a fraction of one.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
