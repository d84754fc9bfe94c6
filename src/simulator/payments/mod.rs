//! The calls that move money without a payment page (`deploy/docs/wonder.md` §5.5): direct payments, transactions, and the
//! simulator's own call that pays an order.

pub(super) mod open;
pub(super) mod pay;

use serde_json::json;

use super::{
    answer::Answer,
    fields::Fields,
    orders,
    path::parse_uuid,
    refusal::Refusal,
    request::{Json, Merchant},
};

/// `POST transactions/void`: voids a payment or an authorization without refunds.
pub(super) async fn void(Merchant { app_id, wonder }: Merchant, Json(body): Json) -> Result<Answer, Refusal> {
    let names = orders::read_names(&Fields::of(&body)?)?;
    let uuid = names.transaction.ok_or_else(|| Refusal::FieldMissing("transaction.uuid".to_owned()))?;
    let mut store = wonder.store();
    let number = store.orders.find(&app_id, names)?.number;
    let uuid = parse_uuid(uuid).ok_or(Refusal::NoTransaction)?;
    let now = store.ids.time(wonder.now());
    let order = store.orders.change(number, now, |order| order.void_transaction(uuid).map(Some))?;
    Ok(orders::answer(order))
}

/// `POST transactions/check`: the state of a transaction.
pub(super) async fn check(Merchant { app_id, wonder }: Merchant, Json(body): Json) -> Result<Answer, Refusal> {
    let names = orders::read_names(&Fields::of(&body)?)?;
    let uuid = names.transaction.ok_or_else(|| Refusal::FieldMissing("transaction.uuid".to_owned()))?;
    let store = wonder.store();
    let order = store.orders.find(&app_id, names)?;
    let transaction = parse_uuid(uuid).and_then(|uuid| order.transaction(uuid)).ok_or(Refusal::NoTransaction)?;
    Ok(Answer::new(json!({ "transaction": order.transaction_view(transaction) })))
}
