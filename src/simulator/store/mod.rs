//! What the simulator remembers, in memory, bounded. Nothing else changes state.
//!
//! A call takes the lock once, so that each call is one transaction. A change of an order that Wonder reports by webhook becomes an
//! [`Event`], sent while the lock is held: events are in the order of the changes.

mod customers;
mod event;
pub(super) mod records;

use tokio::sync::mpsc;
use uuid::Uuid;

use self::customers::Customers;
pub(super) use self::event::{EVENTS, Event};

/// Customers, tokens and orders.
pub(super) struct Store {
    pub(super) customers: Customers,
    #[expect(dead_code, reason = "orders send events as soon as there are orders")]
    events: mpsc::Sender<Event>,
}

impl Store {
    /// An empty store that holds at most `capacity` of each kind.
    pub(super) fn new(capacity: usize, events: mpsc::Sender<Event>) -> Self {
        Self { customers: Customers::new(capacity), events }
    }
}

/// A version 4 UUID (RFC 9562 §5.4).
fn new_uuid() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}
