//! Limits the lines of requests that were rejected before they were signed. Such a request costs its caller nearly nothing, so a caller
//! in a loop could fill the disk with lines. One line reports how many were left out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time::sleep};

/// The lines of each [`WINDOW`].
const LINES: u32 = 100;
const WINDOW: Duration = Duration::from_secs(1);

/// The quota of one process.
#[derive(Debug, Default)]
pub(crate) struct Quota(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The start of the window.
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Quota {
    /// Whether a line may be written now. The line that reports those left out is written at the end of the window; without a runtime,
    /// with the first line after it.
    pub(crate) fn admits(self: &Arc<Self>, now: Instant) -> bool {
        let mut state = self.state();
        let mut left_out = 0;
        if state.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            left_out = std::mem::take(&mut state.left_out);
            (state.since, state.written) = (Some(now), 0);
        }
        let admitted = state.written < LINES;
        if admitted {
            state.written += 1;
        } else {
            state.left_out += 1;
        }
        let first = !admitted && state.left_out == 1;
        drop(state);
        report(left_out);
        if first && let Ok(runtime) = Handle::try_current() {
            let quota = Arc::clone(self);
            runtime.spawn(async move {
                sleep(WINDOW).await;
                quota.report();
            });
        }
        admitted
    }

    fn report(&self) {
        // The lock is not held while the line is written.
        let left_out = std::mem::take(&mut self.state().left_out);
        report(left_out);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.report();
    }
}

fn report(left_out: u64) {
    if left_out > 0 {
        tracing::warn!(lines = left_out, "lines of rejected requests are left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(quota: &Arc<Quota>, tries: u32, now: Instant) -> u32 {
        (0..tries).map(|_| u32::from(quota.admits(now))).sum()
    }

    #[test]
    fn admits_a_number_of_lines_each_second_and_counts_the_rest() {
        let (quota, start) = (Arc::<Quota>::default(), Instant::now());
        assert_eq!(admitted(&quota, LINES, start), LINES);
        assert_eq!(admitted(&quota, 7, start + WINDOW / 2), 0);
        assert_eq!(quota.state().left_out, 7);
        assert_eq!(admitted(&quota, LINES + 3, start + WINDOW), LINES);
        assert_eq!(quota.state().left_out, 3, "the seven were reported");
    }

    #[tokio::test(start_paused = true)]
    async fn reports_the_rest_at_the_end_of_the_window_without_another_request() {
        let (quota, now) = (Arc::<Quota>::default(), Instant::now());
        assert_eq!(admitted(&quota, LINES + 5, now), LINES);
        assert_eq!(quota.state().left_out, 5);
        sleep(WINDOW * 2).await;
        assert_eq!(quota.state().left_out, 0);
    }
}
