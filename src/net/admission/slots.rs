//! Limits the number of requests in flight.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

use super::arrivals::Arrivals;
use crate::{
    contract::{Code, Sent},
    net::respond::Failure,
    overload::Overload,
};

/// How long a request waits for a slot before it searches again for bodies that are behind.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) struct Slots {
    free: Arc<Semaphore>,
    overload: Overload,
}

impl Slots {
    /// Makes `count` slots, for which a request waits up to `queue`.
    pub(super) fn new(count: usize, queue: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), overload: Overload::new(queue) }
    }

    /// Waits for a slot. If none is free, requests whose bodies are behind are evicted.
    pub(super) async fn next(&self, arrivals: &Arrivals) -> Result<OwnedSemaphorePermit, Failure> {
        let free = Arc::clone(&self.free);
        if let Ok(slot) = Arc::clone(&free).try_acquire_owned() {
            self.overload.empty(Instant::now());
            return Ok(slot);
        }
        let longest = self.overload.patience(Instant::now());
        let evicting = async {
            loop {
                arrivals.evict_all_behind(None).await;
                // Meanwhile requests with slots may start to read their bodies.
                sleep(LOOK_AGAIN).await;
            }
        };
        tokio::select! {
            biased;
            slot = free.acquire_owned() => slot.map_err(|_closed| Failure::draining(Sent::No)),
            () = sleep(longest) => Err(full()),
            () = evicting => Err(full()),
        }
    }

    /// Closes the slots: waiting and later requests are rejected.
    pub(super) fn close(&self) {
        self.free.close();
    }
}

fn full() -> Failure {
    Failure::new(Code::Overloaded, "too many requests in flight (limits.requests_in_flight)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Duration = Duration::from_secs(1);

    /// How long a request waits before it is rejected.
    async fn rejected_after(slots: &Slots) -> Duration {
        let began = Instant::now();
        assert_eq!(slots.next(&Arrivals::default()).await.unwrap_err().code, Code::Overloaded);
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_less_in_a_standing_queue() {
        let slots = Slots::new(1, QUEUE);
        let slot = slots.next(&Arrivals::default()).await.unwrap();
        assert_eq!(rejected_after(&slots).await, QUEUE);
        // Tokio's paused time has a resolution of milliseconds.
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(rejected_after(&slots).await, QUEUE / 10);
        drop(slot);
        let _slot = slots.next(&Arrivals::default()).await.unwrap();
        assert_eq!(rejected_after(&slots).await, QUEUE);
    }

    #[tokio::test]
    async fn without_a_queue_a_request_does_not_wait_and_closed_slots_are_none() {
        let slots = Slots::new(1, Duration::ZERO);
        let _slot = slots.next(&Arrivals::default()).await.unwrap();
        assert_eq!(slots.next(&Arrivals::default()).await.unwrap_err().code, Code::Overloaded);
        slots.close();
        assert_eq!(slots.next(&Arrivals::default()).await.unwrap_err().code, Code::Draining);
    }
}
