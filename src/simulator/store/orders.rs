//! Orders: finding, changing and evicting them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::super::{
    ids::Ids,
    ledger::{Action, CREATED, Denial, Draft, Order},
    path::parse_uuid,
    refusal::{Refusal, Rule},
    state::{Batch, Journal, Row, Rows, Touched},
    webhooks::{Event, Webhooks},
};
use crate::signing::AppId;

/// The first digits of order numbers, and how many orders there can be before the next digit changes.
const NUMBERS: u64 = 93_000_000_000;
const SPREAD: u64 = 900_000_000;

/// All orders, with their indexes.
pub(crate) struct Orders {
    capacity: usize,
    /// By number, which is the order of creation.
    rows: BTreeMap<u64, Box<Order>>,
    /// The last of several with the same reference number is the newest.
    by_reference: BTreeSet<(AppId, Arc<str>, u64)>,
    by_transaction: HashMap<Uuid, u64>,
    finished: BTreeSet<u64>,
    /// When unpaid orders become void, in seconds since 1970.
    due: BTreeSet<(u64, u64)>,
    next: u64,
    has_evicted: bool,
    touched: Touched<u64>,
    webhooks: Arc<Webhooks>,
}

/// The identifiers of an order in a body: any of these, alone or together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    pub(crate) number: Option<&'a str>,
    pub(crate) reference_number: Option<&'a str>,
    pub(crate) transaction: Option<&'a str>,
}

impl Orders {
    pub(super) fn new(capacity: usize, ids: &Ids, journal: Option<&Arc<Journal>>, webhooks: Arc<Webhooks>) -> Self {
        Self {
            capacity,
            rows: BTreeMap::new(),
            by_reference: BTreeSet::new(),
            by_transaction: HashMap::new(),
            finished: BTreeSet::new(),
            due: BTreeSet::new(),
            // A restarted simulator does not reuse the numbers of its predecessor, because a merchant's database may still have them.
            next: NUMBERS + ids.below(SPREAD),
            has_evicted: false,
            touched: Touched::new(journal.cloned()),
            webhooks,
        }
    }

    pub(super) fn clear(&mut self) {
        for number in std::mem::take(&mut self.rows).into_keys() {
            self.touched.add(number);
        }
        self.by_reference.clear();
        self.by_transaction.clear();
        self.finished.clear();
        self.due.clear();
    }

    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    pub(super) fn go_on_from(&mut self, next: u64) {
        self.next = next;
    }

    /// Restarts the numbers, for a seed.
    pub(super) fn start_over(&mut self, ids: &Ids) {
        self.next = NUMBERS + ids.below(SPREAD);
    }

    /// Takes the rows that changed since the last time.
    pub(super) fn changed_rows(&mut self) -> Rows<u64> {
        let touched = self.touched.take().into_iter();
        touched.map(|number| (number, self.rows.get(&number).map(Row::of))).collect()
    }

    pub(super) fn put_back(&mut self, batch: &Batch) {
        self.touched.put_back(batch.orders.iter().map(|(number, _)| *number));
    }

    /// Adds an order from the state file.
    pub(crate) fn restore(&mut self, row: &[u8]) -> Result<(), serde_json::Error> {
        let order: Box<Order> = serde_json::from_slice(row)?;
        self.next = self.next.max(order.number + 1);
        self.find_by_names(&order);
        self.keep(order);
        Ok(())
    }

    /// The number of an order of a seed: the given number if it is free, or the next one.
    pub(crate) fn number_of_seed(&mut self, given: Option<u64>) -> Option<u64> {
        let number = given.unwrap_or(self.next);
        let is_free = !self.rows.contains_key(&number);
        is_free.then(|| self.next = self.next.max(number + 1))?;
        Some(number)
    }

    /// Adds an order of a seed.
    pub(crate) fn seed(&mut self, order: Box<Order>) -> Result<(), Refusal> {
        if self.rows.len() >= self.capacity {
            return Err(Refusal::Full(self.capacity));
        }
        self.touched.add(order.number);
        self.find_by_names(&order);
        self.keep(order);
        Ok(())
    }

    /// Evicts finished orders of a state file that exceed the present capacity. Unfinished orders stay.
    pub(crate) fn shrink(&mut self) {
        while self.rows.len() > self.capacity && self.evict().is_ok() {}
    }

    /// The orders of all AppIDs with a number below `before`, the newest first.
    pub(crate) fn newest(&self, before: Option<u64>) -> impl Iterator<Item = &Order> {
        self.rows.range(..before.unwrap_or(u64::MAX)).rev().map(|(_, order)| &**order)
    }

    /// Creates an order and applies `change` to it. If the change is denied, no order is created. If necessary, the oldest finished
    /// order is evicted.
    pub(crate) fn create(
        &mut self,
        app_id: &AppId,
        draft: Draft,
        now: u64,
        change: impl FnOnce(&mut Order) -> Result<Option<Action>, Denial>,
    ) -> Result<&Order, Refusal> {
        let mut order = Box::new(Order::new(self.next, app_id.clone(), draft, now));
        let created = order.clone();
        let action = change(&mut order)?;
        if self.rows.len() >= self.capacity {
            self.evict()?;
        }
        let number = self.next;
        self.next += 1;
        self.find_by_names(&order);
        self.touched.add(number);
        self.webhooks.report(&Event { action: CREATED, order: &created });
        if let Some(action) = action {
            self.webhooks.report(&Event { action, order: &order });
        }
        Ok(self.keep(order))
    }

    /// Adds an order to the indexes of reference numbers and due dates.
    fn find_by_names(&mut self, order: &Order) {
        self.by_reference.insert((order.app_id.clone(), Arc::clone(&order.draft.reference_number), order.number));
        if let Some(date) = order.draft.due_date {
            self.due.insert((date.end(), order.number));
        }
    }

