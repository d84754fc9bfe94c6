//! Paying an order.

use uuid::Uuid;

use super::{Action, Amount, Denial, Kind, Method, Order, Outcome, PAID, PAYMENT_FAILED, Status, Transaction};

/// An attempt to pay.
#[derive(Clone, Copy)]
pub(crate) struct Payment {
    /// Of the transaction that it becomes.
    pub(crate) uuid: Uuid,
    /// Nothing: by card, or whatever a pending payment is made with.
    pub(crate) method: Option<Method>,
    /// Nothing: all that is unpaid.
    pub(crate) amount: Option<Amount>,
    /// Whether the money is held, not taken.
    pub(crate) authorize: bool,
    pub(crate) outcome: Outcome,
}

impl Order {
    /// What can still be paid: what is neither paid nor held by an authorization. Pending payments do not count, because they may fail.
    pub(crate) fn payable(&self) -> Amount {
        if self.is_finished() { Amount::ZERO } else { (self.unpaid() - self.authorized()).or_zero() }
    }

    /// The payment that waits for its outcome, the oldest first.
    pub(crate) fn pending(&self) -> Option<&Transaction> {
        self.transactions.iter().find(|transaction| transaction.status == Status::Pending)
    }

    /// Settles the pending payment that `payment` may mean, or pays.
    pub(crate) fn pay_or_settle(&mut self, payment: Payment, now: u64) -> Result<Option<Action>, Denial> {
        let meant = |pending: &&Transaction| {
            payment.method.is_none_or(|method| method == pending.method)
                && payment.amount.is_none_or(|amount| amount == pending.amount)
        };
        match self.pending().filter(meant).map(|pending| pending.uuid) {
            Some(pending) if payment.outcome != Outcome::Pending => self.settle(pending, payment.outcome),
            _ => self.pay(payment, now),
        }
    }

    /// Pays, at most what is payable.
    pub(crate) fn pay(&mut self, payment: Payment, now: u64) -> Result<Option<Action>, Denial> {
        let payable = self.payable();
        if !payable.is_positive() {
            return Err(Denial::OrderNotPayable(self.state(), self.correspondence_state()));
        }
        let amount = payment.amount.unwrap_or(payable);
        if amount > payable {
            return Err(Denial::AmountAboveUnpaid(payable));
        }
        let kind = if payment.authorize || self.draft.only_pre_auth { Kind::Authorization } else { Kind::Sale };
        self.transactions.push(Transaction {
            uuid: payment.uuid,
            kind,
            status: payment.outcome.status(),
            voided: false,
            amount,
            method: payment.method.unwrap_or(Method::CreditCard),
            original: None,
            note: None,
            created_at: now,
        });
        Ok(action(kind, payment.outcome))
    }

    /// Gives a pending payment its outcome.
    fn settle(&mut self, uuid: Uuid, outcome: Outcome) -> Result<Option<Action>, Denial> {
        let (state, correspondence_state) = (self.state(), self.correspondence_state());
        let mut pending = self.transactions.iter_mut().filter(|transaction| transaction.status == Status::Pending);
        let transaction = pending.find(|transaction| transaction.uuid == uuid);
        let transaction = transaction.ok_or(Denial::OrderNotPayable(state, correspondence_state))?;
        transaction.status = outcome.status();
        Ok(action(transaction.kind, outcome))
    }
}

/// What Wonder reports. An authorization has no action of its own in the documents, and a pending payment changes no state.
fn action(kind: Kind, outcome: Outcome) -> Option<Action> {
    match outcome {
        Outcome::Success if kind == Kind::Sale => Some(PAID),
        Outcome::Failure => Some(PAYMENT_FAILED),
        Outcome::Success | Outcome::Pending => None,
    }
}
