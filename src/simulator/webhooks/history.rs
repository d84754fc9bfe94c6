//! The deliveries that wait, and the newest finished ones with their outcomes, for people and scripts.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use tokio::sync::watch;

use super::super::{
    faults::WebhookFault,
    ledger::{ACTIONS, Action},
    state::{Journal, Row, Rows, Touched},
};

/// The number of finished deliveries to keep.
const KEPT: usize = 1000;

/// The delivery of one event to one URL. Its JSON has no body, no signature and no value of a query.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    /// `yyyymmddHHMMSS`, UTC.
    pub(crate) created_at: String,
    pub(crate) app_id: String,
    pub(crate) order_number: String,
    #[serde(deserialize_with = "action")]
    pub(crate) action: Action,
    pub(crate) url: String,
    pub(crate) outcome: Outcome,
    pub(crate) attempts: Vec<Attempt>,
    /// Seconds from the last attempt to the next one.
    pub(crate) next_attempt_in: Option<f64>,
    /// Why a known receiver cannot verify webhooks to this URL, or why no webhook is sent to it.
    pub(crate) warnings: Vec<String>,
    /// The requested fault.
    #[serde(default)]
    pub(crate) fault: Option<WebhookFault>,
    /// The content, until it is delivered.
    #[serde(skip)]
    pub(super) pending: Option<Pending>,
}

/// The data for the next attempt of a delivery.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The whole URL.
    pub(super) url: String,
    pub(super) body: Arc<str>,
    /// `Credential`, `Nonce` and `Signature` of the last attempt.
    pub(super) signed: Option<[String; 3]>,
    /// When the next attempt is due, in seconds since 1970.
    pub(super) due_at: Option<u64>,
    /// Whether it was acknowledged and is sent again because of a fault.
    #[serde(default)]
    pub(super) again: bool,
}

/// A body and a signature must not appear in a log.
impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("due_at", &self.due_at).finish_non_exhaustive()
    }
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It waits for earlier deliveries or for the next attempt.
    Waiting,
    /// The receiver acknowledged it.
    Acknowledged,
    /// No attempt is left, or the answer was final.
    Failed,
    /// Webhooks are not allowed to its URL.
    Refused,
    /// Too many other deliveries waited.
    Dropped,
    /// It was not sent because of a fault.
    Lost,
}

/// One attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// `yyyymmddHHMMSS`, UTC.
    pub(crate) at: String,
    pub(crate) status: Option<u16>,
    /// Why there is no answer.
    pub(crate) error: Option<String>,
}

/// Reads a stored action, which must be a known one.
fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
    let text = String::deserialize(deserializer)?;
    ACTIONS.into_iter().find(|action| *action == text).ok_or_else(|| D::Error::custom("not an action"))
}

/// The deliveries that wait, and the newest finished ones.
pub(crate) struct History {
    kept: Mutex<Kept>,
    changes: watch::Sender<()>,
}

struct Kept {
    rows: BTreeMap<u64, Delivery>,
    /// The finished ones, in the order of their end.
    done: VecDeque<u64>,
    made: u64,
    touched: Touched<u64>,
}

impl History {
    pub(super) fn new(journal: Option<Arc<Journal>>) -> Self {
        let kept = Kept { rows: BTreeMap::new(), done: VecDeque::new(), made: 0, touched: Touched::new(journal) };
        Self { kept: Mutex::new(kept), changes: watch::Sender::default() }
    }

    /// Adds a new delivery and assigns its `id`.
    pub(super) fn add(&self, delivery: Delivery) -> u64 {
        let mut kept = self.kept();
        kept.made += 1;
        let id = kept.made;
        kept.keep(Delivery { id, ..delivery });
        drop(kept);
        self.changes.send_modify(|()| ());
        id
    }

    /// Changes a delivery, if it is still kept.
    pub(super) fn change(&self, id: u64, change: impl FnOnce(&mut Delivery)) {
        let mut kept = self.kept();
        let Some(mut delivery) = kept.rows.remove(&id) else { return };
        change(&mut delivery);
        kept.keep(delivery);
        drop(kept);
        self.changes.send_modify(|()| ());
    }

    /// The data for the next attempt of a delivery; `None` if it is finished.
    pub(super) fn pending(&self, id: u64) -> Option<Delivery> {
        self.kept().rows.get(&id).filter(|delivery| delivery.pending.is_some()).cloned()
    }

