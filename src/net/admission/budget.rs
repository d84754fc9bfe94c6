//! The shared memory limit of all bodies.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Buffered, Metrics};

/// The memory that request bodies and held answers may use together.
pub(crate) struct Budget {
    memory: Arc<Memory>,
    metrics: Metrics,
}

struct Memory {
    left: Arc<Semaphore>,
    returned: Notify,
}

impl Budget {
    pub(super) fn new(bytes: usize, metrics: Metrics) -> Self {
        let memory = Memory { left: Arc::new(Semaphore::new(bytes)), returned: Notify::new() };
        Self { memory: Arc::new(memory), metrics }
    }

    /// An empty reservation.
    #[must_use]
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { memory: Arc::clone(&self.memory), permit: None, bytes: 0, counted: self.metrics.buffered() }
    }
}

/// A part of the budget, returned when it is dropped.
pub(crate) struct Reservation {
    memory: Arc<Memory>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
    counted: Buffered,
}

impl Reservation {
    /// Tries to enlarge the reservation to `bytes`, and returns whether it could. A reservation never shrinks.
    pub(crate) fn extend_to(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        let left = Arc::clone(&self.memory.left);
        let permits = u32::try_from(more).ok().and_then(|more| left.try_acquire_many_owned(more).ok());
        let Some(permits) = permits else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(permits),
            None => self.permit = Some(permits),
        }
        self.bytes = bytes;
        self.counted.add(more);
        true
    }

    /// Waits until the reservation is as large as `bytes`. A small one does not wait for an earlier large one, because most requests
    /// are small.
    pub(super) async fn extended_to(&mut self, bytes: usize) {
        let memory = Arc::clone(&self.memory);
        loop {
            // Registered first, so that memory returned from now on is not missed.
            let returned = memory.returned.notified();
            if self.extend_to(bytes) {
                return;
            }
            returned.await;
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.permit.take().is_some() {
            self.memory.returned.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn reserves_no_more_than_there_is_and_returns_it() {
        let budget = Budget::new(10, Metrics::new(&[]));
        let mut one = budget.reservation();
        assert!(one.extend_to(4) && one.extend_to(2) && one.extend_to(6));
        let mut other = budget.reservation();
        assert!(!other.extend_to(5));
        assert!(other.extend_to(4));
        assert!(!one.extend_to(7));
        drop(other);
        assert!(one.extend_to(10));
        assert!(!budget.reservation().extend_to(usize::MAX));
    }

    #[tokio::test]
    async fn a_reservation_waits_for_what_others_return() {
        let budget = Budget::new(10, Metrics::new(&[]));
        let mut one = budget.reservation();
        assert!(one.extend_to(8));
        let (mut large, mut small) = (budget.reservation(), budget.reservation());
        let mut waiting = pin!(large.extended_to(10));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(small.extended_to(2).now_or_never().is_some());
        drop((one, small));
        waiting.await;
    }
}
