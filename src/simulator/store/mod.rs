//! What the simulator remembers, in memory, bounded. Nothing else changes state.
//!
//! A call takes the lock once, so that each call is one transaction. A change of an order that Wonder reports by webhook becomes an
//! [`Event`], sent while the lock is held: events are in the order of the changes.

mod customers;
mod event;
mod orders;
pub(super) mod records;

use tokio::sync::mpsc;
use uuid::Uuid;

use self::{customers::Customers, orders::Orders};
pub(super) use self::{
    event::{EVENTS, Event},
    orders::Names,
};

/// Customers, tokens and orders.
pub(super) struct Store {
    pub(super) customers: Customers,
    pub(super) orders: Orders,
}

impl Store {
    /// An empty store that holds at most `capacity` of each kind.
    pub(super) fn new(capacity: usize, events: mpsc::Sender<Event>) -> Self {
        Self { customers: Customers::new(capacity), orders: Orders::new(capacity, events) }
    }

    /// Forgets everything. Numbers of orders go on, so that none is given twice.
    pub(super) fn reset(&mut self) {
        self.customers.clear();
        self.orders.clear();
    }
}

/// A version 4 UUID (RFC 9562 §5.4).
pub(super) fn new_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}
