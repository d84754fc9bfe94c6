//! The end: what was finished and what was cut, so that the last log line is a receipt.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

use crate::metrics::{Metrics, Sent};

/// Counts how the requests fare that are in flight when the end begins. Clones are the same one.
#[derive(Clone)]
pub struct Drain(Arc<Ledger>);

struct Ledger {
    slots: Arc<Semaphore>,
    draining: AtomicBool,
    cutting: AtomicBool,
    in_flight: AtomicUsize,
    finished: AtomicU64,
    cut: Mutex<Vec<Cut>>,
    metrics: Metrics,
}

/// A request that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Its `X-Request-ID`.
    pub request_id: String,
    /// Whether Wonder may have seen it.
    pub sent: Sent,
}

/// What became of the requests in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// How many got their whole answer.
    pub finished: u64,
    /// Those that did not.
    pub cut: Vec<Cut>,
}

impl Drain {
    /// For a proxy that works on `slots` requests at a time.
    #[must_use]
    pub fn new(slots: usize, metrics: Metrics) -> Self {
        Self(Arc::new(Ledger {
            slots: Arc::new(Semaphore::new(slots)),
            draining: AtomicBool::new(false),
            cutting: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            finished: AtomicU64::new(0),
            cut: Mutex::default(),
            metrics,
        }))
    }

    /// From now on what ends is counted.
    pub fn begin(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// The grace period is over: who still waits for a slot is turned away, and what ends without its answer was cut.
    pub fn cut(&self) {
        self.0.cutting.store(true, Ordering::Relaxed);
        self.0.slots.close();
    }

    /// How many requests are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// What has been counted.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let cut = self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Receipt { finished: self.0.finished.load(Ordering::Relaxed), cut }
    }

    pub(super) fn slots(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.slots)
    }

    pub(super) fn opened(&self) {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// A request is over; `whole` says whether its answer was passed on to the end.
    pub(super) fn closed(&self, request_id: &str, whole: bool, sent: Sent) {
        if whole && self.0.draining.load(Ordering::Relaxed) {
            self.0.finished.fetch_add(1, Ordering::Relaxed);
        }
        if !whole && self.0.cutting.load(Ordering::Relaxed) {
            self.0.metrics.drain_cut(sent);
            let cut = Cut { request_id: request_id.to_owned(), sent };
            self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).push(cut);
        }
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
