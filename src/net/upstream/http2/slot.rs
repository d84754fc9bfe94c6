//! Counts and limits the streams of a connection. A request that waits for a slot has not been handed to h2.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::Notify, time::Instant};

/// The streams of one connection.
pub(super) struct Streams {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    limit: usize,
    active: usize,
    closed: bool,
    /// The end of the last one.
    since: Instant,
}

/// The right to one stream, until it is dropped.
pub(in super::super) struct Slot(Arc<Streams>);

impl Streams {
    pub(super) fn new(limit: usize) -> Self {
        let state = State { limit, active: 0, closed: false, since: Instant::now() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.state();
        if !state.has_room() {
            return None;
        }
        state.active += 1;
        Some(Slot(Arc::clone(self)))
    }

    /// Waits until a slot is free, or until the connection accepts no more requests.
    pub(super) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if self.is_closed() || self.has_room() {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.state().has_room()
    }

    pub(super) fn limit(&self) -> usize {
        self.state().limit
    }

    pub(super) fn set_limit(&self, limit: usize) {
        if std::mem::replace(&mut self.state().limit, limit) != limit {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Accepts no more requests. Those in flight continue.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.active == 0).then_some(state.since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self) -> bool {
        !self.closed && self.active < self.limit
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.active -= 1;
        state.since = Instant::now();
        drop(state);
        self.0.changed.notify_waiters();
    }
}
