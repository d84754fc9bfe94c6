//! Staggered connection attempts to several addresses (RFC 8305 §5): an address that does not answer delays the next one only
//! briefly, and one that fails does not delay it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::sleep;

/// The delay between the newest attempt and the next one.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The longer delay after TCP is connected, because a TLS handshake takes several round trips and costs the origin more.
const HANDSHAKE_DELAY: Duration = Duration::from_secs(1);

/// The progress of one attempt.
#[derive(Default)]
pub(super) struct Progress(AtomicBool);

impl Progress {
    /// The address has answered: TCP is connected.
    pub(super) fn connected(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The outcome of a race.
pub(super) struct Finish<T, E> {
    /// The first success and its address.
    pub(super) winner: Option<(SocketAddr, T)>,
    /// Attempts that failed, in the order of their failures.
    pub(super) failures: Vec<(SocketAddr, E)>,
    /// Earlier attempts that had no outcome when the winner succeeded.
    pub(super) outrun: Vec<SocketAddr>,
}

/// Tries the addresses in their order until one succeeds. A failure that is `last` ends the race, because another address would
/// fail in the same way.
pub(super) async fn race<T, E, F>(
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr, Arc<Progress>) -> F,
    last: impl Fn(&E) -> bool,
) -> Finish<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut finish = Finish { winner: None, failures: Vec::new(), outrun: Vec::new() };
    let mut begun: Vec<SocketAddr> = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut waiting = addresses.into_iter().peekable();
    while let Some(address) = waiting.next() {
        let progress = Arc::<Progress>::default();
        let trying = attempt(address, Arc::clone(&progress));
        begun.push(address);
        running.push(async move { (address, trying.await) });
        let next_may_begin = async {
            sleep(ATTEMPT_DELAY).await;
            if progress.0.load(Ordering::Relaxed) {
                sleep(HANDSHAKE_DELAY).await;
            }
        };
        let mut next_may_begin = std::pin::pin!(next_may_begin);
        loop {
            let outcome = tokio::select! {
                biased;
                Some(outcome) = running.next() => outcome,
                () = &mut next_may_begin, if waiting.peek().is_some() => break,
                else => return finish,
            };
            match outcome {
                (address, Ok(connection)) => {
                    let before = begun.iter().take_while(|other| **other != address);
                    let failed = |other: &SocketAddr| finish.failures.iter().any(|(failed, _)| failed == other);
                    finish.outrun = before.filter(|other| !failed(other)).copied().collect();
                    finish.winner = Some((address, connection));
                    return finish;
                }
                (address, Err(error)) => {
                    let ends = last(&error);
                    finish.failures.push((address, error));
                    if ends {
                        return finish;
                    }
                    if waiting.peek().is_some() {
                        break;
                    }
                }
            }
        }
    }
    finish
}

#[cfg(test)]
mod tests {
    use std::{future::pending, net::Ipv4Addr};

    use tokio::time::Instant;

    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(192, 0, 2, number), 443))
    }

    /// The scripted behaviour of an attempt.
    #[derive(Clone, Copy)]
    enum Act {
        Connects(u64),
        Fails(u64),
        Silent,
        /// TCP connects at once, then the attempt hangs.
        Hangs,
        EndsAll,
    }

    /// The winner and its time (milliseconds), the number of failures, and the attempts that were overtaken.
    async fn run(acts: &[Act]) -> (Option<u8>, u64, usize, Vec<u8>) {
        let addresses = (0..acts.len()).map(|number| address(u8::try_from(number).unwrap())).collect();
        let number = |address: SocketAddr| match address {
            SocketAddr::V4(address) => address.ip().octets()[3],
            SocketAddr::V6(_) => unreachable!(),
        };
        let began = Instant::now();
        let attempt = |address: SocketAddr, progress: Arc<Progress>| async move {
            match acts[usize::from(number(address))] {
                Act::Connects(after) => {
                    sleep(Duration::from_millis(after)).await;
                    Ok(())
                }
                Act::Fails(after) => {
                    sleep(Duration::from_millis(after)).await;
                    Err(false)
                }
                Act::Silent => pending().await,
                Act::Hangs => {
                    progress.connected();
                    pending().await
                }
                Act::EndsAll => Err(true),
            }
        };
        let finish = race(addresses, attempt, |ends: &bool| *ends).await;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap();
        let winner = finish.winner.map(|(address, ())| number(address));
        (winner, took, finish.failures.len(), finish.outrun.into_iter().map(number).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_is_attempted_after_a_failure_at_once_and_after_silence_soon() {
        use Act::{Connects, EndsAll, Fails, Hangs, Silent};
        for (case, acts, expected) in [
            ("one", &[Connects(10)][..], (Some(0), 10, 0, vec![])),
            ("the first answers in time", &[Connects(240), Connects(0)], (Some(0), 240, 0, vec![])),
            ("the first is silent", &[Silent, Connects(10)], (Some(1), 260, 0, vec![0])),
            ("two of three are silent", &[Silent, Silent, Connects(10)], (Some(2), 510, 0, vec![0, 1])),
            ("refused", &[Fails(1), Fails(1), Connects(1)], (Some(2), 3, 2, vec![])),
            ("refused, silent", &[Fails(1), Silent, Connects(1)], (Some(2), 252, 1, vec![1])),
            ("the first is slow and wins", &[Connects(300), Silent], (Some(0), 300, 0, vec![])),
            ("the handshake hangs", &[Hangs, Connects(10)], (Some(1), 1260, 0, vec![0])),
            ("an older one fails while a newer runs", &[Fails(300), Connects(100)], (Some(1), 350, 1, vec![])),
            ("all fail", &[Fails(1), Fails(2)], (None, 3, 2, vec![])),
            ("an answer that holds for all", &[EndsAll, Connects(0)], (None, 0, 1, vec![])),
            ("none", &[], (None, 0, 0, vec![])),
        ] {
            assert_eq!(run(acts).await, expected, "{case}");
        }
    }
}
