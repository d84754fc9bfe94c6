//! What the store holds: customers, tokens, and changes to them. No `Debug` for any: all of it is personal.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::{language::Language, ledger};
use crate::signing::{AppId, RequestTime};

/// A customer.
#[derive(Clone, Serialize, Deserialize)]
pub(in super::super) struct Customer {
    /// The AppID that created it; other AppIDs do not find it.
    #[serde(with = "ledger::app_id")]
    pub(in super::super) app_id: AppId,
    pub(in super::super) uuid: Uuid,
    pub(in super::super) profile: Profile,
    pub(in super::super) reference_number: String,
    pub(in super::super) default_method: String,
    pub(in super::super) default_token: Option<Uuid>,
    /// In the order of their making.
    pub(in super::super) tokens: Vec<Uuid>,
}

/// What a customer can change about themselves.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(in super::super) struct Profile {
    pub(in super::super) name: String,
    pub(in super::super) email: String,
    pub(in super::super) dial_code: String,
    pub(in super::super) phone: String,
}

/// A change to a customer; `None` leaves a field as it is.
#[derive(Default)]
pub(in super::super) struct Change<'a> {
    pub(in super::super) name: Option<&'a str>,
    pub(in super::super) email: Option<&'a str>,
    pub(in super::super) dial_code: Option<&'a str>,
    pub(in super::super) phone: Option<&'a str>,
    pub(in super::super) default_method: Option<&'a str>,
    /// Empty: no default token any more.
    pub(in super::super) default_token: Option<&'a str>,
    /// The dotted name of `default_payment_token` in this body, for the refusal.
    pub(in super::super) default_token_field: String,
}

/// A payment token.
#[derive(Clone, Serialize, Deserialize)]
pub(in super::super) struct Token {
    pub(in super::super) uuid: Uuid,
    pub(in super::super) verify_uuid: Uuid,
    pub(in super::super) customer: Uuid,
    pub(in super::super) means: Means,
    pub(in super::super) state: TokenState,
    /// Where the payer returns to, after success and after failure.
    pub(in super::super) return_urls: [Option<String>; 2],
    /// Of the call that created it, and of the payer's page.
    pub(in super::super) language: Language,
}

/// What is stored of a card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Card {
    /// First six and last four digits, stars between.
    pub(in super::super) masked: String,
    pub(in super::super) brand: Cow<'static, str>,
    /// `01` to `12`.
    pub(in super::super) exp_month: String,
    /// The last two digits of the year.
    pub(in super::super) exp_year: String,
    pub(in super::super) holder_name: String,
}

impl Card {
    /// Whether the last day of the expiry month is over at `now`, in UTC.
    pub(in super::super) fn has_expired(&self, now: RequestTime) -> bool {
        format!("20{}{}", self.exp_year, self.exp_month)[..] < now.to_string()[..6]
    }
}

/// The means of payment of a token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Means {
    Card(Card),
    Alipay,
    Wechat,
}

impl Means {
    /// Wonder's `token_type`.
    pub(in super::super) fn token_type(&self) -> &'static str {
        match self {
            Self::Card(_) => "CreditCard",
            Self::Alipay => "AlipayAutoDebit",
            Self::Wechat => "WechatPayAutoDebit",
        }
    }

    /// Wonder's `default_payment_method`.
    pub(in super::super) fn method(&self) -> &'static str {
        match self {
            Self::Card(_) => "Credit Card",
            Self::Alipay => "Alipay",
            Self::Wechat => "Wechat Pay",
        }
    }
}

/// How far a token is (`deploy/docs/wonder.md` §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum TokenState {
    Pending,
    Success,
    Failed,
}

impl TokenState {
    pub(in super::super) fn as_str(self) -> &'static str {
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
