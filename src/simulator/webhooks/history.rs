//! What became of each delivery: those that wait, and the newest that are done, for a person or a script.

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

/// How many deliveries are remembered that wait no more.
const KEPT: usize = 1000;

/// One event on its way to one URL. As JSON, it holds no body, no signature and no value of a query.
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
    /// Why a known receiver cannot verify webhooks to this URL, or why nothing is sent there.
    pub(crate) warnings: Vec<String>,
    /// What goes wrong on purpose.
    #[serde(default)]
    pub(crate) fault: Option<WebhookFault>,
    /// What is sent, until it is delivered.
    #[serde(skip)]
    pub(super) pending: Option<Pending>,
}

/// What a delivery that waits needs for its next attempt.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The whole URL.
    pub(super) url: String,
    pub(super) body: Arc<str>,
    /// `Credential`, `Nonce` and `Signature` of the last attempt.
    pub(super) signed: Option<[String; 3]>,
    /// When the next attempt is due, in seconds since 1970.
    pub(super) due_at: Option<u64>,
    /// Whether it was acknowledged, and is sent once more on purpose.
    #[serde(default)]
    pub(super) again: bool,
}

/// A body and a signature must not appear in a log.
impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("due_at", &self.due_at).finish_non_exhaustive()
    }
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
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
    /// It was not sent, on purpose.
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

/// A stored action is one of those that exist.
fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
    let text = String::deserialize(deserializer)?;
    ACTIONS.into_iter().find(|action| *action == text).ok_or_else(|| D::Error::custom("not an action"))
}

/// The deliveries that wait, and the newest others.
pub(crate) struct History {
    kept: Mutex<Kept>,
    changes: watch::Sender<()>,
}

struct Kept {
    rows: BTreeMap<u64, Delivery>,
    /// Those that wait no more, in the order of their end.
    done: VecDeque<u64>,
    made: u64,
    touched: Touched<u64>,
}

impl History {
    pub(super) fn new(journal: Option<Arc<Journal>>) -> Self {
        let kept = Kept { rows: BTreeMap::new(), done: VecDeque::new(), made: 0, touched: Touched::new(journal) };
        Self { kept: Mutex::new(kept), changes: watch::Sender::default() }
    }

    /// Remembers a new delivery, and gives it its `id`.
    pub(super) fn add(&self, delivery: Delivery) -> u64 {
        let mut kept = self.kept();
        kept.made += 1;
        let id = kept.made;
        kept.keep(Delivery { id, ..delivery });
        drop(kept);
        self.changes.send_modify(|()| ());
        id
    }

    /// Changes a delivery that is still remembered.
    pub(super) fn change(&self, id: u64, change: impl FnOnce(&mut Delivery)) {
        let mut kept = self.kept();
        let Some(mut delivery) = kept.rows.remove(&id) else { return };
        change(&mut delivery);
        kept.keep(delivery);
        drop(kept);
        self.changes.send_modify(|()| ());
    }

    /// What a delivery needs for its next attempt; nothing when it waits no more.
    pub(super) fn pending(&self, id: u64) -> Option<Delivery> {
        self.kept().rows.get(&id).filter(|delivery| delivery.pending.is_some()).cloned()
    }

    /// Those that wait, the oldest first.
    pub(super) fn waiting(&self) -> Vec<Delivery> {
        self.kept().rows.values().filter(|delivery| delivery.pending.is_some()).cloned().collect()
    }

    /// Forgets all of them. No `id` is given again, so that an attempt under way changes no other delivery.
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

    /// All of them, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<Delivery> {
        self.kept().rows.values().rev().cloned().collect()
    }

    /// How many deliveries there were, and the rows that changed.
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

    /// Takes a stored row, or the number of deliveries so far.
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
