//! The outermost layer: gives each request an id, opens its exchange, and turns failures into responses.

use std::{
    convert::Infallible,
    future::ready,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use rand::Rng as _;
use tokio::time::timeout_at;
use tower::{Layer, Service, layer::layer_fn};

use super::{
    answer::Answer,
    deadline::Deadline,
    exchange::{Call, Exchange},
    held::Held,
    trace::{TRACEPARENT, TRACESTATE},
};
use crate::{
    config::Timeouts,
    metrics::{CallerRequests, Metrics},
    net::{
        drain::Drain,
        headers,
        intake::HeadError,
        respond::{Failure, REQUEST_ID},
    },
    policy::{Caller, Name, Policy},
    telemetry::Requests,
};

#[derive(Clone)]
pub(super) struct Observe<S> {
    inner: S,
    policy: Arc<Policy>,
    callers: CallerRequests,
    metrics: Metrics,
    requests: Requests,
    drain: Drain,
    timeouts: Timeouts,
}

impl<S> Observe<S> {
    pub(super) fn layer(
        policy: Arc<Policy>,
        metrics: Metrics,
        requests: Requests,
        drain: Drain,
        timeouts: Timeouts,
    ) -> impl Layer<S, Service = Self> + Clone {
        let callers = metrics.callers(policy.names().map(Name::as_str));
        layer_fn(move |inner| Self {
            inner,
            policy: Arc::clone(&policy),
            callers: callers.clone(),
            metrics: metrics.clone(),
            requests: requests.clone(),
            drain: drain.clone(),
            timeouts,
        })
    }
}

impl<S> Service<Request<Incoming>> for Observe<S>
where
    S: Service<Call, Response = Response<Held>, Error = Failure> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Answer>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The layers below are always ready: they queue in `call`, where the wait is timed and counted.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let id = request_id(request.headers());
        request.headers_mut().insert(REQUEST_ID, id.clone());
        let (metrics, requests, drain) = (self.metrics.clone(), self.requests.clone(), self.drain.clone());
        let caller: Caller = request.extensions_mut().remove().unwrap_or_default();
        if let Caller::Certificate { name, .. } = &caller {
            self.callers.count(name.as_ref().map(Name::as_str));
        }
        let exchange = Arc::new(Exchange::open(&request, caller, id, metrics, requests, drain));
        if let Some(value) = exchange.traceparent().and_then(|ours| HeaderValue::try_from(ours.to_string()).ok()) {
            // A `tracestate` without a valid `traceparent` belongs to no trace.
            request.headers_mut().remove(TRACESTATE);
            request.headers_mut().insert(TRACEPARENT, value);
        }
        if let Some(refusal) = request.extensions().get::<HeadError>() {
            return Box::pin(ready(Ok(reject((*refusal).into(), exchange))));
        }
        if let Err(denial) = self.policy.admit(exchange.caller()) {
            // The denial applies to every request of the connection.
            let failure = Failure::from(denial).closing();
            return Box::pin(ready(Ok(reject(failure, exchange))));
        }
        let timeouts = self.timeouts;
        let deadline = match Deadline::of(request.headers(), exchange.started(), timeouts.request) {
            Ok(deadline) => deadline,
            Err(failure) => return Box::pin(ready(Ok(reject(failure, exchange)))),
        };
        let mut inner = self.inner.clone();
        let cutting = self.drain.cutting();
        Box::pin(async move {
            let call = Call { request, deadline, exchange: Arc::clone(&exchange) };
            let outcome = tokio::select! {
                // A response that arrives in the last moment is forwarded.
                biased;
                outcome = timeout_at(deadline.at().into(), inner.call(call)) => match outcome {
                    Ok(outcome) => outcome,
                    Err(_) => Err(deadline.missed()),
                },
                () = cutting => Err(Failure::draining(exchange.sent())),
            };
            Ok(match outcome {
                Ok(response) => forward(response, exchange, timeouts.response_idle),
                Err(failure) => reject(failure, exchange),
            })
        })
    }
}

fn forward(mut response: Response<Held>, exchange: Arc<Exchange>, idle: Duration) -> Response<Answer> {
    headers::to_downstream(response.headers_mut());
    // The origin's version is that of its own hop (RFC 9110 §2.5). With HTTP/1.0 the response could not be chunked.
    *response.version_mut() = Version::HTTP_11;
    response.headers_mut().insert(REQUEST_ID, exchange.id().clone());
    exchange.head_forwarded(response.status());
    response.map(|held| Answer::of_upstream(held, exchange, idle))
}

fn reject(failure: Failure, exchange: Arc<Exchange>) -> Response<Answer> {
    // Only the exchange records whether the request was handed to a connection.
    let failure = failure.with_sent(exchange.sent());
    // The connection closes, because the rest of the body would be read as the next request.
    let failure = if exchange.has_unread_body() { failure.closing() } else { failure };
    let response = failure.respond(exchange.id());
    exchange.failed(&failure);
    response.map(|body| Answer::our_own(body, exchange))
}

/// The caller's `X-Request-ID` if it is one of 1 to 128 visible ASCII characters, else a new UUID of version 4.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic) => {
            id.clone()
        }
        _ => {
            let id = uuid::Builder::from_random_bytes(rand::thread_rng().r#gen()).into_uuid();
            let mut text = uuid::Uuid::encode_buffer();
            HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("-"))
        }
    }
}
