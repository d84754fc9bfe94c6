//! What became of each delivery: the newest ones, for a person or a script.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::watch;

use crate::signing::{AppId, RequestTime};

/// How many deliveries are remembered.
const KEPT: usize = 1000;

/// One event on its way to one URL. It holds no body, no signature and no value of a query.
#[derive(Debug, Clone, Serialize)]
pub(in super::super) struct Delivery {
    pub(in super::super) id: u64,
    /// `yyyymmddHHMMSS`, UTC.
    pub(in super::super) created_at: String,
    pub(in super::super) app_id: String,
    pub(in super::super) order_number: String,
    pub(in super::super) action: &'static str,
    pub(in super::super) url: String,
    pub(in super::super) outcome: Outcome,
    pub(in super::super) attempts: Vec<Attempt>,
    /// Seconds from the last attempt to the next one.
    pub(in super::super) next_attempt_in: Option<f64>,
    /// Why a known receiver cannot verify webhooks to this URL, or why nothing is sent there.
    pub(in super::super) warnings: Vec<String>,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Outcome {
    /// It waits for its turn or for the next attempt.
    Waiting,
    /// The receiver acknowledged it.
    Acknowledged,
    /// No attempt is left, or the answer was final.
    Failed,
    /// Its URL is none that webhooks go to.
    Refused,
    /// Too many others waited.
    Dropped,
}

/// One attempt.
#[derive(Debug, Clone, Serialize)]
pub(in super::super) struct Attempt {
    /// `yyyymmddHHMMSS`, UTC.
    pub(in super::super) at: String,
    pub(in super::super) status: Option<u16>,
    /// Why there is no answer.
    pub(in super::super) error: Option<String>,
}

/// The newest deliveries, the oldest of them first.
#[derive(Default)]
pub(in super::super) struct History {
    kept: Mutex<VecDeque<Delivery>>,
    changes: watch::Sender<()>,
}

impl History {
    pub(super) fn begin(
        &self,
        now: RequestTime,
        app_id: &AppId,
        (order_number, action): (&str, &'static str),
        url: String,
        warnings: Vec<String>,
    ) -> u64 {
        let mut kept = self.kept();
        let id = kept.back().map_or(1, |last| last.id + 1);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Delivery {
            id,
            created_at: now.to_string(),
            app_id: app_id.to_string(),
            order_number: order_number.to_owned(),
            action,
            url,
            outcome: Outcome::Waiting,
            attempts: Vec::new(),
            next_attempt_in: None,
            warnings,
        });
        drop(kept);
        self.changes.send_modify(|()| ());
        id
    }

    /// Changes a delivery that is still remembered.
    pub(super) fn change(&self, id: u64, change: impl FnOnce(&mut Delivery)) {
        let mut kept = self.kept();
        let at = kept.front().and_then(|first| usize::try_from(id.checked_sub(first.id)?).ok());
        if let Some(delivery) = at.and_then(|at| kept.get_mut(at)) {
            change(delivery);
        }
        drop(kept);
        self.changes.send_modify(|()| ());
    }

    /// Changes with every delivery.
    pub(in super::super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// All of them, the newest first.
    pub(in super::super) fn newest_first(&self) -> Vec<Delivery> {
        self.kept().iter().rev().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Delivery>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_deliveries_and_changes_none_that_is_gone() {
        let history = History::default();
        let (now, app_id) =
            (RequestTime::from_unix_seconds(0), "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11".parse().unwrap());
        for _ in 0..=KEPT {
            history.begin(now, &app_id, ("1", "order.paid"), String::new(), Vec::new());
        }
        history.change(1, |_| panic!("the first is gone"));
        history.change(2, |delivery| delivery.outcome = Outcome::Failed);
        history.change(KEPT as u64 + 2, |_| panic!("not there yet"));
        let kept = history.newest_first();
        assert_eq!((kept.len(), kept[0].id), (KEPT, KEPT as u64 + 1));
        assert_eq!((kept[KEPT - 1].id, kept[KEPT - 1].outcome), (2, Outcome::Failed));
    }
}
