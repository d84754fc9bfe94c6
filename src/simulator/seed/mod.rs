//! The seed of `--seed`: customers, payment tokens and orders that exist from the start, and again after a reset.
//!
//! A seed is read like the bodies of calls, so that each error names the place in the file. An unknown field is an error, because a
//! misspelt field would otherwise be missing silently. No webhook is sent for the contents of a seed.

mod rows;
#[cfg(test)]
mod schema;

use serde_json::Value;

pub use self::rows::Seed;

use super::{
    fields::{Fields, TEXT},
    language::Language,
    ledger::{Currency, Denial, Method, Order, Outcome, Payment, Refund, parse_time},
    mask::shown,
    orders,
    refusal::{Refusal, Rule},
    store::{
        Store,
        records::{Customer, Profile, Token, TokenState},
    },
    tokens,
};
use crate::signing::AppId;

/// The maximum length of one list; the capacity of the simulator is the other limit.
const MOST: usize = 10_000_000;

const SEED: &[&str] = &["customers", "orders"];
/// The member that names the schema of the file for an editor.
const SCHEMA: &str = "$schema";
const CUSTOMER: &[&str] = &[
    "app_id",
    "uuid",
    "reference_number",
    "name",
    "phone",
    "email",
    "dial_code",
    "default_payment_method",
    "payment_tokens",
];
const TOKEN: &[&str] = &["token", "verify_uuid", "state", "default", "card", "alipay", "wechatpay"];
const CARD: &[&str] = &["number", "exp_month", "exp_year", "holder_name"];
const ORDER: &[&str] = &[
    "app_id",
    "number",
    "created_at",
    "state",
    "payments",
    "reference_number",
    "charge_fee",
    "currency",
    "tips",
    "note",
    "due_date",
    "callback_url",
    "redirect_url",
    "line_items",
    "is_only_pre_auth",
];
const PAYMENT: &[&str] = &["uuid", "method", "amount", "outcome", "authorize", "voided", "refunds"];
const REFUND: &[&str] = &["uuid", "amount", "note"];
const STATES: &str = "unpaid, pending, failed, authorized, paid, refunded, voided";

/// An error in a seed: the place and the rule.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SeedError(String);

impl From<Refusal> for SeedError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.to_string().trim_end_matches('.').to_owned())
    }
}

/// The store that receives a seed.
pub(super) struct Ground<'a> {
    pub(super) store: &'a mut Store,
    pub(super) app_ids: &'a [AppId],
    pub(super) currencies: &'a [Currency],
    /// In seconds since 1970.
    pub(super) now: u64,
}

