//! Voiding and refunding payments.

use uuid::Uuid;

use super::{Action, Amount, Denial, Kind, Order, REFUNDED, Status, TRANSACTION_VOIDED, Transaction};

/// A refund to make.
pub(crate) struct Refund {
    /// The uuid of the new transaction.
    pub(crate) uuid: Uuid,
    /// The payment to refund.
    pub(crate) sale: Uuid,
    pub(crate) amount: Amount,
    pub(crate) note: Option<Box<str>>,
    /// For how many seconds an identical refund counts as a repetition; zero for never.
    pub(crate) window: u64,
}

impl Order {
    /// Voids a payment or an authorization without refunds.
    pub(crate) fn void_transaction(&mut self, uuid: Uuid) -> Result<Action, Denial> {
        let transaction = self.transaction(uuid).ok_or(Denial::NoTransaction)?;
        if transaction.kind == Kind::Refund || transaction.status != Status::Success || transaction.voided {
            return Err(Denial::TransactionNotVoidable(standing(transaction)));
        }
        if self.refunded_of(uuid).is_positive() {
            return Err(Denial::TransactionNotVoidable("partly or wholly refunded"));
        }
        for transaction in &mut self.transactions {
            transaction.voided |= transaction.uuid == uuid;
        }
        self.refunded_last = false;
        Ok(TRANSACTION_VOIDED)
    }

    /// Refunds a part of a payment, at most the part that is not refunded yet.
    pub(crate) fn refund(&mut self, refund: Refund, now: u64) -> Result<Action, Denial> {
        let sale = self.transaction(refund.sale).ok_or(Denial::NoTransaction)?;
        if !sale.is_live_sale() {
            return Err(Denial::TransactionNotRefundable(standing(sale)));
        }
        let rest = sale.amount - self.refunded_of(sale.uuid);
        let repeats = |other: &Transaction| {
            other.original == Some(refund.sale)
                && other.amount == refund.amount
                && now.saturating_sub(other.created_at) < refund.window
        };
        if self.transactions.iter().any(repeats) {
            return Err(Denial::RefundRepeated);
        }
        if refund.amount > rest {
            return Err(Denial::RefundAboveRest(rest));
        }
        let refund = Transaction {
            uuid: refund.uuid,
            kind: Kind::Refund,
            status: Status::Success,
            voided: false,
            amount: refund.amount,
            method: sale.method,
            original: Some(sale.uuid),
            note: refund.note,
            created_at: now,
        };
        self.transactions.push(refund);
        self.refunded_last = true;
        Ok(REFUNDED)
    }
}

/// Describes a transaction that is not a live payment, for the message.
fn standing(transaction: &Transaction) -> &'static str {
    match (transaction.kind, transaction.status, transaction.voided) {
        (Kind::Refund, ..) => "a refund",
        (_, Status::Pending, _) => "pending",
        (_, Status::Failed, _) => "failed",
        (.., true) => "voided",
        (Kind::Authorization, ..) => "an authorization",
        (Kind::Sale, ..) => "a payment",
    }
}
