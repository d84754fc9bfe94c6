//! Samples of the last hour, one every ten seconds from the start of the process.
//!
//! Two rings: an hour of small points for the charts (about 16 KiB), and snapshots half a minute apart for the figures of the last
//! five minutes (about the same size).

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::cause::errors_by_cause;
use crate::metrics::Snapshot;

/// The time between two samples, and so between two wake-ups of an idle process.
pub(super) const SPACING: Duration = Duration::from_secs(10);
/// An hour of points.
pub(super) const POINTS: usize = 360;
/// The time that the figures cover: short enough to show that a fault is over, long enough for a person to open the page.
const WINDOW: Duration = Duration::from_mins(5);
/// One snapshot is kept for this many points.
const POINTS_PER_SNAPSHOT: usize = 3;
/// The snapshots of one window, and the one at its start.
const SNAPSHOTS: usize = 11;

/// One sample: the events within one [`SPACING`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Point {
    pub(super) requests: u32,
    /// By [`Cause`](super::cause::Cause), in its order.
    pub(super) errors: [u32; 6],
    /// Seconds for a whole request: the 50th, 95th and 99th percentile. Not a number without requests.
    pub(super) latency: [f32; 3],
    /// Seconds that the clock is ahead of Wonder's. Not a number before Wonder's first answer.
    pub(super) clock: f32,
}

impl Point {
    fn between(earlier: &Snapshot, now: &Snapshot) -> Self {
        let recent = now.since(earlier);
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "a chart shows two or three digits")]
        let rounded = |value: f64| value as f32;
        Self {
            requests: small(recent.requests()),
            errors: errors_by_cause(&recent).map(small),
            latency: [500, 950, 990].map(|share| recent.duration.quantile(share).map_or(f32::NAN, rounded)),
            clock: if now.upstream == [0; 4] { f32::NAN } else { rounded(now.clock_skew) },
        }
    }
}

/// The samples so far.
pub(super) struct History {
    /// Oldest first.
    points: VecDeque<Point>,
    /// Oldest first; never empty.
    snapshots: VecDeque<(Instant, Snapshot)>,
    newest: Snapshot,
    /// The number of points since the last of `snapshots`.
    since_snapshot: usize,
}

impl History {
    pub(super) fn new(start: Instant, zero: Snapshot) -> Self {
        Self {
            points: VecDeque::with_capacity(POINTS),
            newest: zero.clone(),
            snapshots: VecDeque::from([(start, zero)]),
            since_snapshot: 0,
        }
    }

    /// Adds the sample of `now`, about one [`SPACING`] after the one before.
    pub(super) fn sample(&mut self, now: Instant, current: Snapshot) {
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(Point::between(&self.newest, &current));
        self.newest = current;
        self.since_snapshot += 1;
        if self.since_snapshot == POINTS_PER_SNAPSHOT {
            self.since_snapshot = 0;
            if self.snapshots.len() == SNAPSHOTS {
                self.snapshots.pop_front();
            }
            self.snapshots.push_back((now, self.newest.clone()));
        }
    }

    /// The difference between `current` and the snapshot that is nearest to five minutes old, and the time between them.
    pub(super) fn recent(&self, now: Instant, current: &Snapshot) -> (Duration, Snapshot) {
        let ages = self.snapshots.iter().map(|(at, then)| (now.saturating_duration_since(*at), then));
        match ages.min_by_key(|(age, _)| age.abs_diff(WINDOW)) {
            Some((age, then)) => (age, current.since(then)),
            None => (Duration::ZERO, current.since(current)),
        }
    }

    /// Oldest first.
    pub(super) fn points(&self) -> Vec<Point> {
        self.points.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract::Sent, metrics::Metrics};

    fn with_answers(count: u64) -> Snapshot {
        Snapshot { upstream: [count, 0, 0, 0], ..Snapshot::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_an_hour_of_points_and_five_minutes_of_snapshots() {
        let start = Instant::now();
        let mut history = History::new(start, with_answers(0));
        for number in 1..=1000 {
            history.sample(start + SPACING * number, with_answers(u64::from(number) * 2));
        }
        assert_eq!((history.points().len(), history.snapshots.len()), (POINTS, SNAPSHOTS));
        assert!(history.points().iter().all(|point| point.requests == 2 && point.errors == [0; 6]));
        // 999 is the last multiple of three, so the snapshots are 10 s to 310 s old.
        let (age, recent) = history.recent(start + SPACING * 1000, &with_answers(2000));
        assert_eq!((age.as_secs(), recent.requests()), (310, 62));
    }

    #[tokio::test(start_paused = true)]
    async fn compares_with_the_start_before_there_are_samples() {
        let start = Instant::now();
        let history = History::new(start, with_answers(0));
        let (age, recent) = history.recent(start + Duration::from_secs(9), &with_answers(3));
        assert_eq!((age.as_secs(), recent.requests()), (9, 3));
    }

    #[test]
    fn a_point_has_errors_by_cause_latency_and_clock() {
        let metrics = Metrics::new(&["upstream_dns"]);
        let before = metrics.snapshot();
        assert!(
            Point::between(&before, &before).latency[0].is_nan() && Point::between(&before, &before).clock.is_nan()
        );
        metrics.proxy_error("upstream_dns", Sent::No);
        metrics.set_clock_skew(-2.5);
        let after = Snapshot { upstream: [1, 0, 0, 2], ..metrics.snapshot() };
        let point = Point::between(&before, &after);
        assert_eq!((point.requests, point.errors), (3, [0, 0, 1, 2, 0, 0]));
        assert!((point.clock + 2.5).abs() < 0.01, "{point:?}");
    }

    #[test]
    fn takes_little_memory() {
        assert!(size_of::<Point>() * POINTS <= 16 * 1024, "{}", size_of::<Point>());
    }
}
