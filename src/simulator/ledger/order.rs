//! An order: the merchant's request, and the transactions since.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Action, Amount, Currency, Date, Denial, Kind, Status, Transaction, VOIDED};
use crate::signing::AppId;

/// An order. It has no `Debug`, because notes, references and URLs are the merchant's data.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Wonder's own number, unique among all AppIDs and never used again.
    pub(crate) number: u64,
    #[serde(with = "super::app_id")]
    pub(crate) app_id: AppId,
    pub(crate) draft: Draft,
    /// Seconds since 1970.
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
    pub(super) voided: bool,
    /// Whether the last reversal was a refund, and not a void.
    pub(super) refunded_last: bool,
    /// In the order of their making.
    pub(super) transactions: Vec<Transaction>,
}

/// The checked content of the body that creates an order.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Draft {
    pub(crate) reference_number: Arc<str>,
    pub(crate) currency: Currency,
    /// The total with tips; greater than zero.
    pub(crate) total: Amount,
    pub(crate) tips: Amount,
    pub(crate) note: Option<Box<str>>,
    pub(crate) due_date: Option<Date>,
    pub(crate) callback_url: Option<Box<str>>,
    pub(crate) redirect_url: Option<Box<str>>,
    pub(crate) line_items: Box<[LineItem]>,
    /// Payments are authorizations.
    pub(crate) only_pre_auth: bool,
}

/// A line of an order, as it was sent.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LineItem {
    pub(crate) label: Box<str>,
    pub(crate) purchasable_type: Box<str>,
    pub(crate) purchase_id: Box<str>,
    pub(crate) price: Amount,
    pub(crate) quantity: Amount,
    pub(crate) total: Amount,
}

impl Order {
    pub(crate) fn new(number: u64, app_id: AppId, draft: Draft, now: u64) -> Self {
        Self {
            number,
            app_id,
            draft,
            created_at: now,
            updated_at: now,
            voided: false,
            refunded_last: false,
            transactions: Vec::new(),
        }
    }

    /// The transactions in the order of their making.
    pub(crate) fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    pub(crate) fn transaction(&self, uuid: Uuid) -> Option<&Transaction> {
        self.transactions.iter().find(|transaction| transaction.uuid == uuid)
    }

    /// The sum of the payments that succeeded and were not voided, including refunded ones.
    pub(crate) fn paid(&self) -> Amount {
        self.transactions.iter().filter(|sale| sale.is_live_sale()).map(|sale| sale.amount).sum()
    }

    pub(crate) fn refunded(&self) -> Amount {
        self.transactions.iter().filter(|refund| refund.is_refund()).map(|refund| refund.amount).sum()
    }

    /// The sum of the authorizations.
    pub(crate) fn authorized(&self) -> Amount {
        self.transactions.iter().filter(|hold| hold.is_live_authorization()).map(|hold| hold.amount).sum()
    }

    /// The unpaid part of the total. A refund does not make it payable again.
    pub(crate) fn unpaid(&self) -> Amount {
        (self.draft.total - self.paid()).or_zero()
    }

    /// The refunds of one payment.
    pub(crate) fn refunded_of(&self, sale: Uuid) -> Amount {
        let refunds = self.transactions.iter().filter(|refund| refund.original == Some(sale));
        refunds.map(|refund| refund.amount).sum()
    }

    /// Voids an order without payments and authorizations. A pending payment fails.
    pub(crate) fn void(&mut self) -> Result<Action, Denial> {
        if !self.is_voidable() {
            return Err(Denial::OrderNotVoidable(self.state(), self.correspondence_state()));
        }
        self.voided = true;
        for transaction in &mut self.transactions {
            if transaction.status == Status::Pending {
                transaction.status = Status::Failed;
            }
        }
        Ok(VOIDED)
    }

    /// Voids an order as if its due date had passed.
    pub(crate) fn expire(&mut self, now: u64) -> Result<Action, Denial> {
        let action = self.void()?;
        self.draft.due_date = Some(Date::before(now));
        Ok(action)
    }

    /// Whether it is not voided and has no successful payment or authorization.
    pub(crate) fn is_voidable(&self) -> bool {
        let moved =
            |transaction: &Transaction| transaction.status == Status::Success && transaction.kind != Kind::Refund;
        !self.voided && !self.transactions.iter().any(moved)
    }
}
