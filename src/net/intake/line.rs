//! What the two ends of a connection know of each other.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Refusal;

/// Shared by the guard on a connection's bytes and the service that is called for its requests.
#[derive(Debug)]
pub struct Line {
    pub(super) refused: OnceLock<(usize, Refusal)>,
    calls: AtomicUsize,
    active: AtomicUsize,
    pub(super) opened: Instant,
    /// When the last request ended, in milliseconds since `opened`.
    idle_since: AtomicU64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            refused: OnceLock::new(),
            calls: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            opened: Instant::now(),
            idle_since: AtomicU64::new(0),
        }
    }
}

impl Line {
    /// Since when no request is in flight; none while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.active.load(Ordering::Acquire) == 0;
        idle.then(|| self.opened + Duration::from_millis(self.idle_since.load(Ordering::Relaxed)))
    }

    /// The service is called. hyper calls it in the order of the request heads, so the count identifies the request, and
    /// whether it replaces one that was refused.
    pub fn call(self: &Arc<Self>) -> (Active, Option<Refusal>) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        let refused = self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, refusal)| *refusal);
        (Active(Arc::clone(self)), refused)
    }
}

/// A request in flight; while there is one the connection is not idle.
#[derive(Debug)]
pub struct Active(Arc<Line>);

impl Drop for Active {
    fn drop(&mut self) {
        let age = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_since.store(age, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Release);
    }
}