    /// The deliveries that wait, the oldest first.
    pub(super) fn waiting(&self) -> Vec<Delivery> {
        self.kept().rows.values().filter(|delivery| delivery.pending.is_some()).cloned().collect()
    }

    /// Deletes all deliveries. No `id` is used again, so that an attempt in progress changes no other delivery.
    pub(crate) fn clear(&self) {
        let mut kept = self.kept();
        let Kept { rows, done, touched, .. } = &mut *kept;
        done.clear();
        for id in std::mem::take(rows).into_keys() {
            touched.add(id);
        }
        drop(kept);
        self.changes.send_modify(|()| ());
    }

    /// Changes with every delivery.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// All deliveries, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<Delivery> {
        self.kept().rows.values().rev().cloned().collect()
    }

    /// The number of deliveries so far, and the changed rows.
    pub(crate) fn changed_rows(&self) -> (u64, Rows<u64>) {
        let mut kept = self.kept();
        let touched = kept.touched.take();
        let rows = touched.into_iter().map(|id| {
            let row = kept.rows.get(&id).map(|delivery| Row::of(&(delivery, &delivery.pending)));
            (id, row)
        });
        let rows = rows.collect();
        (kept.made, rows)
    }

    pub(crate) fn put_back(&self, ids: impl IntoIterator<Item = u64>) {
        self.kept().touched.put_back(ids);
    }

    /// Adds a row from the state file.
    pub(crate) fn restore(&self, row: &[u8]) -> Result<(), serde_json::Error> {
        let (delivery, pending): (Delivery, Option<Pending>) = serde_json::from_slice(row)?;
        let mut kept = self.kept();
        if pending.is_none() {
            kept.done.push_back(delivery.id);
        }
        kept.made = kept.made.max(delivery.id);
        kept.rows.insert(delivery.id, Delivery { pending, ..delivery });
        Ok(())
    }

    pub(crate) fn restore_count(&self, made: u64) {
        let mut kept = self.kept();
        kept.made = kept.made.max(made);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, mut delivery: Delivery) {
        let id = delivery.id;
        if delivery.outcome != Outcome::Waiting {
            delivery.pending = None;
            self.done.push_back(id);
            if self.done.len() > KEPT
                && let Some(oldest) = self.done.pop_front()
            {
                self.rows.remove(&oldest);
                self.touched.add(oldest);
            }
        }
        self.rows.insert(id, delivery);
        self.touched.add(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(outcome: Outcome) -> Delivery {
        Delivery {
            id: 0,
            created_at: String::new(),
            app_id: String::new(),
            order_number: "1".to_owned(),
            action: "order.paid",
            url: String::new(),
            outcome,
            attempts: Vec::new(),
            next_attempt_in: None,
            warnings: Vec::new(),
            fault: None,
            pending: Some(Pending { url: String::new(), body: "{}".into(), signed: None, due_at: None, again: false }),
        }
    }

    #[test]
    fn keeps_the_newest_that_are_done_and_all_that_wait() {
        let history = History::new(None);
        let first = history.add(delivery(Outcome::Waiting));
        for _ in 0..=KEPT {
            history.add(delivery(Outcome::Refused));
        }
        history.change(2, |_| panic!("the oldest that was done is gone"));
        history.change(first, |delivery| assert_eq!(delivery.outcome, Outcome::Waiting));
        let kept = history.newest_first();
        assert_eq!((kept.len(), kept[0].id, kept[KEPT].id), (KEPT + 1, KEPT as u64 + 2, first));
        history.change(first, |delivery| delivery.outcome = Outcome::Acknowledged);
        let kept = history.newest_first();
        assert_eq!((kept.len(), kept[KEPT - 1].id, kept[KEPT - 1].outcome), (KEPT, first, Outcome::Acknowledged));
        assert!(history.waiting().is_empty());
    }

    #[test]
    fn an_attempt_that_ends_after_a_reset_changes_nothing() {
        let history = History::new(None);
        let old = history.add(delivery(Outcome::Waiting));
        history.clear();
        let new = history.add(delivery(Outcome::Waiting));
        assert_ne!(old, new);
        history.change(old, |_| panic!("it is forgotten"));
    }
}
