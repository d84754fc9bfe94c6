//! The receipt of a drain: which requests were finished and which were cut. The last log line shows it.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use crate::{
    contract::Sent,
    metrics::Metrics,
    net::shutdown::{Shutdown, Stage},
};

/// Counts the requests that end during a drain, and cuts those that outlast the grace period. Clones share one ledger.
#[derive(Clone)]
pub struct Drain(Arc<Ledger>);

struct Ledger {
    shutdown: Shutdown,
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
    /// Its response was forwarded whole.
    Answered,
    /// Its response broke off, because of the origin or because the caller hung up.
    GivenUp,
    /// The grace period ended first.
    Cut(Sent),
}

/// The outcomes of the requests in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// How many responses were forwarded whole.
    pub finished: u64,
    /// Those that were answered with `draining`, or whose response was broken off.
    pub cut: Vec<Cut>,
}

impl Drain {
    /// For the listeners that end with `shutdown`.
    #[must_use]
    pub(crate) fn new(shutdown: Shutdown, metrics: Metrics) -> Self {
        Self(Arc::new(Ledger {
            shutdown,
            in_flight: AtomicUsize::new(0),
            finished: AtomicU64::new(0),
            cut: Mutex::default(),
            metrics,
        }))
    }

    /// Whether the grace period is over: every request in flight is answered with `draining`, or its response is broken off.
    pub(super) fn is_cutting(&self) -> bool {
        self.0.shutdown.has_reached(Stage::Over)
    }

    /// Completes when the grace period is over.
    pub(super) fn cutting(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.shutdown.reached(Stage::Over)
    }

    /// How many requests are in flight.
    #[must_use]
    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Acquire)
    }

    /// The counts so far.
    #[must_use]
    pub(crate) fn receipt(&self) -> Receipt {
        let cut = self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Receipt { finished: self.0.finished.load(Ordering::Relaxed), cut }
    }

    pub(super) fn opened(&self) {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// Called once for each request, at its end.
    pub(super) fn closed(&self, request_id: &str, end: End) {
        match end {
            End::Answered if self.0.shutdown.has_reached(Stage::Draining) => {
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
