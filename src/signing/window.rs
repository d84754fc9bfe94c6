//! The time window: how far a request time may lie from the verifier's clock, in either direction (`deploy/docs/wonder.md` §2.2).
//!
//! The simulator's gate, the webhook verifier and the diagnosis of a stale time share it.

use std::time::Duration;

use super::RequestTime;

/// How far a request time may lie from Wonder's own, in seconds, either way.
pub const REQUEST_TOLERANCE_SECONDS: u64 = 1800;

/// How far a request time may lie in the past and in the future. A time exactly at a limit is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    past: u64,
    future: u64,
}

impl Window {
    /// The window of API requests: 30 minutes in both directions.
    pub const REQUEST: Self = Self { past: REQUEST_TOLERANCE_SECONDS, future: REQUEST_TOLERANCE_SECONDS };

    /// The window of webhooks: `tolerance` in the past, because a retry may carry its first signature; at most 30 minutes in the
    /// future, because no delivery is signed ahead of its time. Whole seconds count.
    #[must_use]
    pub fn webhook(tolerance: Duration) -> Self {
        let past = tolerance.as_secs();
        Self { past, future: past.min(REQUEST_TOLERANCE_SECONDS) }
    }

    /// Checks a request time against the time `now`.
    ///
    /// # Errors
    /// The direction and the distance in seconds of a time outside the window.
    pub fn check(self, request_time: RequestTime, now: RequestTime) -> Result<(), OutsideWindow> {
        let (then, now) = (request_time.unix_seconds(), now.unix_seconds());
        if now.saturating_sub(then) > self.past {
            Err(OutsideWindow::TooOld(now - then))
        } else if then.saturating_sub(now) > self.future {
            Err(OutsideWindow::InFuture(then - now))
        } else {
            Ok(())
        }
    }
}

/// A request time outside the window, with its distance from the verifier's clock in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutsideWindow {
    /// Too far in the past.
    TooOld(u64),
    /// Too far in the future.
    InFuture(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_limit_and_refuses_the_second_after_it_in_both_directions() {
        let now = RequestTime::from_unix_seconds(1_771_061_405);
        let check = |window: Window, off: i64| {
            window.check(RequestTime::from_unix_seconds(now.unix_seconds().saturating_add_signed(off)), now)
        };
        for (window, past, future) in [
            (Window::REQUEST, 1800, 1800),
            (Window::webhook(Duration::from_mins(1470)), 88_200, 1800),
            (Window::webhook(Duration::from_mins(10)), 600, 600),
            (Window::webhook(Duration::ZERO), 0, 0),
        ] {
            assert_eq!((window.past, window.future), (past, future));
            let (signed_past, signed_future) = (past.cast_signed(), future.cast_signed());
            assert_eq!(check(window, -signed_past), Ok(()));
            assert_eq!(check(window, -signed_past - 1), Err(OutsideWindow::TooOld(past + 1)));
            assert_eq!(check(window, signed_future), Ok(()));
            assert_eq!(check(window, signed_future + 1), Err(OutsideWindow::InFuture(future + 1)));
        }
    }

    #[test]
    fn neither_end_of_the_calendar_overflows() {
        let (first, last) = (RequestTime::from_unix_seconds(0), RequestTime::from_unix_seconds(u64::MAX));
        assert!(matches!(Window::REQUEST.check(first, last), Err(OutsideWindow::TooOld(_))));
        assert!(matches!(Window::REQUEST.check(last, first), Err(OutsideWindow::InFuture(_))));
    }
}
