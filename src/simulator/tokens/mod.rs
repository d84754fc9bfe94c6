//! The calls of Wonder's payment-token pages (`deploy/docs/wonder.md` §5.2 and §5.3, where marks show which facts are confirmed).

mod card;

use std::collections::HashMap;

use axum::extract::{Path, rejection::PathRejection};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    answer::Answer,
    fields::{Fields, TEXT, URL, is_url, json},
    language::{DECLINED, Language},
    path::{Segment, customer_id, parse_uuid, query},
    refusal::{Refusal, Rule},
    request::Merchant,
    store::records::{Card, Means, Token, TokenState},
};
use crate::signing::RequestTime;

/// The `error_code` of a declined token: invented.
const DECLINED_CODE: &str = "3DS_DECLINED";
const TRANSACTION_TYPES: [&str; 6] = [
    "partial_split_shipment",
    "delayed_charges",
    "no_show",
    "recurring_payment",
    "unscheduled_cof",
    "unscheduled_cof_subsequent",
];
pub(super) const TRANSACTION_TYPE_LIST: &str = "partial_split_shipment, delayed_charges, no_show, recurring_payment, \
                                     unscheduled_cof, unscheduled_cof_subsequent";
const TERMINAL_TYPES: [&str; 3] = ["WEB", "WAP", "official_account"];
pub(super) const TERMINAL_TYPE_LIST: &str = "WEB, WAP, official_account";
/// The token types that a list accepts. `Gateway` means cards.
pub(super) const TOKEN_TYPES: &str = "Gateway, CreditCard, AlipayAutoDebit, WechatPayAutoDebit";

/// `POST customers/{id}/payment_tokens`: creates a pending token; `verify_url` is the page at which the payer verifies it. A frictionless
/// card needs no payer: its token is in state `success` at once, and `verify_url` is `null`.
pub(super) async fn create(
    Merchant { app_id, wonder }: Merchant,
    id: Segment,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let customer = customer_id(id)?;
    let mut store = wonder.store();
    store.customers.customer(&app_id, customer)?;
    let New { means, return_urls, frictionless } = New::read(&json(&body)?, (wonder.clock)())?;
    let language = Language::of(&headers);

    let mut token = store.customers.add_token(&app_id, customer, means, return_urls, language)?;
    if frictionless {
        store.customers.decide(token.verify_uuid, true)?;
        token = store.customers.any_token(&app_id, token.uuid)?.clone();
    }
    let default = store.customers.customer(&app_id, customer)?.default_token == Some(token.uuid);
    Ok(Answer::new(json!({ "payment_token": {
        "token_type": token.means.token_type(),
        "token": token.uuid,
        "state": token.state.as_str(),
        "default": default,
        "verify_url": (!frictionless).then(|| wonder.verify_url(token.verify_uuid)),
        "verify_uuid": token.verify_uuid,
    }})))
}

/// `POST customers/{id}/payment_tokens/check`, where the literal segment `uuid` means any customer, because two
/// editions of the documents print it so.
pub(super) async fn check(
    Merchant { app_id, wonder }: Merchant,
    id: Segment,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let owner = match id {
        Ok(Path(literal)) if literal == "uuid" => None,
        id => Some(customer_id(id)?),
    };
    let store = wonder.store();
    if let Some(owner) = owner {
        store.customers.customer(&app_id, owner)?;
    }
    let body = json(&body)?;
    let fields = Fields::of(&body)?.required_object("payment_token")?;
    let id = parse_uuid(fields.required("token", TEXT)?).ok_or(Refusal::NoToken)?;
    let token = match owner {
        Some(owner) => store.customers.token(owner, id)?,
        None => store.customers.any_token(&app_id, id)?,
    };
    let verify_uuid = fields.text("verify_uuid", TEXT)?;
    if verify_uuid.is_some_and(|text| parse_uuid(text) != Some(token.verify_uuid)) {
        return Err(Refusal::NoToken);
    }
    let default = store.customers.customer(&app_id, token.customer)?.default_token == Some(token.uuid);
    Ok(Answer::new(json!({ "payment_token": view(token, default, Language::of(&headers)) })))
}

