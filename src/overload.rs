//! Distinguishes a burst from an overload: a queue that has not been empty for a while receives more than it serves, and a longer wait
//! helps no request. (The rule is that of Ben Maurer, "Fail at Scale", ACM Queue 13:8, 2015: the limit on the time in a queue
//! is strict only while there is a standing queue.)

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Limits the time in a queue, depending on when the queue was last empty.
pub(crate) struct Overload {
    limit: Duration,
    last_empty: Mutex<Instant>,
}

impl Overload {
    /// For a queue in which no request waits longer than `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, last_empty: Mutex::new(Instant::now()) }
    }

    /// Records that a new request found the queue empty.
    pub(crate) fn empty(&self, now: Instant) {
        *self.last_empty() = now;
    }

    /// How long a new request may wait: the limit, or a tenth of it if the queue has not been empty for that long.
    pub(crate) fn patience(&self, now: Instant) -> Duration {
        if now.saturating_duration_since(*self.last_empty()) > self.limit { self.limit / 10 } else { self.limit }
    }

    fn last_empty(&self) -> MutexGuard<'_, Instant> {
        self.last_empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
