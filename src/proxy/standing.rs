//! Tells a burst from an overload: a queue that has not been empty for a while takes in more than goes out, and there waiting
//! longer helps nobody. (The rule is that of Ben Maurer, "Fail at Scale", ACM Queue 13:8, 2015: the limit on the time in a
//! queue is strict only while the queue stands.)

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub(super) struct Standing {
    limit: Duration,
    last_empty: Mutex<Instant>,
}

impl Standing {
    /// Of a queue in which nobody waits for longer than `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, last_empty: Mutex::new(Instant::now()) }
    }

    /// Somebody finds the queue empty.
    pub(super) fn empty(&self, now: Instant) {
        *self.last_empty() = now;
    }

    /// How long one may wait in it: up to the limit, and a tenth of that once nobody has found it empty for so long.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        if now.saturating_duration_since(*self.last_empty()) > self.limit { self.limit / 10 } else { self.limit }
    }

    fn last_empty(&self) -> MutexGuard<'_, Instant> {
        self.last_empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