/// `GET customers/{id}/payment_tokens?token_type=`: tokens in every state, the oldest first.
pub(super) async fn list(
    Merchant { app_id, wonder }: Merchant,
    id: Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Answer, Refusal> {
    let (store, language) = (wonder.store(), Language::of(&headers));
    let customer = store.customers.customer(&app_id, customer_id(id)?)?;
    let wanted = token_types(&uri)?;
    let tokens: Vec<Value> = customer
        .tokens
        .iter()
        .filter_map(|token| store.customers.token(customer.uuid, *token).ok())
        .filter(|token| wanted.is_empty() || wanted.contains(&token.means.token_type()))
        .map(|token| view(token, customer.default_token == Some(token.uuid), language))
        .collect();
    Ok(Answer::new(json!({ "payment_tokens": tokens })))
}

/// `DELETE customers/{id}/payment_tokens/{token}`, or without its last segment and with `{"token":…}` in its body:
/// deletes a token.
pub(super) async fn delete(
    Merchant { app_id, wonder }: Merchant,
    path: Result<Path<HashMap<String, String>>, PathRejection>,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let Path(path) = path.map_err(|_| Refusal::NoToken)?;
    let customer = path.get("id").and_then(|id| parse_uuid(id)).ok_or(Refusal::NoCustomer)?;
    let mut store = wonder.store();
    store.customers.customer(&app_id, customer)?;
    let token = match path.get("token") {
        Some(token) => parse_uuid(token),
        None => parse_uuid(Fields::of(&json(&body)?)?.required("token", TEXT)?),
    };
    store.customers.remove_token(&app_id, customer, token.ok_or(Refusal::NoToken)?)?;
    Ok(Answer::new(json!({ "success": true })))
}

/// The token object of all calls except creation.
pub(super) fn view(token: &Token, default: bool, language: Language) -> Value {
    let mut view = json!({
        "token_type": token.means.token_type(),
        "token": token.uuid,
        "state": token.state.as_str(),
        "default": default,
    });
    if token.state == TokenState::Failed {
        view["error_code"] = DECLINED_CODE.into();
        view["error_msg"] = language.pick(&DECLINED).into();
    }
    if let Means::Card(card) = &token.means {
        view["credit_card"] = json!({
            "number": card.masked,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "holder_name": card.holder_name,
            "brand": card.brand,
            "billing_currency": "HKD",
        });
    }
    view
}

/// The token types to list; none means all.
fn token_types(uri: &Uri) -> Result<Vec<&'static str>, Refusal> {
    let mut wanted = Vec::new();
    for (_, value) in query(uri).iter().filter(|(name, _)| name == "token_type") {
        for token_type in value.split(',').filter(|token_type| !token_type.is_empty()) {
            wanted.push(match token_type {
                "Gateway" | "CreditCard" => "CreditCard",
                "AlipayAutoDebit" => "AlipayAutoDebit",
                "WechatPayAutoDebit" => "WechatPayAutoDebit",
                _ => {
                    let known = Rule::OneOf(TOKEN_TYPES);
                    return Err(Refusal::FieldValue("token_type".to_owned(), known));
                }
            });
        }
    }
    Ok(wanted)
}

type ReturnUrls = [Option<String>; 2];

/// A token to create, read from its body.
struct New {
    means: Means,
    return_urls: ReturnUrls,
    frictionless: bool,
}

impl New {
    fn read(body: &Value, now: RequestTime) -> Result<Self, Refusal> {
        let fields = Fields::of(body)?;
        let (means, return_urls) = match (fields.object("card")?, fields.object("alipay")?, fields.object("wechatpay")?)
        {
            (Some(card), None, None) => return read_card(&card, now),
            (None, Some(alipay), None) => (Means::Alipay, read_auto_debit(&alipay)?),
            (None, None, Some(wechat)) => (Means::Wechat, read_auto_debit(&wechat)?),
            _ => return Err(Refusal::FieldValue("body".to_owned(), Rule::ExactlyOne("card, alipay, wechatpay"))),
        };
        Ok(Self { means, return_urls, frictionless: false })
    }
}

