//! The copies of deliveries in this process. Of equal copies, one at a time is processed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Identity;

/// Clones share it.
#[derive(Clone, Default)]
pub(super) struct Copies(Arc<Mutex<HashMap<Identity, Waiting>>>);

/// The copies of one delivery.
struct Waiting {
    /// One permit, for the copy being processed.
    permit: Arc<Semaphore>,
    copies: usize,
}

/// While it is held, no other copy is processed.
pub(super) struct Only {
    copy: Copy,
    _permit: OwnedSemaphorePermit,
}

/// One copy, counted until it is dropped.
struct Copy {
    all: Copies,
    identity: Identity,
}

impl Copies {
    /// Waits until no other copy of the delivery is processed.
    pub(super) async fn only(&self, identity: Identity) -> Only {
        let permit = {
            let mut all = self.all();
            let waiting =
                all.entry(identity).or_insert_with(|| Waiting { permit: Arc::new(Semaphore::new(1)), copies: 0 });
            waiting.copies += 1;
            Arc::clone(&waiting.permit)
        };
        let copy = Copy { all: self.clone(), identity };
        loop {
            // Nothing closes the semaphore.
            if let Ok(permit) = Arc::clone(&permit).acquire_owned().await {
                return Only { copy, _permit: permit };
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Identity, Waiting>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Only {
    pub(super) fn identity(&self) -> &Identity {
        &self.copy.identity
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let mut all = self.all.all();
        if let Some(waiting) = all.get_mut(&self.identity) {
            waiting.copies -= 1;
            if waiting.copies == 0 {
                all.remove(&self.identity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn of_equal_copies_one_goes_on_at_a_time_and_others_do_not_wait() {
        let all = Copies::default();
        let first = all.only([1; 32]).await;
        let mut second = Box::pin(all.only([1; 32]));
        let third = Box::pin(all.only([1; 32]));
        assert!(second.as_mut().now_or_never().is_none());
        let other = all.only([2; 32]).now_or_never();
        assert!(other.is_some());
        drop(third);
        drop(first);
        let second = second.now_or_never().unwrap();
        assert_eq!(second.identity(), &[1; 32]);
        assert!(all.only([1; 32]).now_or_never().is_none());
        drop((second, other));
        assert!(all.all().is_empty());
    }
}
