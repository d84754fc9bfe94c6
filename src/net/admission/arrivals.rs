//! The request bodies that are still arriving, and which one is evicted when another request needs its place.
//!
//! A peer can begin a request and stop short of the end of its body. Until `timeouts.body` that request holds a connection, a slot
//! and memory, so a few hundred such peers would lock every other caller out. Therefore, when one of the three is used up, the
//! request whose body is furthest behind is rejected. Nothing is evicted while there is room, and never a request whose body is
//! whole.
//!
//! Giving slots only to whole bodies would protect only the slots: memory and connections would still run out, and overload would be
//! noticed only after a body has been read.
//!
//! A body that has already arrived at the first read is never listed here; nearly all bodies are of this kind.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Instant, sleep_until},
};

use crate::{contract::Code, net::respond::Failure};

/// The time after the request head in which no body is behind.
const START: Duration = Duration::from_millis(50);
/// The minimum rate of a body that is not behind, in bytes a second. A network between two machines of a cluster is faster.
const RATE: u32 = 20 << 20;
/// How long an evicted request may take to release its slot and memory before another is evicted.
const EVICTION: Duration = Duration::from_millis(20);
/// An evicted body continues if at least this many bytes have arrived already. A peer that sends at full speed fills its socket buffer while
/// this process is paused; a few bytes must not be enough, because a peer that drips always has some there.
const CAUGHT_UP: usize = 16 << 10;

pub(super) type NextFrame = Option<Result<Frame<Bytes>, hyper::Error>>;

/// The bodies that are arriving.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<Vec<Arc<Arrival>>>);

struct Arrival {
    began: Instant,
    /// Bytes; fewer than 2^32, because the body is held in memory.
    received: AtomicUsize,
    is_evicted: AtomicBool,
    /// Bytes read since the eviction.
    caught_up: AtomicUsize,
    eviction: Notify,
}

impl Arrival {
    /// The time at which the body is behind, unless more of it arrives.
    fn due(&self) -> Instant {
        let received = self.received.load(Ordering::Relaxed);
        self.began + START + Duration::from_secs(1) * u32::try_from(received).unwrap_or(u32::MAX) / RATE
    }

    fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Relaxed)
    }
}

/// The result of a search for a body to evict.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Evicted,
    /// No body is behind before this time.
    NotBefore(Instant),
    /// No body is arriving.
    Nothing,
}

impl Arrivals {
    /// Lists a body whose reading began at `began`, and of which `received` bytes have arrived.
    pub(super) fn list(&self, began: Instant, received: usize) -> Listed<'_> {
        let arrival = Arc::new(Arrival {
            began,
            received: AtomicUsize::new(received),
            is_evicted: AtomicBool::new(false),
            caught_up: AtomicUsize::new(0),
            eviction: Notify::new(),
        });
        self.arriving().push(Arc::clone(&arrival));
        Listed { arrivals: self, arrival }
    }

    /// Evicts the body that is furthest behind at `now`, except that of `own`, which needs the place.
    fn evict(&self, now: Instant, own: Option<&Listed<'_>>) -> Found {
        let own = own.map(|listed| &listed.arrival);
        let arriving = self.arriving();
        if own.is_some_and(|own| own.is_evicted()) {
            return Found::Nothing;
        }
        let others = arriving.iter().filter(|arrival| own.is_none_or(|own| !Arc::ptr_eq(own, arrival)));
        let Some(last) = others.filter(|arrival| !arrival.is_evicted()).min_by_key(|arrival| arrival.due()) else {
            return Found::Nothing;
        };
        let due = last.due();
        if due > now {
            return Found::NotBefore(due);
        }
        last.is_evicted.store(true, Ordering::Relaxed);
        last.eviction.notify_one();
        Found::Evicted
    }

    /// Evicts one body after another, at the latest when it is behind. Completes when no other body is arriving.
    pub(super) async fn evict_all_behind(&self, own: Option<&Listed<'_>>) {
        loop {
            let now = Instant::now();
            match self.evict(now, own) {
                Found::Evicted => sleep_until(now + EVICTION).await,
                // Meanwhile the body may have ended, and no other may be arriving.
                Found::NotBefore(due) => sleep_until(due.min(now + EVICTION)).await,
                Found::Nothing => return,
            }
        }
    }

    /// Evicts one body, if one is behind now or soon. Returns whether it did.
    pub(super) async fn evict_one(&self) -> bool {
        // A body with some bytes is behind a little later than one without any.
        let latest = Instant::now() + 2 * START;
        loop {
            match self.evict(Instant::now(), None) {
                Found::Evicted => return true,
                Found::NotBefore(due) if due <= latest => sleep_until(due).await,
                Found::NotBefore(_) | Found::Nothing => return false,
            }
        }
    }

    fn arriving(&self) -> MutexGuard<'_, Vec<Arc<Arrival>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is arriving, until this is dropped.
