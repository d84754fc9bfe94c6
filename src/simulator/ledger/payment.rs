//! Paying an order.

use uuid::Uuid;

use super::{Action, Amount, Denial, Kind, Method, Order, Outcome, PAID, PAYMENT_FAILED, Status, Transaction};

/// An attempt to pay.
#[derive(Clone, Copy)]
pub(crate) struct Payment {
    /// The uuid of the new transaction.
    pub(crate) uuid: Uuid,
    /// `None`: by card, or by the method of a pending payment.
    pub(crate) method: Option<Method>,
    /// `None`: the whole unpaid rest.
    pub(crate) amount: Option<Amount>,
    /// Whether the money is authorized only.
    pub(crate) authorize: bool,
    pub(crate) outcome: Outcome,
}

impl Order {
    /// The payable rest: the part that is neither paid nor authorized. Pending payments do not count, because they may fail.
    pub(crate) fn payable(&self) -> Amount {
        if self.is_finished() { Amount::ZERO } else { (self.unpaid() - self.authorized()).or_zero() }
    }

    /// The oldest payment without an outcome.
    pub(crate) fn pending(&self) -> Option<&Transaction> {
        self.transactions.iter().find(|transaction| transaction.status == Status::Pending)
    }

    /// Settles the pending payment that matches `payment`, or makes a new one.
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

    /// Pays at most the payable rest.
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

    /// Sets the outcome of a pending payment.
    fn settle(&mut self, uuid: Uuid, outcome: Outcome) -> Result<Option<Action>, Denial> {
        let (state, correspondence_state) = (self.state(), self.correspondence_state());
        let mut pending = self.transactions.iter_mut().filter(|transaction| transaction.status == Status::Pending);
        let transaction = pending.find(|transaction| transaction.uuid == uuid);
        let transaction = transaction.ok_or(Denial::OrderNotPayable(state, correspondence_state))?;
        transaction.status = outcome.status();
        Ok(action(transaction.kind, outcome))
    }
}

/// The action that Wonder reports. The documents have no action for an authorization, and a pending payment changes no state.
fn action(kind: Kind, outcome: Outcome) -> Option<Action> {
    match outcome {
        Outcome::Success if kind == Kind::Sale => Some(PAID),
        Outcome::Failure => Some(PAYMENT_FAILED),
        Outcome::Success | Outcome::Pending => None,
    }
}