/// The means of payment of a token in a seed. An expired card is accepted.
pub(super) fn read_means(fields: &Fields<'_>) -> Result<Means, Refusal> {
    match (fields.object("card")?, fields.has("alipay"), fields.has("wechatpay")) {
        (Some(card), false, false) => Ok(Means::Card(read_stored(&card)?)),
        (None, true, false) => Ok(Means::Alipay),
        (None, false, true) => Ok(Means::Wechat),
        _ => Err(fields.broken("card", Rule::ExactlyOne("card, alipay, wechatpay"))),
    }
}

/// The stored part of a card.
fn read_stored(fields: &Fields<'_>) -> Result<Card, Refusal> {
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = fields.required("number", TEXT)?;
    let (masked, brand) = card::mask(number).ok_or_else(|| fields.broken("number", Rule::CardNumber))?;
    Ok(Card {
        masked,
        brand: brand.into(),
        exp_month: fields
            .ruled("exp_month", Rule::Month, |text| two_digits(text) && ("01"..="12").contains(&text))?
            .to_owned(),
        exp_year: fields.ruled("exp_year", Rule::Year, two_digits)?.to_owned(),
        holder_name: fields.required("holder_name", TEXT)?.to_owned(),
    })
}

fn read_card(fields: &Fields<'_>, now: RequestTime) -> Result<New, Refusal> {
    let card = read_stored(fields)?;
    if card.has_expired(now) {
        return Err(fields.broken("exp_year", Rule::Unexpired));
    }
    fields.text("nickname", TEXT)?;
    if let Some(address) = fields.object("billing_address")? {
        for field in ["zip_code", "address", "city", "state", "first_name", "last_name", "phone_number", "email"] {
            address.text(field, TEXT)?;
        }
        let country = address.text("country_code", TEXT)?.filter(|code| !code.is_empty());
        if country.is_some_and(|code| code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase())) {
            return Err(address.broken("country_code", Rule::Country));
        }
    }
    let return_urls = match fields.object("3ds")? {
        Some(urls) => [
            Some(urls.ruled("success_return_url", Rule::Url, is_url)?.to_owned()),
            Some(urls.ruled("fail_return_url", Rule::Url, is_url)?.to_owned()),
        ],
        None => [None, None],
    };
    transaction_type(fields)?;
    Ok(New {
        means: Means::Card(card),
        return_urls,
        frictionless: card::is_frictionless(fields.required("number", TEXT)?),
    })
}

/// `alipay`; `wechatpay` by analogy, because its own body is not documented.
fn read_auto_debit(fields: &Fields<'_>) -> Result<ReturnUrls, Refusal> {
    let terminal = fields.text("terminal_type", TEXT)?.filter(|text| !text.is_empty());
    if terminal.is_some_and(|terminal| !TERMINAL_TYPES.contains(&terminal)) {
        return Err(fields.broken("terminal_type", Rule::OneOf(TERMINAL_TYPE_LIST)));
    }
    let return_url = fields.text("return_url", URL)?.filter(|text| !text.is_empty());
    if return_url.is_some_and(|url| !is_url(url)) {
        return Err(fields.broken("return_url", Rule::Url));
    }
    transaction_type(fields)?;
    Ok([return_url.map(str::to_owned), return_url.map(str::to_owned)])
}

fn transaction_type(fields: &Fields<'_>) -> Result<(), Refusal> {
    let known = |text: &str| TRANSACTION_TYPES.contains(&text);
    fields.ruled("transaction_type", Rule::OneOf(TRANSACTION_TYPE_LIST), known).map(|_| ())
}

/// The URL of a token's verification page has a uuid that only the answer to its creation contains.
pub(super) fn verify_path(verify_uuid: Uuid) -> String {
    format!("/3ds/{verify_uuid}")
}