pub(super) struct Listed<'a> {
    arrivals: &'a Arrivals,
    arrival: Arc<Arrival>,
}

impl Listed<'_> {
    /// Completes when the body is evicted.
    pub(super) async fn evicted(&self) -> Failure {
        self.arrival.eviction.notified().await;
        evicted()
    }

    /// Whether the body is evicted, and continues only as long as bytes have arrived already.
    pub(super) fn is_evicted(&self) -> bool {
        self.arrival.is_evicted()
    }

    /// Waits for the next frame of the body, until `deadline` or its eviction.
    pub(super) async fn next(&self, body: &mut Incoming, deadline: Instant) -> Result<NextFrame, Failure> {
        loop {
            if self.is_evicted() {
                let _ = self.arrival.eviction.notified().now_or_never();
                // Bytes that have already arrived are read first, because a slow process is not the caller's fault.
                yield_now().await;
                let frame = body.frame().now_or_never().ok_or_else(evicted)?;
                self.catch_up(self.receive(&frame));
                return Ok(frame);
            }
            tokio::select! {
                biased;
                frame = body.frame() => {
                    self.receive(&frame);
                    return Ok(frame);
                }
                () = self.arrival.eviction.notified() => {}
                () = sleep_until(deadline) => {
                    let message = "the request body did not arrive in time (timeouts.body)";
                    return Err(Failure::new(Code::BodyTimeout, message));
                }
            }
        }
    }

    /// Counts the bytes of a frame and returns their number.
    fn receive(&self, frame: &NextFrame) -> usize {
        let Some(Ok(frame)) = frame else { return 0 };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.arrival.received.fetch_add(bytes, Ordering::Relaxed);
        bytes
    }

    /// Cancels the eviction once [`CAUGHT_UP`] bytes were read after it.
    fn catch_up(&self, bytes: usize) {
        if self.arrival.caught_up.fetch_add(bytes, Ordering::Relaxed) + bytes >= CAUGHT_UP {
            self.arrival.caught_up.store(0, Ordering::Relaxed);
            self.arrival.is_evicted.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut arriving = self.arrivals.arriving();
        if let Some(place) = arriving.iter().position(|arrival| Arc::ptr_eq(arrival, &self.arrival)) {
            arriving.swap_remove(place);
        }
    }
}

pub(super) fn evicted() -> Failure {
    let message = "the request body arrives too slowly, and another request needs its place (limits.connections, \
                   limits.requests_in_flight, limits.buffered)";
    Failure::new(Code::Overloaded, message).evicting()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn evicts_the_body_that_is_furthest_behind_and_each_only_once() {
        let arrivals = Arrivals::default();
        let began = Instant::now();
        assert_eq!(arrivals.evict(began, None), Found::Nothing);
        let ahead = arrivals.list(began, RATE as usize / 10);
        let behind = arrivals.list(began, 0);
        assert_eq!(arrivals.evict(began, None), Found::NotBefore(began + START));
        assert_eq!(arrivals.evict(began + START, None), Found::Evicted);
        assert!(behind.evicted().now_or_never().is_some() && ahead.evicted().now_or_never().is_none());
        let due = began + START + Duration::from_millis(100);
        assert_eq!(arrivals.evict(began + START, None), Found::NotBefore(due));
        assert_eq!(arrivals.evict(due, Some(&ahead)), Found::Nothing);
        assert_eq!(arrivals.evict(due, Some(&behind)), Found::Nothing, "an evicted request needs no place");
        drop((ahead, behind));
        assert_eq!(arrivals.evict(due, None), Found::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn one_is_evicted_at_once_or_when_it_is_behind_soon() {
        let arrivals = Arrivals::default();
        assert!(!arrivals.evict_one().await);
        let began = Instant::now();
        let _large = arrivals.list(began, RATE as usize);
        assert!(!arrivals.evict_one().await);
        let _small = arrivals.list(began, 0);
        assert!(arrivals.evict_one().await);
        assert_eq!(began.elapsed(), START);
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_are_behind_are_evicted_one_after_another() {
        let arrivals = Arrivals::default();
        let began = Instant::now();
        let listed = [arrivals.list(began, 0), arrivals.list(began, 0), arrivals.list(began, 0)];
        arrivals.evict_all_behind(Some(&listed[0])).await;
        assert_eq!(listed.map(|listed| listed.arrival.is_evicted()), [false, true, true]);
        assert!(began.elapsed() <= START + 3 * EVICTION);
    }
}
