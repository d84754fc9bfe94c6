//! Rows of the state file: JSON under a key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::signing::AppId;

/// A row as it is stored.
pub(crate) struct Row(pub(super) Vec<u8>);

impl Row {
    pub(crate) fn of(row: &impl Serialize) -> Self {
        // Rows are structures of texts and numbers, which are JSON at all times.
        Self(serde_json::to_vec(row).unwrap_or_default())
    }
}

/// What a file has, in the order in which it is loaded: tokens come before the customers whom they belong to.
pub(crate) enum Stored<'a> {
    Counters(Counters),
    Token(&'a [u8]),
    /// With the key of its row.
    Customer(u64, &'a [u8]),
    Order(&'a [u8]),
    Delivery(&'a [u8]),
}

/// Rows that changed; nothing for those that are gone.
pub(crate) type Rows<K> = Vec<(K, Option<Row>)>;

/// What one commit writes.
pub(crate) struct Batch {
    pub(crate) customers: Rows<u64>,
    pub(crate) tokens: Rows<Uuid>,
    pub(crate) orders: Rows<u64>,
    pub(crate) deliveries: Rows<u64>,
    pub(crate) counters: Counters,
    /// Webhook keys that were made, as PEM.
    pub(crate) keys: Vec<(AppId, zeroize::Zeroizing<String>)>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        let Self { customers, tokens, orders, deliveries, counters: _, keys } = self;
        customers.is_empty() && tokens.is_empty() && orders.is_empty() && deliveries.is_empty() && keys.is_empty()
    }
}

/// Counters, which go on after a restart so that nothing is given twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// The number of the next order.
    pub(crate) next_order: u64,
    pub(crate) customers: u64,
    pub(crate) deliveries: u64,
    /// How much was drawn from the seed of `--deterministic`.
    pub(crate) drawn: [u64; 2],
}