    fn evict(&mut self) -> Result<(), Refusal> {
        let number = self.finished.pop_first().ok_or(Refusal::Full(self.capacity))?;
        self.touched.add(number);
        if let Some(order) = self.rows.remove(&number) {
            self.by_reference.remove(&(order.app_id.clone(), Arc::clone(&order.draft.reference_number), number));
            for transaction in order.transactions() {
                self.by_transaction.remove(&transaction.uuid);
            }
            if let Some(date) = order.draft.due_date {
                self.due.remove(&(date.end(), number));
            }
        }
        if !self.has_evicted {
            self.has_evicted = true;
            tracing::warn!(
                capacity = self.capacity,
                "the simulator is full; each new order evicts the oldest finished one from now on"
            );
        }
        Ok(())
    }

    /// Changes an order by a function that changes it completely or not at all, and reports the result.
    pub(crate) fn change(
        &mut self,
        number: u64,
        now: u64,
        change: impl FnOnce(&mut Order) -> Result<Option<Action>, Denial>,
    ) -> Result<&Order, Denial> {
        let Some(mut order) = self.rows.remove(&number) else { return Err(Denial::NoTransaction) };
        match change(&mut order) {
            Ok(action) => {
                order.updated_at = now;
                self.touched.add(number);
                if let Some(action) = action {
                    self.webhooks.report(&Event { action, order: &order });
                }
                Ok(self.keep(order))
            }
            Err(denial) => {
                self.rows.insert(number, order);
                Err(denial)
            }
        }
    }

    /// Stores a new or changed order and updates all indexes.
    fn keep(&mut self, order: Box<Order>) -> &Order {
        let number = order.number;
        for transaction in order.transactions() {
            self.by_transaction.insert(transaction.uuid, number);
        }
        if order.is_finished() {
            self.finished.insert(number);
        } else {
            self.finished.remove(&number);
        }
        self.rows.entry(number).or_insert(order)
    }

    /// Voids the unpaid orders whose due date has passed.
    pub(crate) fn void_overdue(&mut self, now: u64) {
        while let Some((end, number)) = self.due.first().copied().filter(|(end, _)| *end <= now) {
            self.due.remove(&(end, number));
            // An order with a payment is not changed.
            let _ = self.change(number, now, |order| order.void().map(Some));
        }
    }

    /// The order with this number, of any AppID.
    pub(crate) fn by_number(&self, number: &str) -> Result<&Order, Refusal> {
        let canonical = number.parse().ok().filter(|parsed: &u64| parsed.to_string() == number);
        canonical.and_then(|number| self.rows.get(&number)).map(|order| &**order).ok_or(Refusal::NoOrder)
    }

    /// The order of an AppID that matches all of `names`.
    pub(crate) fn find(&self, app_id: &AppId, names: Names<'_>) -> Result<&Order, Refusal> {
        let own = |order: &&Order| order.app_id == *app_id;
        let by_number =
            names.number.map(|number| self.by_number(number).ok().filter(own).ok_or(Refusal::NoOrder)).transpose()?;
        let by_transaction = names.transaction.map(|uuid| self.by_transaction(app_id, uuid)).transpose()?;
        if let (Some(order), Some(other)) = (by_number, by_transaction)
            && order.number != other.number
        {
            return Err(Refusal::FieldValue("transaction.uuid".to_owned(), Rule::SameOrder));
        }
        match (by_number.or(by_transaction), names.reference_number) {
            (Some(order), Some(reference)) if *order.draft.reference_number != *reference => {
                // An unknown reference number gets the same refusal as it would alone.
                self.by_reference(app_id, reference)?;
                Err(Refusal::FieldValue("order.reference_number".to_owned(), Rule::SameOrder))
            }
            (Some(order), _) => Ok(order),
            (None, Some(reference)) => self.by_reference(app_id, reference),
            (None, None) => {
                let names = "order.reference_number, order.number or transaction.uuid";
                Err(Refusal::FieldMissing(names.to_owned()))
            }
        }
    }

    /// The newest order with this reference number.
    pub(crate) fn by_reference(&self, app_id: &AppId, reference: &str) -> Result<&Order, Refusal> {
        let key = |number| (app_id.clone(), Arc::from(reference), number);
        let found = self.by_reference.range(key(0)..=key(u64::MAX)).next_back();
        found.and_then(|(.., number)| self.rows.get(number)).map(|order| &**order).ok_or(Refusal::NoOrder)
    }

    fn by_transaction(&self, app_id: &AppId, uuid: &str) -> Result<&Order, Refusal> {
        let number = parse_uuid(uuid).and_then(|uuid| self.by_transaction.get(&uuid));
        let order = number.and_then(|number| self.rows.get(number)).map(|order| &**order);
        order.filter(|order| order.app_id == *app_id).ok_or(Refusal::NoTransaction)
    }

    /// Whether any order has a transaction with this uuid.
    pub(crate) fn has_transaction(&self, uuid: Uuid) -> bool {
        self.by_transaction.contains_key(&uuid)
    }

    /// All orders of an AppID, the oldest first.
    pub(crate) fn of(&self, app_id: &AppId) -> impl Iterator<Item = &Order> {
        self.rows.values().map(|order| &**order).filter(move |order| order.app_id == *app_id)
    }

    /// Reports an action again, with the present state of the order.
    pub(crate) fn report_again(&self, number: &str, action: Action) -> Result<(), Refusal> {
        self.webhooks.report(&Event { action, order: self.by_number(number)? });
        Ok(())
    }
}
