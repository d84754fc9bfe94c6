//! Tells a burst from an overload: a queue that has not been empty for a while takes in more than goes out, and there waiting
//! longer helps nobody. (The rule is that of Ben Maurer, "Fail at Scale", ACM Queue 13:8, 2015: the limit on the time in a
//! queue is strict only while the queue stands.)

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub(super) struct Standing(Mutex<Instant>);

impl Standing {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Somebody found the queue empty.
    pub(super) fn empty(&self) {
        *self.last_empty() = Instant::now();
    }

    /// Whether nobody has found it empty for longer than `time`.
    pub(super) fn for_longer_than(&self, time: Duration) -> bool {
        self.last_empty().elapsed() > time
    }

    fn last_empty(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
