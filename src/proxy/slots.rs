//! How many requests are worked on at a time. A slot is held until the answer has ended, not only until it begins.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};
use tower::{Layer, Service, layer::layer_fn, service_fn};

use super::exchange::Call;
use crate::net::respond::{Code, Failure};

/// As many requests at a time as `places` has; others wait for up to `queue` and are then told to come back.
pub(super) fn layer<S>(
    places: Arc<Semaphore>,
    queue: Duration,
) -> impl Layer<S, Service = impl Service<Call, Response = S::Response, Error = Failure, Future: Send> + Clone + Send>
where
    S: Service<Call, Error = Failure, Future: Send> + Clone + Send + Sync,
{
    layer_fn(move |inner: S| {
        let places = Arc::clone(&places);
        service_fn(move |call: Call| {
            let (mut inner, places) = (inner.clone(), Arc::clone(&places));
            async move {
                let slot = match Arc::clone(&places).try_acquire_owned() {
                    Ok(slot) => slot,
                    Err(_) => match timeout(queue, places.acquire_owned()).await {
                        Ok(Ok(slot)) => slot,
                        Ok(Err(_closed)) => return Err(draining()),
                        Err(_late) => return Err(full()),
                    },
                };
                call.exchange.hold(slot);
                inner.call(call).await
            }
        })
    })
}

fn full() -> Failure {
    Failure::new(Code::Overloaded, "too many requests in flight (limits.requests_in_flight)").closing()
}

fn draining() -> Failure {
    Failure::new(Code::Draining, "shutting down; send it to another instance, or again after the restart").closing()
}
