//! The state of a connection that its guard, its service and the accept loop share.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::Notified, watch},
    time::Instant,
};

use super::HeadError;
use crate::net::shutdown::Stage;

/// The shared state of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    pub(super) refused: OnceLock<(usize, HeadError)>,
    /// Whole heads so far.
    pub(super) heads: AtomicUsize,
    calls: AtomicUsize,
    active: AtomicUsize,
    /// The time at which the connection was accepted.
    pub(crate) opened: Instant,
    /// The end of the last request, in milliseconds since `opened`.
    idle_since: AtomicU64,
    stage: watch::Receiver<Stage>,
    served: AtomicBool,
    /// Whether an answer broke off and the bytes before the break are not yet written.
    pub(super) awaits_flush: AtomicBool,
    /// Whether only the end of the connection ends the answer.
    pub(super) ends_the_answer: AtomicBool,
    /// Whether written bytes are unread by the peer.
    stalled: AtomicBool,
    /// Whether the peer sends no more and reads on.
    half_closed: AtomicBool,
    evicted: AtomicBool,
    /// Wakes the connection's task when it is evicted.
    eviction: Notify,
}

/// The state of a connection whose listener never ends.
impl Default for ConnectionState {
    fn default() -> Self {
        Self::new(watch::channel(Stage::Serving).1)
    }
}

impl ConnectionState {
    /// The state of a new connection of a listener in this stage.
    #[must_use]
    pub(crate) fn new(stage: watch::Receiver<Stage>) -> Self {
        Self {
            refused: OnceLock::new(),
            heads: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            opened: Instant::now(),
            idle_since: AtomicU64::new(0),
            stage,
            served: AtomicBool::new(false),
            awaits_flush: AtomicBool::new(false),
            ends_the_answer: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            half_closed: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            eviction: Notify::new(),
        }
    }

    /// The shutdown stage of the listener.
    pub(super) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// The end of the last request; `None` while one is in flight.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let idle = self.active.load(Ordering::Acquire) == 0;
        idle.then(|| self.opened + Duration::from_millis(self.idle_since.load(Ordering::Relaxed)))
    }

    /// Whether no whole request head has arrived yet.
    pub(crate) fn is_opening(&self) -> bool {
        self.heads.load(Ordering::Relaxed) == 0
    }

    /// Whether upstream has answered a request of this connection.
    pub(crate) fn is_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether written bytes are unread by the peer.
    pub(super) fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Whether a request is in flight, or an answer of upstream is not read yet.
    pub(crate) fn is_in_use(&self) -> bool {
        self.active.load(Ordering::Acquire) > 0 || self.is_served() && self.stalled.load(Ordering::Relaxed)
    }

    /// The peer sends no more and reads on.
    pub(super) fn half_close(&self) {
        self.half_closed.store(true, Ordering::Relaxed);
    }

    /// Whether the peer sends no more and reads on.
    pub(super) fn is_half_closed(&self) -> bool {
        self.half_closed.load(Ordering::Relaxed)
    }

    /// Whether the service has been called for every head, so that a body that still arrives is the body of the last call.
    pub(super) fn awaits_body(&self) -> bool {
        self.calls.load(Ordering::Relaxed) >= self.heads.load(Ordering::Relaxed)
    }

    /// Whether the connection must end because another needs its place.
    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Ends the connection, because another needs its place.
    pub(crate) fn evict(&self) {
        self.evicted.store(true, Ordering::Relaxed);
        self.eviction.notify_one();
    }

    /// Completes when the connection is evicted.
    pub(crate) fn eviction(&self) -> Notified<'_> {
        self.eviction.notified()
    }

    /// Records a call of the service. hyper calls it in the order of the request heads, so the count identifies the request and whether it
    /// replaces a rejected one.
    pub(crate) fn call(self: &Arc<Self>) -> (Active, Option<HeadError>) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        let refused = self.refused.get().filter(|(refused, _)| *refused == number).map(|(_, refusal)| *refusal);
        (Active(Arc::clone(self)), refused)
    }
}

/// A request in flight. The connection is not idle until it is dropped.
#[derive(Debug)]
pub(crate) struct Active(Arc<ConnectionState>);

impl Active {
    /// Records that the answer breaks off. The connection's task is woken when the bytes before the break are written.
    pub(crate) fn await_flush(&self) {
        self.0.awaits_flush.store(true, Ordering::Relaxed);
    }

    /// Whether bytes before the break are not yet written.
    #[must_use]
    pub(crate) fn awaits_flush(&self) -> bool {
        self.0.awaits_flush.load(Ordering::Relaxed)
    }

    /// Records that only the end of the connection ends the answer. Every end is a reset until the answer is whole.
    pub(crate) fn ends_with_the_connection(&self) {
        self.0.ends_the_answer.store(true, Ordering::Relaxed);
    }

    /// Whether its answer must be the last on the connection. A pipelined request that has already arrived is still served.
    #[must_use]
    pub(crate) fn is_last(&self) -> bool {
        (self.0.stage() > Stage::Serving || self.0.is_evicted() || self.0.is_half_closed())
            && self.0.calls.load(Ordering::Relaxed) >= self.0.heads.load(Ordering::Relaxed)
    }

    /// Ends the connection after the answer, because its place is needed.
    pub(crate) fn evict(&self) {
        self.0.evict();
    }

    /// Whether upstream has answered a request of this connection before.
    pub(crate) fn is_served(&self) -> bool {
        self.0.is_served()
    }

    /// Upstream has answered this request.
    pub(crate) fn serve(&self) {
        self.0.served.store(true, Ordering::Relaxed);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let age = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_since.store(age, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Release);
    }
}
