//! The ledger of a drain: how many webhooks are in flight, which were finished and which were cut. The last log line shows it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::net::shutdown::{Shutdown, Stage};

/// Clones share it.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Counts>);

struct Counts {
    shutdown: Shutdown,
    in_flight: AtomicUsize,
    finished: AtomicU64,
    cut: Mutex<Vec<String>>,
}

/// What became of the webhooks in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// How many were answered within the drain, however the answer was.
    pub(crate) finished: u64,
    /// The request ids of those that got 503 `draining`. Wonder sends them again; the application may have received them.
    pub(crate) cut: Vec<String>,
}

impl Ledger {
    pub(super) fn new(shutdown: Shutdown) -> Self {
        let counts =
            Counts { shutdown, in_flight: AtomicUsize::new(0), finished: AtomicU64::new(0), cut: Mutex::default() };
        Self(Arc::new(counts))
    }

    /// How many webhooks are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// The counts so far.
    pub(crate) fn receipt(&self) -> Receipt {
        let cut = self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Receipt { finished: self.0.finished.load(Ordering::Relaxed), cut }
    }

    pub(super) fn opened(&self) {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// Called once for each webhook, at its end.
    pub(super) fn closed(&self, request_id: &str, is_cut: bool) {
        if is_cut {
            self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).push(request_id.to_owned());
        } else if self.0.shutdown.has_reached(Stage::Draining) {
            self.0.finished.fetch_add(1, Ordering::Relaxed);
        }
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
