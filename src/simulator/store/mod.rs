//! The simulator's data, in bounded memory. No other module changes it.
//!
//! A call takes the lock once, so that each call is one transaction. A change of an order that Wonder reports by webhook becomes an
//! [`Event`](super::webhooks::Event), which is reported while the lock is held. Events are therefore in the order of the changes, and a
//! change is written to the state file together with its webhooks.

mod customers;
mod orders;
pub(super) mod records;

use std::sync::Arc;

pub(super) use self::orders::Names;
use self::{customers::Customers, orders::Orders};
use super::{
    ids::Ids,
    state::{Batch, Counters, Journal, Rows},
    webhooks::Webhooks,
};

/// Customers, tokens and orders.
pub(crate) struct Store {
    pub(super) customers: Customers,
    pub(super) orders: Orders,
    pub(super) ids: Arc<Ids>,
}

impl Store {
    /// An empty store that holds at most `capacity` of each kind.
    pub(super) fn new(capacity: usize, ids: Arc<Ids>, journal: Option<&Arc<Journal>>, webhooks: Arc<Webhooks>) -> Self {
        Self {
            customers: Customers::new(capacity, Arc::clone(&ids), journal),
            orders: Orders::new(capacity, &ids, journal, webhooks),
            ids,
        }
    }

    /// Deletes everything. Order numbers continue, so that none is used twice, unless a seed produces the same ones again.
    pub(super) fn reset(&mut self) {
        self.customers.clear();
        self.orders.clear();
        if self.ids.are_seeded() {
            self.ids.go_on_from([0, 0]);
            self.orders.start_over(&self.ids);
        }
    }

    /// Takes the rows that changed since the last time, without those of deliveries.
    pub(super) fn changed_rows(&mut self) -> Batch {
        let (customers, tokens) = self.customers.changed_rows();
        let (orders, deliveries, keys): (_, Rows<u64>, _) = (self.orders.changed_rows(), Vec::new(), Vec::new());
        let counters = Counters {
            next_order: self.orders.next_number(),
            customers: self.customers.made(),
            deliveries: 0,
            drawn: self.ids.position(),
        };
        Batch { customers, tokens, orders, deliveries, counters, keys }
    }

    /// Marks rows as changed again after a failed write.
    pub(super) fn put_back(&mut self, batch: &Batch) {
        self.customers.put_back(batch);
        self.orders.put_back(batch);
    }

    pub(super) fn restore_counters(&mut self, counters: Counters) {
        self.orders.go_on_from(counters.next_order);
        self.customers.go_on_from(counters.customers);
        self.ids.go_on_from(counters.drawn);
    }
}
