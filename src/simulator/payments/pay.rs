//! `POST /simulator/orders/{number}/pay`: pays an order as its payer, by an unsigned call. Wonder has no such call.

use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use serde_json::json;

use super::super::{
    Wonder,
    answer::Answer,
    fields::{Fields, TEXT, json},
    ledger::{Amount, Method, Order, Outcome, Payment},
    orders,
    path::Segment,
    refusal::{Refusal, Rule},
    store::Store,
};

/// Handles the call: `{"method"?, "amount"?, "outcome"?}`, or no body for a payment of the whole rest by card.
pub(crate) async fn handle(State(wonder): State<Arc<Wonder>>, number: Segment, body: Bytes) -> Result<Answer, Refusal> {
    let Path(number) = number.map_err(|_| Refusal::NoOrder)?;
    let body = if body.is_empty() { json!({}) } else { json(&body)? };
    let fields = Fields::of(&body)?;
    fields.only(&["method", "amount", "outcome"])?;
    let read = |field: &str, list| {
        let text = fields.filled(field, TEXT)?;
        Ok::<_, Refusal>(text.map(|text| (text, fields.broken(field, Rule::OneOf(list)))))
    };
    let method = read("method", Method::NAMES)?.map(|(text, wrong)| Method::parse(text).ok_or(wrong)).transpose()?;
    let outcome =
        read("outcome", Outcome::NAMES)?.map(|(text, wrong)| Outcome::parse(text).ok_or(wrong)).transpose()?;

    let mut store = wonder.store();
    let decimals = store.orders.by_number(&number)?.draft.currency.decimals();
    let amount = fields.amount("amount", decimals)?;
    let outcome = outcome.unwrap_or(Outcome::Success);
    Ok(orders::answer(pay(&mut store, &number, method, amount, outcome, wonder.now())?))
}

/// Pays an order as its payer: settles the matching pending payment, or makes a payment. Without `method`, any pending payment matches,
/// and a new payment is by card. Without `amount`, the whole rest is paid.
pub(crate) fn pay<'a>(
    store: &'a mut Store,
    number: &str,
    method: Option<Method>,
    amount: Option<Amount>,
    outcome: Outcome,
    now: u64,
) -> Result<&'a Order, Refusal> {
    let number = store.orders.by_number(number)?.number;
    let now = store.ids.time(now);
    let payment = Payment { uuid: store.ids.uuid(), method, amount, authorize: false, outcome };
    store.orders.change(number, now, |order| order.pay_or_settle(payment, now)).map_err(Refusal::Conflict)
}