impl Ground<'_> {
    /// Puts everything into an empty store.
    pub(super) fn sow(&mut self, seed: &Seed) -> Result<(), SeedError> {
        seed.for_each_row("customers", |fields| self.customer(fields))?;
        seed.for_each_row("orders", |fields| self.order(fields))
    }

    /// The AppID that a row names, or the only AppID of the simulator.
    fn app_id(&self, fields: &Fields<'_>) -> Result<AppId, SeedError> {
        let place = fields.name("app_id");
        match (fields.filled("app_id", TEXT)?, self.app_ids) {
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(SeedError(format!("{place} is required, because the simulator has several AppIDs"))),
            (Some(text), app_ids) => {
                let found = app_ids.iter().find(|app_id| app_id.as_str().eq_ignore_ascii_case(text));
                found
                    .cloned()
                    .ok_or_else(|| SeedError(format!("{place} must be an AppID of this simulator (--app-id)")))
            }
        }
    }

    fn customer(&mut self, fields: &Fields<'_>) -> Result<(), SeedError> {
        known(fields, CUSTOMER)?;
        let app_id = self.app_id(fields)?;
        let text = |field, limit| Ok::<_, Refusal>(fields.text(field, limit)?.unwrap_or_default().to_owned());
        let reference_number = fields.required("reference_number", TEXT)?;
        if self.store.customers.by_reference(&app_id, reference_number).is_ok() {
            return Err(taken(fields, "reference_number"));
        }
        let mut customer = Customer {
            uuid: fields.uuid("uuid")?.unwrap_or_else(|| self.store.ids.uuid()),
            profile: Profile {
                name: fields.required("name", TEXT)?.to_owned(),
                email: text("email", TEXT)?,
                dial_code: text("dial_code", 6)?,
                phone: fields.required("phone", TEXT)?.to_owned(),
            },
            reference_number: reference_number.to_owned(),
            default_method: super::customers::default_method(fields)?.unwrap_or_default().to_owned(),
            default_token: None,
            tokens: Vec::new(),
            app_id,
        };
        let mut made = Vec::new();
        for fields in fields.objects("payment_tokens", MOST)? {
            let token = self.token(&fields, &customer)?;
            if fields.flag("default")? {
                if customer.default_token.is_some() {
                    return Err(SeedError(format!("{} is true for another token already", fields.name("default"))));
                }
                if token.state != TokenState::Success {
                    return Err(fields.broken("default", Rule::UsableToken).into());
                }
                customer.default_token = Some(token.uuid);
                token.means.method().clone_into(&mut customer.default_method);
            }
            customer.tokens.push(token.uuid);
            made.push((fields, token));
        }
        for (fields, token) in made {
            self.store.customers.seed_token(token).map_err(|refusal| full_or(&refusal, || taken(&fields, "token")))?;
        }
        self.store.customers.seed(customer).map_err(|refusal| full_or(&refusal, || taken(fields, "uuid")))
    }

    fn token(&self, fields: &Fields<'_>, customer: &Customer) -> Result<Token, SeedError> {
        known(fields, TOKEN)?;
        if let Some(card) = fields.object("card")? {
            known(&card, CARD)?;
        }
        for name in ["alipay", "wechatpay"] {
            if let Some(way) = fields.object(name)? {
                known(&way, &[])?;
            }
        }
        let states = Rule::OneOf("success, pending, failed");
        let state = match fields.filled("state", TEXT)? {
            None | Some("success") => TokenState::Success,
            Some("pending") => TokenState::Pending,
            Some("failed") => TokenState::Failed,
            Some(_) => return Err(fields.broken("state", states).into()),
        };
        Ok(Token {
            uuid: fields.uuid("token")?.unwrap_or_else(|| self.store.ids.uuid()),
            verify_uuid: fields.uuid("verify_uuid")?.unwrap_or_else(|| self.store.ids.uuid()),
            customer: customer.uuid,
            means: tokens::read_means(fields)?,
            state,
            return_urls: [None, None],
            language: Language::English,
        })
    }

    fn order(&mut self, fields: &Fields<'_>) -> Result<(), SeedError> {
        known(fields, ORDER)?;
        let app_id = self.app_id(fields)?;
        let draft = orders::read_draft(fields, self.currencies).map_err(|refusal| match refusal {
            Refusal::Denied(Denial::InvalidCurrency) => SeedError(format!(
                "{} must be an enabled currency in capital letters (--currencies)",
                fields.name("currency")
            )),
            refusal => refusal.into(),
        })?;
        let decimals = draft.currency.decimals();
        let created_at = fields.filled("created_at", TEXT)?.map(|text| {
            let time = parse_time(text);
            time.ok_or_else(|| {
                SeedError(format!("{} must be a time such as 2026-01-05T07:43:18Z", fields.name("created_at")))
            })
        });
        let at = created_at.transpose()?.unwrap_or_else(|| self.store.ids.time(self.now));
        let number = match fields.value("number").ok() {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                let fits = number.filter(|number| (1..1_000_000_000_000_000).contains(number));
                Some(fits.ok_or_else(|| fields.broken("number", Rule::Number(1, 999_999_999_999_999)))?)
            }
        };
        let number = self.store.orders.number_of_seed(number).ok_or_else(|| taken(fields, "number"))?;
        let mut order = Box::new(Order::new(number, app_id, draft, at));
        let payments = fields.objects("payments", MOST)?;
        match fields.filled("state", TEXT)? {
            Some(_) if !payments.is_empty() => {
                return Err(SeedError(format!(
                    "{} goes without payments, which lead to a state of their own; remove one of the two",
                    fields.name("state")
                )));
            }
            Some(state) => {
                self.bring_to(&mut order, state, at).ok_or_else(|| fields.broken("state", Rule::OneOf(STATES)))?;
            }
            None => {}
        }
        for payment in &payments {
            self.pay(&mut order, payment, decimals, at)?;
        }
        self.store.orders.seed(order).map_err(|refusal| full_or(&refusal, || taken(fields, "number")))
    }

    /// `None` for an unknown state.
    fn bring_to(&self, order: &mut Order, state: &str, at: u64) -> Option<()> {
        let outcome = match state {
            "unpaid" => return Some(()),
            "voided" => return order.void().ok().map(drop),
            "pending" => Outcome::Pending,
            "failed" => Outcome::Failure,
            "authorized" | "paid" | "refunded" => Outcome::Success,
            _ => return None,
        };
        let uuid = self.store.ids.uuid();
        let payment = Payment { uuid, method: None, amount: None, authorize: state == "authorized", outcome };
        order.pay(payment, at).ok()?;
        if state == "refunded" {
            let amount = order.paid();
            let refund = Refund { uuid: self.store.ids.uuid(), sale: uuid, amount, note: None, window: 0 };
            order.refund(refund, at).ok()?;
        }
        Some(())
    }

    fn pay(&self, order: &mut Order, fields: &Fields<'_>, decimals: u32, at: u64) -> Result<(), SeedError> {
        known(fields, PAYMENT)?;
        let denied = |fields: &Fields<'_>, denial: Denial| {
            SeedError(format!("{}: {denial}", fields.name("").trim_end_matches('.')))
        };
        let uuid = self.uuid_of(fields, order)?;
        let method = fields
            .filled("method", TEXT)?
            .map(|text| Method::parse(text).ok_or_else(|| fields.broken("method", Rule::OneOf(Method::NAMES))));
        let outcome = fields
            .filled("outcome", TEXT)?
            .map(|text| Outcome::parse(text).ok_or_else(|| fields.broken("outcome", Rule::OneOf(Outcome::NAMES))));
        let payment = Payment {
            uuid,
            method: method.transpose()?,
            amount: fields.amount("amount", decimals)?,
            authorize: fields.flag("authorize")?,
            outcome: outcome.transpose()?.unwrap_or(Outcome::Success),
        };
        order.pay(payment, at).map_err(|denial| denied(fields, denial))?;
        for refund in fields.objects("refunds", MOST)? {
            known(&refund, REFUND)?;
            let made = Refund {
                uuid: self.uuid_of(&refund, order)?,
                sale: uuid,
                amount: refund.required_amount("amount", decimals)?,
                note: refund.filled("note", TEXT)?.map(Into::into),
                window: 0,
            };
            order.refund(made, at).map_err(|denial| denied(&refund, denial))?;
        }
        if fields.flag("voided")? {
            order.void_transaction(uuid).map_err(|denial| denied(fields, denial))?;
        }
        Ok(())
    }

    /// The uuid of a transaction: unique among all.
    fn uuid_of(&self, fields: &Fields<'_>, order: &Order) -> Result<uuid::Uuid, SeedError> {
        let Some(uuid) = fields.uuid("uuid")? else { return Ok(self.store.ids.uuid()) };
        let is_taken = self.store.orders.has_transaction(uuid) || order.transaction(uuid).is_some();
        if is_taken { Err(taken(fields, "uuid")) } else { Ok(uuid) }
    }
}

