//! What happened in the last minute, from snapshots taken when somebody looks. No task wakes an idle process for it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::metrics::Snapshot;

/// What a rate is taken over when there is a choice.
const WINDOW: Duration = Duration::from_mins(1);
/// Snapshots nearer to one another than this are not worth their memory.
const SPACING: Duration = Duration::from_secs(1);
/// With the spacing above, the window and a little more.
const KEPT: usize = 64;

/// Past snapshots, oldest first; never empty.
pub(super) struct History {
    past: VecDeque<(Instant, Snapshot)>,
}

impl History {
    pub(super) fn new(start: Instant, zero: Snapshot) -> Self {
        Self { past: VecDeque::from([(start, zero)]) }
    }

    /// Keeps `current` for later.
    pub(super) fn record(&mut self, now: Instant, current: Snapshot) {
        let newest = self.past.back().map(|(at, _)| now.saturating_duration_since(*at));
        if newest.is_some_and(|age| age < SPACING) {
            return;
        }
        if self.past.len() == KEPT {
            self.past.pop_front();
        }
        self.past.push_back((now, current));
    }

    /// What happened between the snapshot that is nearest to a minute old and `current`, and how long that is.
    pub(super) fn last_minute(&self, now: Instant, current: &Snapshot) -> (Duration, Snapshot) {
        let ages = self.past.iter().map(|(at, then)| (now.saturating_duration_since(*at), then));
        match ages.min_by_key(|(age, _)| age.abs_diff(WINDOW)) {
            Some((age, then)) => (age, current.since(then)),
            None => (Duration::ZERO, current.since(current)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_answers(count: u64) -> Snapshot {
        Snapshot { upstream: [count, 0, 0, 0], ..Snapshot::default() }
    }

    #[test]
    fn compares_with_the_snapshot_nearest_to_a_minute_old() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::new(start, with_answers(0));
        for second in [100, 130, 160, 200] {
            history.record(at(second), with_answers(second));
        }
        let (age, between) = history.last_minute(at(200), &with_answers(200));
        assert_eq!((age.as_secs(), between.requests()), (70, 70));
        let (age, between) = history.last_minute(at(1000), &with_answers(1000));
        assert_eq!((age.as_secs(), between.requests()), (800, 800));
    }

    #[test]
    fn compares_with_the_start_when_nothing_else_is_known() {
        let start = Instant::now();
        let history = History::new(start, with_answers(0));
        let (age, between) = history.last_minute(start + Duration::from_secs(9), &with_answers(3));
        assert_eq!((age.as_secs(), between.requests()), (9, 3));
    }

    #[test]
    fn keeps_few_snapshots_and_spans_a_minute_with_them() {
        let start = Instant::now();
        let mut history = History::new(start, with_answers(0));
        for tenth in 0..10_000 {
            history.record(start + Duration::from_millis(tenth * 100), with_answers(tenth));
        }
        assert_eq!(history.past.len(), KEPT);
        let (age, _) = history.last_minute(start + Duration::from_secs(1000), &with_answers(10_000));
        assert_eq!(age, WINDOW);
    }
}
