//! How many requests are worked on at a time. A slot is held until the answer has ended, not only until it begins.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::Request;
use tokio::{sync::Semaphore, time::timeout};
use tower::{Layer, Service, layer::layer_fn};

use super::exchange::Exchange;
use crate::net::respond::{Code, Failure};

#[derive(Clone)]
pub(super) struct Slots<S> {
    inner: S,
    places: Arc<Semaphore>,
    queue: Duration,
}

impl<S> Slots<S> {
    /// As many requests at a time as `places` has; others wait for up to `queue` and are then told to come back.
    pub(super) fn layer(places: Arc<Semaphore>, queue: Duration) -> impl Layer<S, Service = Self> + Clone {
        layer_fn(move |inner| Self { inner, places: Arc::clone(&places), queue })
    }
}

impl<S, B> Service<Request<B>> for Slots<S>
where
    S: Service<Request<B>, Error = Failure> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<S::Response, Failure>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut inner, places, queue) = (self.inner.clone(), Arc::clone(&self.places), self.queue);
        Box::pin(async move {
            let slot = match Arc::clone(&places).try_acquire_owned() {
                Ok(slot) => slot,
                Err(_) => match timeout(queue, places.acquire_owned()).await {
                    Ok(Ok(slot)) => slot,
                    Ok(Err(_closed)) => return Err(draining()),
                    Err(_late) => return Err(full()),
                },
            };
            Exchange::of(&request).hold(slot);
            inner.call(request).await
        })
    }
}

fn full() -> Failure {
    Failure::new(Code::Overloaded, "too many requests in flight (limits.requests_in_flight)").closing()
}

fn draining() -> Failure {
    Failure::new(Code::Draining, "shutting down; send it to another instance, or again after the restart").closing()
}