fn known(fields: &Fields<'_>, known: &[&str]) -> Result<(), SeedError> {
    fields.unknown(known).map_or(Ok(()), |name| Err(unknown(name, &fields.name(name), known)))
}

fn unknown(name: &str, place: &str, known: &[&str]) -> SeedError {
    let place = shown(place);
    let likely = known.iter().map(|known| (strsim::jaro_winkler(name, known), known));
    let likely = likely.max_by(|(one, _), (other, _)| one.total_cmp(other)).filter(|(likeness, _)| *likeness > 0.8);
    SeedError(match likely {
        Some((_, likely)) => format!("{place} is unknown; did you mean {likely}?"),
        None if known.is_empty() => format!("{place} is unknown; the object has no fields here"),
        None => format!("{place} is unknown; known are {}", known.join(", ")),
    })
}

fn taken(fields: &Fields<'_>, field: &str) -> SeedError {
    SeedError(format!("{} is in the seed twice; each must be another one", fields.name(field)))
}

fn full_or(refusal: &Refusal, other: impl FnOnce() -> SeedError) -> SeedError {
    match refusal {
        Refusal::Full(capacity) => {
            SeedError(format!("has more than {capacity} customers, payment tokens or orders; raise --capacity"))
        }
        _ => other(),
    }
}
