//! Changes of orders that Wonder reports by webhook.

use crate::simulator::ledger::{Action, Order};

/// A change of an order's state.
pub(crate) struct Event<'a> {
    /// The bare name for `X-Action`, such as `order.paid` (`deploy/docs/wonder.md` §3).
    pub(crate) action: Action,
    /// The order after the change, in the form of `orders/check`. It is the webhook's body.
    pub(crate) order: &'a Order,
}
