//! The end: which requests were finished and which were cut, so that the last log line is a receipt.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::{Semaphore, watch};

use crate::{contract::Sent, metrics::Metrics};

/// Counts the requests that end during a drain, and cuts those that outlast it. Clones share one ledger.
#[derive(Clone)]
pub struct Drain(Arc<Ledger>);

struct Ledger {
    slots: Arc<Semaphore>,
    draining: AtomicBool,
    cutting: watch::Sender<bool>,
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

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its answer was forwarded whole.
    Answered,
    /// Its answer broke off, because of the origin or because the caller hung up.
    GivenUp,
    /// The grace period ended first.
    Cut(Sent),
}

/// What became of the requests in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// How many got their whole answer.
    pub finished: u64,
    /// Those that were answered with `draining`, or whose answer was broken off.
    pub cut: Vec<Cut>,
}

impl Drain {
    /// For a proxy that works on `slots` requests at a time.
    #[must_use]
    pub fn new(slots: usize, metrics: Metrics) -> Self {
        Self(Arc::new(Ledger {
            slots: Arc::new(Semaphore::new(slots)),
            draining: AtomicBool::new(false),
            cutting: watch::Sender::new(false),
            in_flight: AtomicUsize::new(0),
            finished: AtomicU64::new(0),
            cut: Mutex::default(),
            metrics,
        }))
    }

    /// From now on the requests that end are counted.
    pub fn begin(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// The grace period is over: every request in flight is answered with `draining`, or its answer broken off.
    pub fn cut(&self) {
        self.0.cutting.send_replace(true);
        self.0.slots.close();
    }

    /// Whether the grace period is over.
    pub(super) fn is_cutting(&self) -> bool {
        *self.0.cutting.borrow()
    }

    /// Ends when the grace period is over.
    pub(super) fn cutting(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut cutting = self.0.cutting.subscribe();
        let keep = Arc::clone(&self.0);
        async move {
            // Fails only without a sender, and the ledger holds it.
            let _ = cutting.wait_for(|cutting| *cutting).await;
            drop(keep);
        }
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

    /// A request is over.
    pub(super) fn closed(&self, request_id: &str, end: End) {
        match end {
            End::Answered if self.0.draining.load(Ordering::Relaxed) => {
                self.0.finished.fetch_add(1, Ordering::Relaxed);
            }
            End::Answered | End::GivenUp => {}
            End::Cut(sent) => {
                self.0.metrics.drain_cut(sent);
                let cut = Cut { request_id: request_id.to_owned(), sent };
                self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).push(cut);
            }
        }
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
