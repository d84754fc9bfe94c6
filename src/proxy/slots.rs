//! How many requests are worked on at a time. A slot is held until the answer has ended, not only until it begins.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tower::{Layer, Service, layer::layer_fn, service_fn};

use super::{body, exchange::Call};
use crate::{
    contract::{Code, Sent},
    net::respond::Failure,
    overload::Overload,
};

/// As many requests at a time as `places` has; others wait.
pub(super) fn layer<S>(
    places: Arc<Semaphore>,
    queue: Duration,
) -> impl Layer<S, Service = impl Service<Call, Response = S::Response, Error = Failure, Future: Send> + Clone + Send>
where
    S: Service<Call, Error = Failure, Future: Send> + Clone + Send + Sync,
{
    let slots = Arc::new(Slots { places, overload: Overload::new(queue) });
    layer_fn(move |inner: S| {
        let slots = Arc::clone(&slots);
        service_fn(move |call: Call| {
            let (mut inner, slots) = (inner.clone(), Arc::clone(&slots));
            async move {
                match slots.next().await {
                    Ok(slot) => call.exchange.hold(slot),
                    Err(failure) => {
                        if failure.code == Code::Overloaded && body::swallow(call.request).await {
                            call.exchange.body_discarded();
                        }
                        return Err(failure);
                    }
                }
                inner.call(call).await
            }
        })
    })
}

struct Slots {
    places: Arc<Semaphore>,
    overload: Overload,
}

impl Slots {
    /// A slot, as soon as there is one.
    async fn next(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let places = Arc::clone(&self.places);
        if let Ok(slot) = Arc::clone(&places).try_acquire_owned() {
            self.overload.empty(Instant::now());
            return Ok(slot);
        }
        let patience = self.overload.patience(Instant::now());
        match timeout(patience, places.acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_closed)) => Err(Failure::draining(Sent::No)),
            Err(_late) => Err(full()),
        }
    }
}

fn full() -> Failure {
    Failure::new(Code::Overloaded, "too many requests in flight (limits.requests_in_flight)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Duration = Duration::from_secs(1);

    /// How long somebody waits in vain.
    async fn in_vain(slots: &Slots) -> Duration {
        let began = Instant::now();
        assert_eq!(slots.next().await.unwrap_err().code, Code::Overloaded);
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_stands_has_less_patience() {
        let slots = Slots { places: Arc::new(Semaphore::new(1)), overload: Overload::new(QUEUE) };
        let slot = slots.next().await.unwrap();
        assert_eq!(in_vain(&slots).await, QUEUE);
        // Paused time goes in milliseconds.
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(in_vain(&slots).await, QUEUE / 10);
        drop(slot);
        let _slot = slots.next().await.unwrap();
        assert_eq!(in_vain(&slots).await, QUEUE);
    }

    #[tokio::test]
    async fn without_a_queue_there_is_no_waiting_and_at_the_end_there_are_no_slots() {
        let slots = Slots { places: Arc::new(Semaphore::new(1)), overload: Overload::new(Duration::ZERO) };
        let _slot = slots.next().await.unwrap();
        assert_eq!(slots.next().await.unwrap_err().code, Code::Overloaded);
        slots.places.close();
        assert_eq!(slots.next().await.unwrap_err().code, Code::Draining);
    }
}
