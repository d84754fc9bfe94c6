//! Limits the number of concurrent local signatures. Signatures are most of the processor time of a request, so a worker that has signed
//! for a [`SLICE`] runs all other ready tasks first: reading, answering and rejecting stay quick with any number of waiting requests.
//!
//! The worker itself signs. Measured with one worker on one processor of an AMD EPYC (Zen 5), RSA-2048, 64 callers, processor
//! time of a request and its 99th percentile (`cargo bench --bench gateway`, and `--overload` for the last column, the median
//! of small GETs on new connections at twice the capacity, with half a second for `timeouts.sign`):
//!
//! | where | time | p99 | GETs |
//! |---|--:|--:|--:|
//! | by the worker, with permits | 290 µs | 22 ms | 151 ms |
//! | by the worker, at once | 297 µs | 25 ms | 250 ms |
//! | `block_in_place` | 335 µs | 144 ms | 226 ms |
//! | threads of its own (`spawn_blocking`), with permits | 330 µs | 31 ms | 123 ms |
//!
//! Switching threads costs more than it gains, also with RSA-4096, and probes have a thread of their own.

use std::{cell::Cell, fmt, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::{spawn, yield_now},
    time::Instant,
};

use super::SignError;
use crate::overload::Overload;

/// How long a worker signs before it polls its sockets again and writes the signed requests: four signatures of RSA-2048, or one of a
/// larger key. Polling after each signature costs 3 to 9 µs more per request, and writing each request before the next signature another 5
/// or 6 µs. Most of that is waking peers for every single request and answer.
const SLICE: Duration = Duration::from_millis(1);

thread_local! {
    /// The time at which this worker last polled its sockets before a signature.
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The permits to sign with a key in memory. All such keys share them, because they share the processor.
pub(crate) struct Permits {
    places: Semaphore,
    overload: Overload,
}

impl Permits {
    /// Allows `workers` signatures at a time; a request that waits longer than `limit` is rejected.
    #[must_use]
    pub(crate) fn new(workers: usize, limit: Duration) -> Self {
        Self { places: Semaphore::new(workers), overload: Overload::new(limit) }
    }

    /// Waits for a permit, which lasts until it is dropped.
    pub(super) async fn acquire(&self) -> Result<SemaphorePermit<'_>, SignError> {
        let asked = Instant::now();
        let (permit, now) = match self.places.try_acquire() {
            Ok(permit) => {
                self.overload.empty(asked);
                (permit, asked)
            }
            Err(_) => match self.places.acquire().await {
                Ok(permit) => (permit, Instant::now()),
                Err(_) => unreachable!("nothing closes it"),
            },
        };
        if now - asked > self.overload.patience(now) {
            return Err(SignError::Overloaded);
        }
        // Other tasks first: without this, a worker would sign for every task with a permit before it polls a socket again.
        if LOOKED.get().is_none_or(|looked| now - looked > SLICE) {
            // In a task of its own, because the task of a connection may be woken early and would continue without having yielded.
            let _ = spawn(yield_now()).await;
            LOOKED.set(Some(Instant::now()));
        }
        Ok(permit)
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permits")
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_burst_waits_and_under_overload_a_request_that_waited_too_long_is_rejected() {
        let permits = Permits::new(1, LIMIT);
        let first = permits.acquire().await.unwrap();
        let mut early = pin!(permits.acquire());
        assert!(early.as_mut().now_or_never().is_none());
        advance(LIMIT).await;
        drop(first);
        let first = early.await.unwrap();
        let mut early = pin!(permits.acquire());
        assert!(early.as_mut().now_or_never().is_none());
        advance(Duration::from_millis(1)).await;
        let mut late = pin!(permits.acquire());
        assert!(late.as_mut().now_or_never().is_none());
        advance(LIMIT / 10).await;
        drop(first);
        assert!(matches!(early.await, Err(SignError::Overloaded)));
        let permit = late.await.unwrap();
        drop(permit);
        // The queue was empty, so the next requests may be a burst again.
        let permit = permits.acquire().await.unwrap();
        let mut next = pin!(permits.acquire());
        assert!(next.as_mut().now_or_never().is_none());
        advance(LIMIT).await;
        drop(permit);
        assert!(next.await.is_ok());
    }

    #[tokio::test]
    async fn there_are_as_many_permits_as_workers_and_none_is_lost() {
        let permits = Permits::new(2, LIMIT);
        let (one, _two) = (permits.acquire().await.unwrap(), permits.acquire().await.unwrap());
        {
            let mut given_up = pin!(permits.acquire());
            assert!(given_up.as_mut().now_or_never().is_none());
        }
        drop(one);
        assert!(permits.acquire().await.is_ok());
    }
}
