//! The signing proxy: takes a plain request, checks it, signs it, forwards it, and streams the answer back.
//!
//! # Layout
//!
//! * [`stack`]: the tower stack that every connection of the signing listener is served with.
//! * `observe`: the outermost layer; opens an `exchange`, turns failures into responses.
//! * `record`: what is known about one request, as the sum of its events; pure.
//! * `exchange`: observes one request; feeds its record, and from it metrics, log, traces and drain.
//! * `deadline`: until when a request must have its answer's head; pure.
//! * `admit`: a request waits for its slot.
//! * `head`: which request heads are taken; `target`: whether a target stays under `/svc/` for every reader; both pure.
//! * `gateway`: stamps, signs and forwards.
//! * [`Drain`]: what was finished and what was cut at the end.
//! * `held`: reads a small answer whole before its head is forwarded.
//! * `rejection`: what to check when Wonder rejects the authentication; pure.
//! * `answer`: the body of every answer, watched to its end.
//! * `trace`: W3C `traceparent`; pure.

mod admit;
mod answer;
mod deadline;
mod drain;
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

pub use answer::Answer;
pub use drain::{Cut, Drain, Receipt};
pub use head::Rules;

use self::{gateway::Gateway, observe::Observe};
use crate::{
    config::{Limits, Timeouts},
    contract::Code,
    credentials::Store,
    metrics::Metrics,
    net::{admission::Admission, respond::Failure, upstream::Upstream},
    policy::Policy,
    signing::RequestTime,
    telemetry::Requests,
};

/// What a proxy is made of.
pub struct Parts {
    /// What signs.
    pub credentials: Arc<Store>,
    /// Where to.
    pub upstream: Upstream,
    /// Who counts.
    pub metrics: Metrics,
    /// Who tells of each request.
    pub requests: Requests,
    /// The callers that may have requests signed, and with which credential.
    pub policy: Arc<Policy>,
    /// Which requests are taken.
    pub rules: Rules,
    /// How many at a time, and how much of their bodies.
    pub admission: Arc<Admission>,
    /// How much of the rest.
    pub limits: Limits,
    /// How long.
    pub timeouts: Timeouts,
    /// Who keeps account at the end.
    pub drain: Drain,
    /// The time of day.
    pub clock: fn() -> RequestTime,
}

/// Puts the stack together.
pub fn stack(
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
        // A fault of ours ends one request with the contract's answer, not the connection without one.
        .map_future(caught)
        // Sheds what would only wait, before any of its body is read.
        .layer(admit)
        .service_fn(move |call| Arc::clone(&gateway).handle(call))
}

/// The panic hook writes where and why; the caller learns only that it was us.
fn caught<T>(work: impl Future<Output = Result<T, Failure>>) -> impl Future<Output = Result<T, Failure>> {
    let fault = || Failure::new(Code::Internal, "a fault inside wonder-signer");
    AssertUnwindSafe(work).catch_unwind().map(move |outcome| outcome.unwrap_or_else(|_| Err(fault())))
}
