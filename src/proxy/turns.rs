//! Whose turn it is to sign. Signatures are most of the processor time that a request takes, so a worker that has signed for a
//! [`SLICE`] does whatever else is ready first: reading, answering and refusing stay quick however many wait.
//!
//! The worker itself signs. Measured with one worker on one processor of an AMD EPYC (Zen 5), RSA-2048, 64 callers, processor
//! time of a request and its 99th percentile (`cargo bench --bench gateway`, and `--overload` for the last column, the median
//! of small GETs on new connections at twice the capacity, with half a second for `timeouts.sign`):
//!
//! | where | time | p99 | GETs |
//! |---|--:|--:|--:|
//! | by the worker, in turns | 290 µs | 22 ms | 151 ms |
//! | by the worker, at once | 297 µs | 25 ms | 250 ms |
//! | `block_in_place` | 335 µs | 144 ms | 226 ms |
//! | threads of its own (`spawn_blocking`), in turns | 330 µs | 31 ms | 123 ms |
//!
//! Switching threads costs more than it gains, with RSA-4096 too, and probes have a thread of their own in any case.

use std::{cell::Cell, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::{spawn, yield_now},
    time::Instant,
};

use super::standing::Standing;
use crate::{contract::Code, net::respond::Failure};

/// How long a worker signs before it looks at its sockets again and writes what it has signed: four signatures of RSA-2048,
/// or one of a larger key. Looking after each of them costs 3 to 9 µs more a request, and writing each before the next is
/// signed another 5 or 6, most of it in waking peers once for every request and answer in place of once for several.
const SLICE: Duration = Duration::from_millis(1);

thread_local! {
    /// When this worker last looked at its sockets on the way to a signature.
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

pub(super) struct Turns {
    places: Semaphore,
    standing: Standing,
}

impl Turns {
    /// As many signatures at a time as there are `workers`; who waits for longer than `limit` is turned away.
    pub(super) fn new(workers: usize, limit: Duration) -> Self {
        Self { places: Semaphore::new(workers), standing: Standing::new(limit) }
    }

    /// Waits for a turn, which lasts until the permit is dropped.
    pub(super) async fn next(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let asked = Instant::now();
        let (turn, now) = match self.places.try_acquire() {
            Ok(turn) => {
                self.standing.empty(asked);
                (turn, asked)
            }
            Err(_) => match self.places.acquire().await {
                Ok(turn) => (turn, Instant::now()),
                Err(_) => unreachable!("nobody closes it"),
            },
        };
        if now - asked > self.standing.patience(now) {
            return Err(Failure::new(
                Code::Overloaded,
                "more requests than can be signed (timeouts.sign); add processor time or instances",
            ));
        }
        // Other work first: without this a worker would sign for all who have a turn before it looks at a socket again.
        if LOOKED.get().is_none_or(|looked| now - looked > SLICE) {
            // As a task of its own, since one that serves a connection may be woken early, and then goes on without having yielded.
            let _ = spawn(yield_now()).await;
            LOOKED.set(Some(Instant::now()));
        }
        Ok(turn)
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
    async fn a_burst_waits_and_in_a_queue_that_stands_who_waited_too_long_is_turned_away() {
        let turns = Turns::new(1, LIMIT);
        let first = turns.next().await.unwrap();
        let mut early = pin!(turns.next());
        assert!(early.as_mut().now_or_never().is_none());
        advance(LIMIT).await;
        drop(first);
        let first = early.await.unwrap();
        let mut early = pin!(turns.next());
        assert!(early.as_mut().now_or_never().is_none());
        advance(Duration::from_millis(1)).await;
        let mut late = pin!(turns.next());
        assert!(late.as_mut().now_or_never().is_none());
        advance(LIMIT / 10).await;
        drop(first);
        assert_eq!(early.await.err().unwrap().code, Code::Overloaded);
        let turn = late.await.unwrap();
        drop(turn);
        // It was empty, so what comes now may be a burst again.
        let turn = turns.next().await.unwrap();
        let mut next = pin!(turns.next());
        assert!(next.as_mut().now_or_never().is_none());
        advance(LIMIT).await;
        drop(turn);
        assert!(next.await.is_ok());
    }

    #[tokio::test]
    async fn there_are_as_many_turns_as_workers_and_none_is_lost() {
        let turns = Turns::new(2, LIMIT);
        let (one, _two) = (turns.next().await.unwrap(), turns.next().await.unwrap());
        {
            let mut given_up = pin!(turns.next());
            assert!(given_up.as_mut().now_or_never().is_none());
        }
        drop(one);
        assert!(turns.next().await.is_ok());
    }
}
