//! What the store holds: customers, tokens, and changes to them. No `Debug` for any: all of it is personal.

use uuid::Uuid;

use super::{card::Card, messages::Language};

/// A customer.
#[derive(Clone)]
pub(super) struct Customer {
    pub(super) uuid: Uuid,
    pub(super) profile: Profile,
    pub(super) reference_number: String,
    pub(super) default_method: String,
    pub(super) default_token: Option<Uuid>,
    /// In the order of their making.
    pub(super) tokens: Vec<Uuid>,
}

/// What a customer can change about himself.
#[derive(Clone, Default)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) dial_code: String,
    pub(super) phone: String,
}

/// A change to a customer; `None` leaves a field as it is.
#[derive(Default)]
pub(super) struct Change<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) email: Option<&'a str>,
    pub(super) dial_code: Option<&'a str>,
    pub(super) phone: Option<&'a str>,
    pub(super) default_method: Option<&'a str>,
    /// Empty: no default token any more.
    pub(super) default_token: Option<&'a str>,
    /// The dotted name of `default_payment_token` in this body, for the refusal.
    pub(super) default_token_field: String,
}

/// A payment token.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) uuid: Uuid,
    pub(super) verify_uuid: Uuid,
    pub(super) customer: Uuid,
    pub(super) means: Means,
    pub(super) state: TokenState,
    /// Where the merchant wants the payer next, after success and after failure.
    pub(super) return_urls: [Option<String>; 2],
    /// Of the call that made it; the page for the payer speaks it.
    pub(super) language: Language,
}

/// What stands behind a token.
#[derive(Clone)]
pub(super) enum Means {
    Card(Card),
    Alipay,
    Wechat,
}

impl Means {
    /// Wonder's `token_type`.
    pub(super) fn token_type(&self) -> &'static str {
        match self {
            Self::Card(_) => "CreditCard",
            Self::Alipay => "AlipayAutoDebit",
            Self::Wechat => "WechatPayAutoDebit",
        }
    }

    /// Wonder's `default_payment_method`.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Card(_) => "Credit Card",
            Self::Alipay => "Alipay",
            Self::Wechat => "Wechat Pay",
        }
    }
}

/// How far a token is (`deploy/docs/wonder.md` §5.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenState {
    Pending,
    Success,
    Failed,
}

impl TokenState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}
