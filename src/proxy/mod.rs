//! The signing proxy: checks a plain request, signs it, forwards it, and streams the response back.
//!
//! # Layout
//!
//! * `stack`: the tower stack that serves every connection of the signing listener.
//! * `observe`: the outermost layer; opens an `exchange`, turns failures into responses.
//! * `record`: the known facts of one request, as the sum of its events; pure.
//! * `exchange`: observes one request; feeds its record, and from it metrics, log, traces and drain.
//! * `deadline`: the deadline for the response head; pure.
//! * `admit`: a request waits for its slot.
//! * `head`: accepts or rejects a request head; `target`: whether a target stays under `/svc/` in every reading; both pure.
//! * `gateway`: stamps, signs and forwards.
//! * `held`: reads a small response whole before its head is forwarded.
//! * `rejection`: the advice when Wonder rejects the authentication; pure.
//! * `answer`: the body of every response; reports its end.
//! * `trace`: W3C `traceparent`; pure.

mod admit;
mod answer;
mod deadline;
mod exchange;
mod gateway;
mod head;
mod held;
mod observe;
mod record;
mod rejection;
mod target;
mod trace;

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Service, ServiceBuilder};

pub(crate) use answer::Answer;
pub(crate) use head::Rules;

use self::{gateway::Gateway, observe::Observe};
use crate::{
    config::{Limits, Timeouts},
    contract::Code,
    credentials::Store,
    metrics::Metrics,
    net::{admission::Admission, drain::Drain, respond::Failure, upstream::Upstreams},
    policy::Policy,
    signing::RequestTime,
    telemetry::Requests,
};

/// The parts of a proxy.
pub(crate) struct Parts {
    /// The credentials that sign.
    pub(crate) credentials: Arc<Store>,
    /// The clients of the origins.
    pub(crate) upstreams: Upstreams,
    /// The counters.
    pub(crate) metrics: Metrics,
    /// Logs and traces each request.
    pub(crate) requests: Requests,
    /// The callers that may have requests signed, and with which credential.
    pub(crate) policy: Arc<Policy>,
    /// The rules for request heads.
    pub(crate) rules: Rules,
    /// The limits on requests in flight and on their bodies.
    pub(crate) admission: Arc<Admission>,
    /// The other limits.
    pub(crate) limits: Limits,
    /// The time-outs.
    pub(crate) timeouts: Timeouts,
    /// Counts the requests of a drain.
    pub(crate) drain: Drain,
    /// The clock.
    pub(crate) clock: fn() -> RequestTime,
}

/// Builds the stack.
pub(crate) fn stack(
    parts: Parts,
) -> impl Service<Request<Incoming>, Response = Response<Answer>, Error = Infallible, Future: Send + Unpin + 'static>
+ Clone
+ Send
+ Sync
+ 'static {
    let observe = Observe::layer(
        Arc::clone(&parts.policy),
        parts.metrics.clone(),
        parts.requests.clone(),
        parts.drain.clone(),
        parts.timeouts,
    );
    let admit = admit::layer(Arc::clone(&parts.admission));
    let gateway = Arc::new(Gateway::new(parts));
    ServiceBuilder::new()
        // Outermost: everything below is timed, counted and logged, and every failure becomes a response.
        .layer(observe)
        // A panic ends one request with an answer of the contract, instead of the connection without an answer.
        .map_future(caught)
        // Rejects requests under overload, before any of their body is read.
        .layer(admit)
        .service_fn(move |call| Arc::clone(&gateway).handle(call))
}

/// The panic hook logs the place. The caller receives `internal`.
fn caught<T>(work: impl Future<Output = Result<T, Failure>>) -> impl Future<Output = Result<T, Failure>> {
    let fault = || Failure::new(Code::Internal, "a fault inside wonder-signer");
    AssertUnwindSafe(work).catch_unwind().map(move |outcome| outcome.unwrap_or_else(|_| Err(fault())))
}
