//! One movement of money within an order.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Amount;

/// A payment, an authorization or a refund. It has no `Debug`, because `note` is the merchant's data.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) uuid: Uuid,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    /// Whether a payment that succeeded was voided afterwards.
    pub(crate) voided: bool,
    pub(crate) amount: Amount,
    pub(crate) method: Method,
    /// The refunded payment, if this is a refund.
    pub(crate) original: Option<Uuid>,
    pub(crate) note: Option<Box<str>>,
    /// Seconds since 1970.
    pub(crate) created_at: u64,
}

impl Transaction {
    /// Whether it is a payment that succeeded and was not voided.
    pub(crate) fn is_live_sale(&self) -> bool {
        self.is_live() && self.kind == Kind::Sale
    }

    /// Whether it is an authorization that holds money.
    pub(crate) fn is_live_authorization(&self) -> bool {
        self.is_live() && self.kind == Kind::Authorization
    }

    pub(crate) fn is_refund(&self) -> bool {
        self.kind == Kind::Refund
    }

    fn is_live(&self) -> bool {
        self.status == Status::Success && !self.voided
    }
}

/// Wonder's `type`. Wonder also has `Capture`, whose call is not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Sale,
    Authorization,
    Refund,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "Sales",
            Self::Authorization => "Authorization",
            Self::Refund => "Refund",
        }
    }
}

/// The status of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Pending,
    Success,
    Failed,
}

/// The outcome of a payment attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    Pending,
}

impl Outcome {
    pub(crate) const NAMES: &'static str = "success, failure, pending";

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "success" => Some(Self::Success),
            "failure" => Some(Self::Failure),
            "pending" => Some(Self::Pending),
            _ => None,
        }
    }

    pub(super) fn status(self) -> Status {
        match self {
            Self::Success => Status::Success,
            Self::Failure => Status::Failed,
            Self::Pending => Status::Pending,
        }
    }
}

/// Wonder's `payment_method` (`deploy/docs/wonder.md` §5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub(crate) enum Method {
    CreditCard,
    ApplePay,
    UnionPayWallet,
    WeChat,
    AlipayHk,
    Alipay,
    Fps,
    Octopus,
    PayMe,
}

impl Method {
    pub(crate) const ALL: [Self; 9] = [
        Self::CreditCard,
        Self::ApplePay,
        Self::UnionPayWallet,
        Self::WeChat,
        Self::AlipayHk,
        Self::Alipay,
        Self::Fps,
        Self::Octopus,
        Self::PayMe,
    ];
    pub(crate) const NAMES: &'static str =
        "credit_card, card, apple_pay, unionpay_wallet, wechat, alipay_hk, alipay, fps, octopus, payme";

    /// Reads a method; `card` is short for `credit_card`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "card" {
            return Some(Self::CreditCard);
        }
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CreditCard => "credit_card",
            Self::ApplePay => "apple_pay",
            Self::UnionPayWallet => "unionpay_wallet",
            Self::WeChat => "wechat",
            Self::AlipayHk => "alipay_hk",
            Self::Alipay => "alipay",
            Self::Fps => "fps",
            Self::Octopus => "octopus",
            Self::PayMe => "payme",
        }
    }
}

impl From<Method> for &'static str {
    fn from(method: Method) -> Self {
        method.as_str()
    }
}

impl TryFrom<String> for Method {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a payment method")
    }
}
