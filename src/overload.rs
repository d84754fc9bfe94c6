//! Distinguishes a burst from an overload: a queue that has not been empty for a while receives more than it serves, and a longer wait
//! helps no request. (The rule is that of Ben Maurer, "Fail at Scale", ACM Queue 13:8, 2015: the limit on the time in a queue
//! is strict only while there is a standing queue.)

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long a queue's members may wait, by when the queue was last empty.
pub(crate) struct Overload {
    limit: Duration,
    last_empty: Mutex<Instant>,
}

impl Overload {
    /// Of a queue in which nothing waits for longer than `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, last_empty: Mutex::new(Instant::now()) }
    }

    /// A newcomer found the queue empty.
    pub(crate) fn empty(&self, now: Instant) {
        *self.last_empty() = now;
    }

    /// How long a newcomer may wait: the limit, and a tenth of it once the queue has not been empty for that long.
    pub(crate) fn patience(&self, now: Instant) -> Duration {
        if now.saturating_duration_since(*self.last_empty()) > self.limit { self.limit / 10 } else { self.limit }
    }

    fn last_empty(&self) -> MutexGuard<'_, Instant> {
        self.last_empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
