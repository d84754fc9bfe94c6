//! The calls of Wonder's customer pages (`deploy/docs/wonder.md` §5.1).
//!
//! `company_name` is accepted and checked but not returned, because the documented customer object has no such field.

use axum::extract::Path;
use bytes::Bytes;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    fields::{Fields, TEXT, json},
    language::Language,
    path::{Page, Segment, customer_id, parse_uuid, query},
    refusal::{Refusal, Rule},
    request::{Json, Merchant},
    store::{
        Store,
        records::{Change, Customer},
    },
    tokens,
};

const METHODS: [&str; 8] =
    ["Credit Card", "Alipay", "Wechat Pay", "Google Pay", "FPS", "Octopus Business", "Union Pay", "Payment Token"];
pub(super) const METHOD_LIST: &str =
    "Credit Card, Alipay, Wechat Pay, Google Pay, FPS, Octopus Business, Union Pay, Payment Token";

/// `POST customers`: creates, or updates when the reference number exists.
pub(super) async fn save(
    Merchant { app_id, wonder }: Merchant,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Answer, Refusal> {
    let fields = Fields::of(&body)?.required_object("customer")?;
    let (name, phone) = (fields.required("name", TEXT)?, fields.required("phone", TEXT)?);
    let reference_number = fields.required("reference_number", TEXT)?;
    let change = Change { name: Some(name), phone: Some(phone), ..change(&fields)? };

    let mut store = wonder.store();
    let uuid = store.customers.save(&app_id, reference_number, &change)?;
    Ok(answer(&store, store.customers.customer(&app_id, uuid)?, &headers))
}

/// `PUT customers/{id}`: a flat body, in which an empty name, email or phone means "leave as is" and an empty
/// `default_payment_method` or `default_payment_token` clears.
pub(super) async fn edit(
    Merchant { app_id, wonder }: Merchant,
    id: Segment,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let uuid = customer_id(id)?;
    let mut store = wonder.store();
    let customer = store.customers.customer(&app_id, uuid)?;
    let body = json(&body)?;
    let fields = Fields::of(&body)?;
    if fields.text("reference_number", TEXT)?.is_some_and(|given| given != customer.reference_number) {
        return Err(fields.broken("reference_number", Rule::Fixed));
    }
    let mut change = change(&fields)?;
    for field in [&mut change.name, &mut change.email, &mut change.phone] {
        *field = field.filter(|text| !text.is_empty());
    }
    store.customers.edit(&app_id, uuid, &change)?;
    Ok(answer(&store, store.customers.customer(&app_id, uuid)?, &headers))
}

/// `GET customers/{id}`.
pub(super) async fn by_uuid(
    Merchant { app_id, wonder }: Merchant,
    id: Segment,
    headers: HeaderMap,
) -> Result<Answer, Refusal> {
    let store = wonder.store();
    Ok(answer(&store, store.customers.customer(&app_id, customer_id(id)?)?, &headers))
}

/// `GET customers/ref/{reference_number}`.
pub(super) async fn by_reference(
    Merchant { app_id, wonder }: Merchant,
    reference_number: Segment,
    headers: HeaderMap,
) -> Result<Answer, Refusal> {
    let Path(reference_number) = reference_number.map_err(|_| Refusal::NoCustomer)?;
    let store = wonder.store();
    Ok(answer(&store, store.customers.by_reference(&app_id, &reference_number)?, &headers))
}

/// `POST customers/by/token`.
pub(super) async fn by_token(
    Merchant { app_id, wonder }: Merchant,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Answer, Refusal> {
    let token = Fields::of(&body)?.required("token", TEXT)?;
    let store = wonder.store();
    Ok(answer(&store, store.customers.by_token(&app_id, parse_uuid(token).ok_or(Refusal::NoToken)?)?, &headers))
}

/// `GET customers?limit=&offset=`. `linked_source_type` is checked and has no effect. Filters are refused, because a
/// list that silently ignores a filter is wrong.
pub(super) async fn list(
    Merchant { app_id, wonder }: Merchant,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Answer, Refusal> {
    let mut page = Page::default();
    for (name, value) in query(&uri) {
        match &name[..] {
            _ if page.take(&name, &value)? => {}
            "linked_source_type" if !matches!(&value[..], "User" | "Store") => {
                return Err(Refusal::FieldValue(name, Rule::OneOf("User, Store")));
            }
            _ if name.starts_with("filter") => {
                return Err(Refusal::FieldValue("filter".to_owned(), Rule::Unsupported));
            }
            _ => {}
        }
    }
    let (store, language) = (wonder.store(), Language::of(&headers));
    let rows: Vec<Value> = store
        .customers
        .of(&app_id)
        .skip(page.offset)
        .take(page.limit)
        .map(|customer| view(&store, customer, language))
        .collect();
    Ok(Answer::page(json!({ "customers": rows }), store.customers.of(&app_id).count()))
}

/// `DELETE customers/{id}`: the customer and all its tokens.
pub(super) async fn delete(Merchant { app_id, wonder }: Merchant, id: Segment) -> Result<Answer, Refusal> {
    wonder.store().customers.remove_customer(&app_id, customer_id(id)?)?;
    Ok(Answer::new(json!({})))
}

/// The common fields of creation and change.
fn change<'a>(fields: &Fields<'a>) -> Result<Change<'a>, Refusal> {
    fields.text("company_name", TEXT)?;
    let default_method = default_method(fields)?;
    Ok(Change {
        name: fields.text("name", TEXT)?,
        email: fields.text("email", TEXT)?,
        dial_code: fields.text("dial_code", 6)?,
        phone: fields.text("phone", TEXT)?,
        default_method,
        default_token: fields.text("default_payment_token", TEXT)?,
        default_token_field: fields.name("default_payment_token"),
    })
}

/// `default_payment_method`: a known method, or empty.
pub(super) fn default_method<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Refusal> {
    let default_method = fields.text("default_payment_method", TEXT)?;
    if default_method.is_some_and(|method| !method.is_empty() && !METHODS.contains(&method)) {
        return Err(fields.broken("default_payment_method", Rule::OneOf(METHOD_LIST)));
    }
    Ok(default_method)
}

fn answer(store: &Store, customer: &Customer, headers: &HeaderMap) -> Answer {
    Answer::new(json!({ "customer": view(store, customer, Language::of(headers)) }))
}

/// The customer object. Without a default token, `default_payment_token` is `null` (absent or `null` is not
/// documented).
fn view(store: &Store, customer: &Customer, language: Language) -> Value {
    let default = customer.default_token.and_then(|token| store.customers.token(customer.uuid, token).ok());
    json!({
        "uuid": customer.uuid,
        "name": customer.profile.name,
        "email": customer.profile.email,
        "dial_code": customer.profile.dial_code,
        "phone": customer.profile.phone,
        "reference_number": customer.reference_number,
        "default_payment_method": customer.default_method,
        "default_payment_token": default.map(|token| tokens::view(token, true, language)),
    })
}
