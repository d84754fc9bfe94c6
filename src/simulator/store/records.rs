//! The records of the store: customers, tokens, and changes to them. None has `Debug`, because all of it is personal data.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::{language::Language, ledger};
use crate::signing::{AppId, RequestTime};

/// A customer.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Customer {
    /// The AppID that created it; other AppIDs do not find it.
    #[serde(with = "ledger::app_id")]
    pub(crate) app_id: AppId,
    pub(crate) uuid: Uuid,
    pub(crate) profile: Profile,
    pub(crate) reference_number: String,
    pub(crate) default_method: String,
    pub(crate) default_token: Option<Uuid>,
    /// In the order of their making.
    pub(crate) tokens: Vec<Uuid>,
}

/// The fields of a customer that calls can change.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) dial_code: String,
    pub(crate) phone: String,
}

/// A change to a customer; `None` leaves a field as it is.
#[derive(Default)]
pub(crate) struct Change<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) dial_code: Option<&'a str>,
    pub(crate) phone: Option<&'a str>,
    pub(crate) default_method: Option<&'a str>,
    /// Empty: removes the default token.
    pub(crate) default_token: Option<&'a str>,
    /// The dotted name of `default_payment_token` in this body, for the refusal.
    pub(crate) default_token_field: String,
}

/// A payment token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) uuid: Uuid,
    pub(crate) verify_uuid: Uuid,
    pub(crate) customer: Uuid,
    pub(crate) means: Means,
    pub(crate) state: TokenState,
    /// The URLs to which the payer returns after success and after failure.
    pub(crate) return_urls: [Option<String>; 2],
    /// The language of the call that created it, and of the payer's page.
    pub(crate) language: Language,
}

/// The stored part of a card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    /// The first six and last four digits, with stars between them.
    pub(crate) masked: String,
    pub(crate) brand: Cow<'static, str>,
    /// `01` to `12`.
    pub(crate) exp_month: String,
    /// The last two digits of the year.
    pub(crate) exp_year: String,
    pub(crate) holder_name: String,
}

impl Card {
    /// Whether the last day of the expiry month has ended at `now`, in UTC.
    pub(crate) fn has_expired(&self, now: RequestTime) -> bool {
        format!("20{}{}", self.exp_year, self.exp_month)[..] < now.to_string()[..6]
    }
}

/// The means of payment of a token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Means {
    Card(Card),
    Alipay,
    Wechat,
}

impl Means {
    /// Wonder's `token_type`.
    pub(crate) fn token_type(&self) -> &'static str {
        match self {
            Self::Card(_) => "CreditCard",
            Self::Alipay => "AlipayAutoDebit",
            Self::Wechat => "WechatPayAutoDebit",
        }
    }

    /// Wonder's `default_payment_method`.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Card(_) => "Credit Card",
            Self::Alipay => "Alipay",
            Self::Wechat => "Wechat Pay",
        }
    }
}

/// The state of a token (`deploy/docs/wonder.md` §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenState {
    Pending,
    Success,
    Failed,
}

impl TokenState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_good_until_its_last_month_is_over() {
        let card = |exp_month: &str, exp_year: &str| Card {
            masked: String::new(),
            brand: Cow::Borrowed(""),
            exp_month: exp_month.to_owned(),
            exp_year: exp_year.to_owned(),
            holder_name: String::new(),
        };
        for (month, year, now, expired) in [
            ("02", "26", "20260228235959", false),
            ("02", "26", "20260301000000", true),
            ("12", "25", "20260101000000", true),
            ("01", "27", "20261231235959", false),
            ("12", "99", "20260101000000", false),
        ] {
            assert_eq!(card(month, year).has_expired(now.parse().unwrap()), expired, "{month}/{year} at {now}");
        }
    }
}
