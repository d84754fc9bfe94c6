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
    /// When the last request ended, in milliseconds since `opened`; before the first, when the peer's protocol was known.
    idle_since: AtomicU64,
    /// When the connection was to end, likewise.
    leaving_since: OnceLock<u64>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            refused: OnceLock::new(),
            calls: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            opened: Instant::now(),
            idle_since: AtomicU64::new(0),
            leaving_since: OnceLock::new(),
        }
    }
}

impl Line {
    /// Since when no request is at work.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.active.load(Ordering::Acquire) == 0;
        idle.then(|| self.opened + Duration::from_millis(self.idle_since.load(Ordering::Relaxed)))
    }

    /// From now on the connection waits for its next request.
    pub(super) fn idle(&self) {
        self.idle_since.store(self.age(), Ordering::Relaxed);
    }

    /// The connection is to take leave of its peer. Says whether that is new.
    pub fn leave(&self) -> bool {
        self.leaving_since.set(self.age()).is_ok()
    }

    /// Whether the connection is to take leave of its peer.
    pub fn is_leaving(&self) -> bool {
        self.leaving_since.get().is_some()
    }

    /// Since when that is so.
    pub(super) fn leaving_since(&self) -> Option<Instant> {
        self.leaving_since.get().map(|age| self.opened + Duration::from_millis(*age))
    }

    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The service is called. Requests of HTTP/1 are handed on in the order of their heads, so counting tells which one
    /// this is, and whether it stands for one that was refused.
    pub fn call(self: &Arc<Self>) -> (Active, Option<Refusal>) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        let refused = self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, refusal)| *refusal);
        (Active(Arc::clone(self)), refused)
    }
}

/// A request at work; while there is one the connection is not idle.
#[derive(Debug)]
pub struct Active(Arc<Line>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.idle();
        self.0.active.fetch_sub(1, Ordering::Release);
    }
}
