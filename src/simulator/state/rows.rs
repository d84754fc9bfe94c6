//! Rows of the state file: JSON under a key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::signing::AppId;

/// The stored form of a row.
pub(crate) struct Row(pub(super) Vec<u8>);

impl Row {
    pub(crate) fn of(row: &impl Serialize) -> Self {
        // Rows consist of texts and numbers, so they can always be written as JSON.
        Self(serde_json::to_vec(row).unwrap_or_default())
    }
}

/// The contents of a file in the order of loading: tokens are loaded before the customers that own them.
#[derive(Clone, Copy)]
pub(crate) enum Stored<'a> {
    Counters(Counters),
    Token(&'a [u8]),
    /// With the key of its row.
    Customer(u64, &'a [u8]),
    Order(&'a [u8]),
    Delivery(&'a [u8]),
}

/// Changed rows; `None` for deleted ones.
pub(crate) type Rows<K> = Vec<(K, Option<Row>)>;

/// The content of one commit.
pub(crate) struct Batch {
    pub(crate) customers: Rows<u64>,
    pub(crate) tokens: Rows<Uuid>,
    pub(crate) orders: Rows<u64>,
    pub(crate) deliveries: Rows<u64>,
    pub(crate) counters: Counters,
    /// New webhook keys, as PEM.
    pub(crate) keys: Vec<(AppId, zeroize::Zeroizing<String>)>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        let Self { customers, tokens, orders, deliveries, counters: _, keys } = self;
        customers.is_empty() && tokens.is_empty() && orders.is_empty() && deliveries.is_empty() && keys.is_empty()
    }
}

/// Counters, which continue after a restart so that no number is used twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// The number of the next order.
    pub(crate) next_order: u64,
    pub(crate) customers: u64,
    pub(crate) deliveries: u64,
    /// The number of values taken from the seed of `--deterministic`.
    pub(crate) drawn: [u64; 2],
}
