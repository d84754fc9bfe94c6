//! When a delivery is retried. Wonder documents at most 15 retries, at most 6 hours between two, all within 24 hours
//! (`deploy/docs/wonder.md` §3.5). The delays themselves are CHOSEN here.

use std::{str::FromStr, time::Duration};

/// The delay before each retry, in seconds: 23 hours in all.
const DELAYS: [u64; 15] = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 7200, 10_800, 10_800, 18_000, 21_600];

/// The factor by which the schedule of retries is faster than Wonder's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeScale(f64);

impl Default for TimeScale {
    fn default() -> Self {
        Self(1.0)
    }
}

impl FromStr for TimeScale {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scale: Option<f64> = text.parse().ok().filter(|scale| (0.001..=1e9).contains(scale));
        scale.map(Self).ok_or("must be a number such as 60, which makes an hour a minute")
    }
}

impl TimeScale {
    /// The delay before the next attempt after `attempts` failed ones; `None` after the last attempt.
    pub(super) fn delay(self, attempts: usize) -> Option<Duration> {
        let seconds = DELAYS.get(attempts.checked_sub(1)?)?;
        Some(Duration::from_secs(*seconds).div_f64(self.0))
    }
}

/// Which answers lead to a retry. Wonder's documents disagree (`deploy/docs/wonder.md` §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryOn {
    /// Every answer but 200, and no answer: the newest page.
    #[default]
    Not200,
    /// 5xx, and no answer: the older pages. Any 2xx is an acknowledgement, and a 4xx is final.
    ServerError,
}

impl RetryOn {
    /// The meaning of an answer.
    pub(super) fn judge(self, status: u16) -> Verdict {
        match (self, status) {
            (_, 200) | (Self::ServerError, 201..=299) => Verdict::Acknowledged,
            (Self::Not200, _) | (Self::ServerError, 500..=599) => Verdict::Retry,
            (Self::ServerError, _) => Verdict::Final,
        }
    }
}

/// The meaning of an answer for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Acknowledged,
    Retry,
    /// Failed, without a retry.
    Final,
}

/// The headers of a retry, which Wonder does not document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryCredential {
    /// Those of the first attempt.
    #[default]
    First,
    /// A new time, nonce and signature for each attempt.
    Fresh,
}

#[cfg(test)]
mod tests {
    use super::{
        Verdict::{Acknowledged, Final, Retry},
        *,
    };

    #[test]
    fn the_schedule_is_within_what_wonder_documents() {
        let scale = TimeScale::default();
        let delays: Vec<Duration> = (1..).map_while(|attempts| scale.delay(attempts)).collect();
        assert_eq!(delays.len(), 15);
        assert!(delays.iter().sum::<Duration>() <= Duration::from_hours(24));
        assert!(delays.iter().all(|delay| *delay <= Duration::from_hours(6)));
        assert!(delays.is_sorted());
    }

    #[test]
    fn a_scale_of_3600_makes_an_hour_a_second() {
        let scale: TimeScale = "3600".parse().unwrap();
        assert_eq!(scale.delay(9), Some(Duration::from_secs(1)));
        assert_eq!(scale.delay(16), None);
        for text in ["0", "-1", "x", "", "inf", "nan", "1e99"] {
            assert!(text.parse::<TimeScale>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_two_rules_differ_on_other_2xx_and_on_4xx() {
        let verdicts = |rule: RetryOn| [200, 204, 302, 404, 503].map(|status| rule.judge(status));
        assert_eq!(verdicts(RetryOn::Not200), [Acknowledged, Retry, Retry, Retry, Retry]);
        assert_eq!(verdicts(RetryOn::ServerError), [Acknowledged, Acknowledged, Final, Final, Retry]);
    }
}
