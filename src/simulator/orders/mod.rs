//! The calls on orders (`deploy/docs/wonder.md` §5.5).

mod draft;
pub(super) mod due;
mod list;
mod names;

use http::Uri;
use serde_json::json;

pub(super) use self::{
    draft::{MOST_ITEMS, read as read_draft},
    list::{filter_fields, list},
    names::read as read_names,
};
use super::{
    answer::Answer,
    fields::{Fields, TEXT},
    ledger::{Amount, Order, Refund},
    path::{parse_uuid, query},
    refusal::{Refusal, Rule},
    request::{Json, Merchant},
};

/// `POST orders`: creates an order; with `?with_payment_link=true` the answer has the address of its payment page.
///
/// A reference number that exists already creates another order; Wonder does not document this case.
pub(super) async fn create(
    Merchant { app_id, wonder }: Merchant,
    uri: Uri,
    Json(body): Json,
) -> Result<Answer, Refusal> {
    let fields = Fields::of(&body)?;
    fields.text("app_id", TEXT)?;
    fields.uuid("customer_uuid")?;
    let draft = read_draft(&fields.required_object("order")?, &wonder.currencies)?;
    let with_link =
        query(&uri).iter().any(|(name, value)| name == "with_payment_link" && matches!(&value[..], "true" | "1"));

    let mut store = wonder.store();
    let now = store.ids.time(wonder.now());
    let order = store.orders.create(&app_id, draft, now, |_| Ok(None))?;
    let mut data = json!({ "order": order.view() });
    if with_link {
        data["payment_link"] = wonder.payment_link(order).into();
    }
    Ok(Answer::new(data))
}

/// `POST orders/check`: finds an order by number, reference number or a transaction's uuid, alone or together.
pub(super) async fn check(Merchant { app_id, wonder }: Merchant, Json(body): Json) -> Result<Answer, Refusal> {
    let names = read_names(&Fields::of(&body)?)?;
    let store = wonder.store();
    Ok(answer(store.orders.find(&app_id, names)?))
}

/// `POST orders/void`: voids an unpaid order or, as the official SDK uses it, the transaction that the body names.
pub(super) async fn void(Merchant { app_id, wonder }: Merchant, Json(body): Json) -> Result<Answer, Refusal> {
    let names = read_names(&Fields::of(&body)?)?;
    let mut store = wonder.store();
    let number = store.orders.find(&app_id, names)?.number;
    let transaction = names.transaction.and_then(parse_uuid);
    let now = store.ids.time(wonder.now());
    let changed = store.orders.change(number, now, |order| match transaction {
        Some(uuid) => order.void_transaction(uuid).map(Some),
        None => order.void().map(Some),
    })?;
    Ok(answer(changed))
}

/// `POST orders/refund`: refunds a part of a transaction. `transaction.amount` is used if `refund.amount` is absent, because
/// client code sends it there.
pub(super) async fn refund(Merchant { app_id, wonder }: Merchant, Json(body): Json) -> Result<Answer, Refusal> {
    let fields = Fields::of(&body)?;
    let names = read_names(&fields)?;
    let uuid = names.transaction.ok_or_else(|| Refusal::FieldMissing("transaction.uuid".to_owned()))?;
    let refund = fields.object("refund")?;

    let mut store = wonder.store();
    let order = store.orders.find(&app_id, names)?;
    let (number, currency) = (order.number, order.draft.currency);
    let mut note = None;
    let mut amount: Option<Amount> = None;
    if let Some(refund) = &refund {
        amount = refund.amount("amount", currency.decimals())?;
        note = refund.filled("note", TEXT)?.or(refund.filled("reason", TEXT)?);
        if refund.filled("currency", TEXT)?.is_some_and(|given| given != currency.as_str()) {
            return Err(refund.broken("currency", Rule::CurrencyOf(currency)));
        }
    }
    if amount.is_none()
        && let Some(transaction) = fields.object("transaction")?
    {
        amount = transaction.amount("amount", currency.decimals())?;
    }
    let refund = Refund {
        uuid: store.ids.uuid(),
        sale: parse_uuid(uuid).ok_or(Refusal::NoTransaction)?,
        amount: amount.ok_or_else(|| Refusal::FieldMissing("refund.amount".to_owned()))?,
        note: note.map(Into::into),
        window: wonder.refund_window,
    };
    let now = store.ids.time(wonder.now());
    Ok(answer(store.orders.change(number, now, |order| order.refund(refund, now).map(Some))?))
}

/// `data.order`.
pub(super) fn answer(order: &Order) -> Answer {
    Answer::new(json!({ "order": order.view() }))
}
