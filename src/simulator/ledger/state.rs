//! The state of an order, from its transactions.

use super::{Amount, Order, Status, Transaction};

impl Order {
    /// Wonder's `state`.
    pub(crate) fn state(&self) -> &'static str {
        self.states().0
    }

    /// Wonder's `correspondence_state`.
    pub(crate) fn correspondence_state(&self) -> &'static str {
        self.states().1
    }

    /// Whether the state is `completed` or `voided`.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state(), "completed" | "voided")
    }

    /// The table in the documentation of `ledger`.
    fn states(&self) -> (&'static str, &'static str) {
        if self.voided {
            return ("voided", "unpaid");
        }
        let total = self.draft.total;
        let net = self.paid() - self.refunded();
        if net >= total {
            return ("completed", if net == total { "paid" } else { "over_paid" });
        }
        if net > Amount::ZERO {
            return ("in_completed", "partial_paid");
        }
        if self.authorized() > Amount::ZERO {
            return ("in_completed", "authorized");
        }
        if !self.transactions.iter().any(|transaction: &Transaction| transaction.status == Status::Success) {
            return ("invoiced", "unpaid");
        }
        ("completed", if self.refunded_last { "refunded" } else { "voided" })
    }
}
