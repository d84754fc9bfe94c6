//! The money of an order, pure: payments, voids and refunds, and the resulting state. Time, uuids and numbers are parameters.
//! Every function checks first and changes afterwards, so that a denied call changes nothing.
//!
//! # States (`deploy/docs/wonder.md` §5.5)
//!
//! State and correspondence state are not stored. They are computed from the transactions, so they cannot contradict them:
//!
//! | Transactions | `state` | `correspondence_state` |
//! |---|---|---|
//! | none that succeeded | `invoiced` | `unpaid` |
//! | a part is paid, or was refunded or voided | `in_completed` | `partial_paid` |
//! | an authorization alone | `in_completed` | `authorized` |
//! | the total is paid, or more | `completed` | `paid`, `over_paid` |
//! | all payments are refunded or voided | `completed` | `refunded`, `voided` |
//! | none, and the order is voided | `voided` | `unpaid` |

mod amount;
mod date;
mod denial;
mod order;
mod payment;
mod reversal;
mod state;
mod transaction;
mod view;

pub(crate) use self::amount::Currency;
pub(super) use self::{
    amount::{Amount, MOST},
    date::{Date, parse_time, rfc3339},
    denial::Denial,
    order::{Draft, LineItem, Order},
    payment::Payment,
    reversal::Refund,
    transaction::{Kind, Method, Outcome, Status, Transaction},
};

/// A change that Wonder reports by webhook: the name in `X-Action`, without `(full)` or `(partial)`.
pub(super) type Action = &'static str;

pub(super) const CREATED: Action = "order.created";
pub(super) const PAID: Action = "order.paid";
pub(super) const PAYMENT_FAILED: Action = "order.payment_failure";
pub(super) const VOIDED: Action = "order.voided";
pub(super) const REFUNDED: Action = "order.refunded";
pub(super) const TRANSACTION_VOIDED: Action = "transaction.voided";

/// Every action.
pub(super) const ACTIONS: [Action; 6] = [CREATED, PAID, PAYMENT_FAILED, VOIDED, REFUNDED, TRANSACTION_VOIDED];

pub(super) const ACTION_NAMES: &str =
    "order.created, order.paid, order.payment_failure, order.voided, order.refunded, transaction.voided";

/// An AppID as it is stored: its text.
pub(super) mod app_id {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::signing::AppId;

    pub(crate) fn serialize<S: Serializer>(app_id: &AppId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(app_id.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AppId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("not an AppID"))
    }
}

#[cfg(test)]
mod tests;
