//! The memory that all bodies in one place take together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Buffered, Metrics};

/// The memory that request bodies and held answers may take together.
pub struct Budget {
    left: Arc<Semaphore>,
    metrics: Metrics,
}

impl Budget {
    pub(super) fn new(bytes: usize, metrics: Metrics) -> Self {
        Self { left: Arc::new(Semaphore::new(bytes)), metrics }
    }

    /// An empty claim.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { left: Arc::clone(&self.left), permit: None, bytes: 0, counted: self.metrics.buffered() }
    }
}

/// A part of the budget, returned when it is dropped.
pub struct Claim {
    left: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
    counted: Buffered,
}

impl Claim {
    /// Whether the claim could be made as large as `bytes`. It never gets smaller.
    pub fn extend_to(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        let permits =
            u32::try_from(more).ok().and_then(|more| Arc::clone(&self.left).try_acquire_many_owned(more).ok());
        let Some(permits) = permits else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(permits),
            None => self.permit = Some(permits),
        }
        self.bytes = bytes;
        self.counted.add(more);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_no_more_than_there_is_and_returns_it() {
        let budget = Budget::new(10, Metrics::new(&[]));
        let mut one = budget.claim();
        assert!(one.extend_to(4) && one.extend_to(2) && one.extend_to(6));
        let mut other = budget.claim();
        assert!(!other.extend_to(5));
        assert!(other.extend_to(4));
        assert!(!one.extend_to(7));
        drop(other);
        assert!(one.extend_to(10));
        assert!(!budget.claim().extend_to(usize::MAX));
    }
}
