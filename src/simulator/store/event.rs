//! Changes of orders that Wonder reports by webhook.

use serde_json::Value;

use crate::signing::AppId;

/// How many events wait for delivery to be taken up. A further one is dropped with a warning: a call never waits for webhooks.
pub(in super::super) const EVENTS: usize = 4096;

/// A change of an order's state.
pub(in super::super) struct Event {
    /// Whose order it is.
    pub(in super::super) app_id: AppId,
    /// The bare name for `X-Action`, such as `order.paid` (`deploy/docs/wonder.md` §3).
    pub(in super::super) action: &'static str,
    /// The order as `orders/check` returns it, at the top level of the webhook's body.
    pub(in super::super) order: Value,
    /// The order's own `callback_url`.
    pub(in super::super) callback_url: Option<String>,
}
