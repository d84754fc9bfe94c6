//! The receipt of a drain: which requests were finished and which were cut. The last log line shows it.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::shutdown::{Shutdown, Stage};
use crate::contract::Sent;

/// Counts the requests of one listener that end during a drain, and cuts those that outlast the grace period. Clones share one ledger.
#[derive(Clone)]
pub struct Drain(Arc<Ledger>);

struct Ledger {
    shutdown: Shutdown,
    in_flight: AtomicUsize,
    finished: AtomicU64,
    cut: Mutex<Vec<Cut>>,
}

/// A request that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Its `X-Request-ID`.
    pub request_id: String,
    /// Whether Wonder may have seen it; `No` for a webhook, which Wonder sends again.
    pub sent: Sent,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
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
    /// For a listener that ends with `shutdown`.
    #[must_use]
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self(Arc::new(Ledger {
            shutdown,
            in_flight: AtomicUsize::new(0),
            finished: AtomicU64::new(0),
            cut: Mutex::default(),
        }))
    }

    /// Whether the grace period is over: every request in flight is answered with `draining`, or its response is broken off.
    pub(crate) fn is_cutting(&self) -> bool {
        self.0.shutdown.has_reached(Stage::Over)
    }

    /// Completes when the grace period is over.
    pub(crate) fn cutting(&self) -> impl Future<Output = ()> + Send + use<> {
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

    /// Called once for each request, at its start.
    pub(crate) fn opened(&self) {
        self.0.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// Called once for each request, at its end.
    pub(crate) fn closed(&self, request_id: &str, end: End) {
        match end {
            End::Answered if self.0.shutdown.has_reached(Stage::Draining) => {
                self.0.finished.fetch_add(1, Ordering::Relaxed);
            }
            End::Answered | End::GivenUp => {}
            End::Cut(sent) => {
                let cut = Cut { request_id: request_id.to_owned(), sent };
                self.0.cut.lock().unwrap_or_else(PoisonError::into_inner).push(cut);
            }
        }
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
