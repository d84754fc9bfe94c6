//! Wonder's business errors: the call is well formed, but the order's state does not allow it.
//!
//! Two are known from public client code (`deploy/docs/wonder.md` §5.6). The other numbers are the simulator's own.

use std::fmt;

use super::Amount;

/// Why a well-formed call is denied. It holds states and amounts, never a text from the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The currency is not enabled. Known: `EO100102`.
    InvalidCurrency,
    /// The same refund was made a moment ago. Known: 100701.
    RefundRepeated,
    /// Only an unpaid order can be voided; this order has this state and correspondence state.
    OrderNotVoidable(&'static str, &'static str),
    /// An order in this state and correspondence state accepts no payment.
    OrderNotPayable(&'static str, &'static str),
    /// The amount exceeds this unpaid rest.
    AmountAboveUnpaid(Amount),
    /// The order has no such transaction.
    NoTransaction,
    /// The transaction cannot be voided, because it is of this kind.
    TransactionNotVoidable(&'static str),
    /// The transaction cannot be refunded, because it is of this kind.
    TransactionNotRefundable(&'static str),
    /// The amount exceeds this rest of the transaction.
    RefundAboveRest(Amount),
    /// A transaction has this uuid already.
    PaymentRepeated,
    /// The payment token is not in state `success`.
    TokenNotUsable,
}

impl Denial {
    /// The envelope's integer `code`; `error_code` is the same number after `EO`.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::InvalidCurrency => 100_102,
            Self::RefundRepeated => 100_701,
            // From here on: invented.
            Self::OrderNotVoidable(..) => 100_901,
            Self::OrderNotPayable(..) => 100_902,
            Self::AmountAboveUnpaid(_) => 100_903,
            Self::NoTransaction => 100_904,
            Self::TransactionNotVoidable(_) => 100_905,
            Self::TransactionNotRefundable(_) => 100_906,
            Self::RefundAboveRest(_) => 100_907,
            Self::PaymentRepeated => 100_908,
            Self::TokenNotUsable => 100_909,
        }
    }
}

/// The envelope's `message`: names the field and the rule.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The plugin for OpenCart compares this text.
            Self::InvalidCurrency => f.write_str("invalid currency"),
            Self::RefundRepeated => f.write_str(
                "refund.amount is the same as in a refund of this transaction a moment ago (--refund-window)",
            ),
            Self::OrderNotVoidable(state, correspondence) => write!(
                f,
                "order.state must be invoiced and order.correspondence_state unpaid for a void; they are {state} and \
                 {correspondence}"
            ),
            Self::OrderNotPayable(state, correspondence) => write!(
                f,
                "order.state must be invoiced or in_completed, with an amount unpaid, for a payment; state and \
                 correspondence_state are {state} and {correspondence}"
            ),
            Self::AmountAboveUnpaid(rest) => write!(f, "amount must be at most {rest}, which is unpaid"),
            Self::NoTransaction => f.write_str("transaction.uuid must be of a transaction of this order"),
            Self::TransactionNotVoidable(standing) => write!(
                f,
                "transaction.uuid must be of a successful payment or authorization that is neither voided nor refunded; \
                 this transaction is {standing}"
            ),
            Self::TransactionNotRefundable(standing) => write!(
                f,
                "transaction.uuid must be of a successful payment that is not voided; this transaction is {standing}"
            ),
            Self::RefundAboveRest(rest) => {
                write!(f, "refund.amount must be at most {rest}, which is not yet refunded of this transaction")
            }
            Self::PaymentRepeated => f.write_str("payment.uuid is the uuid of another transaction already"),
            Self::TokenNotUsable => f.write_str("payment.payment_token.token must be a payment token in state success"),
        }
    }
}
