//! `GET orders/list`.

use http::Uri;
use serde_json::json;

use super::super::{
    answer::Answer,
    filter::{Datum, Filter, Kind},
    ledger::{LineItem, Order, Status, Transaction},
    path::{Page, query},
    refusal::Refusal,
    request::Merchant,
};

const FIELDS: &str = "number, reference_number, state, correspondence_state, currency, note, due_date, created_at, updated_at, \
                      initial_total, initial_tips, subtotal, paid_total, unpaid_total, notify_url, return_url, source, type, \
                      business.business_name, line_items.label, line_items.purchasable_type, line_items.price, \
                      line_items.quantity, line_items.total, transactions.uuid, transactions.type, transactions.amount, \
                      transactions.currency, transactions.payment_method, transactions.success, transactions.is_pending, \
                      transactions.created_at";

/// `GET orders/list?filter[<field>][<operator>]=<value>&offset=&limit=`: the oldest first. `X-Total-Entries` has the number of rows that
/// satisfy the filters. Other parameters are ignored.
pub(crate) async fn list(Merchant { app_id, wonder }: Merchant, uri: Uri) -> Result<Answer, Refusal> {
    let (mut page, mut filters) = (Page::default(), Vec::new());
    for (name, value) in query(&uri) {
        if !page.take(&name, &value)? {
            filters.extend(Filter::read(&name, &value, kind, FIELDS)?);
        }
    }
    let store = wonder.store();
    let (mut total, mut rows) = (0, Vec::new());
    for order in store.orders.of(&app_id) {
        if filters.iter().all(|filter| filter.holds(&values(order, &filter.field))) {
            if total >= page.offset && rows.len() < page.limit {
                rows.push(json!({ "payment_link": wonder.payment_link(order), "order": order.view() }));
            }
            total += 1;
        }
    }
    Ok(Answer::page(json!({ "orders": rows }), total))
}

/// The fields that can be filtered, with their types.
pub(crate) fn filter_fields() -> impl Iterator<Item = (&'static str, Kind)> {
    FIELDS.split(", ").filter_map(|field| Some((field, kind(field)?)))
}

fn kind(field: &str) -> Option<Kind> {
    if !FIELDS.split(", ").any(|known| known == field) {
        return None;
    }
    Some(match field {
        "due_date" | "created_at" | "updated_at" | "transactions.created_at" => Kind::Time,
        "initial_total"
        | "initial_tips"
        | "subtotal"
        | "paid_total"
        | "unpaid_total"
        | "transactions.amount"
        | "line_items.price"
        | "line_items.quantity"
        | "line_items.total" => Kind::Amount,
        "transactions.success" | "transactions.is_pending" => Kind::Flag,
        _ => Kind::Text,
    })
}

/// The values of a field: one, or several for the fields of line items and transactions.
fn values(order: &Order, field: &str) -> Vec<Datum> {
    let text = |text: &str| Datum::Text(text.to_owned());
    let optional = |text: Option<&str>| text.map_or(Datum::Null, |text| Datum::Text(text.to_owned()));
    let draft = &order.draft;
    let each_item = |of: &dyn Fn(&LineItem) -> Datum| draft.line_items.iter().map(of).collect();
    let each_transaction = |of: &dyn Fn(&Transaction) -> Datum| order.transactions().iter().map(of).collect();
    vec![match field {
        "number" => text(&order.number.to_string()),
        "reference_number" => text(&draft.reference_number),
        "state" => text(order.state()),
        "correspondence_state" => text(order.correspondence_state()),
        "currency" => text(draft.currency.as_str()),
        "note" => optional(draft.note.as_deref()),
        "due_date" => draft.due_date.map_or(Datum::Null, |date| Datum::Time(date.start())),
        "created_at" => Datum::Time(order.created_at),
        "updated_at" => Datum::Time(order.updated_at),
        "initial_total" => Datum::Amount(draft.total),
        "initial_tips" => Datum::Amount(draft.tips),
        "subtotal" => Datum::Amount(draft.total - draft.tips),
        "paid_total" => Datum::Amount(order.paid()),
        "unpaid_total" => Datum::Amount(order.unpaid()),
        "notify_url" => optional(draft.callback_url.as_deref()),
        "return_url" => optional(draft.redirect_url.as_deref()),
        "source" => text(Order::SOURCE),
        "type" => text(Order::TYPE),
        "business.business_name" => text(Order::BUSINESS_NAME),
        "line_items.label" => return each_item(&|item| text(&item.label)),
        "line_items.purchasable_type" => return each_item(&|item| text(&item.purchasable_type)),
        "line_items.price" => return each_item(&|item| Datum::Amount(item.price)),
        "line_items.quantity" => return each_item(&|item| Datum::Amount(item.quantity)),
        "line_items.total" => return each_item(&|item| Datum::Amount(item.total)),
        "transactions.uuid" => return each_transaction(&|of| text(&of.uuid.to_string())),
        "transactions.type" => return each_transaction(&|of| text(of.kind.as_str())),
        "transactions.amount" => return each_transaction(&|of| Datum::Amount(of.amount)),
        "transactions.currency" => return each_transaction(&|_| text(draft.currency.as_str())),
        "transactions.payment_method" => return each_transaction(&|of| text(of.method.as_str())),
        "transactions.success" => return each_transaction(&|of| Datum::Flag(of.status == Status::Success)),
        "transactions.is_pending" => return each_transaction(&|of| Datum::Flag(of.status == Status::Pending)),
        "transactions.created_at" => return each_transaction(&|of| Datum::Time(of.created_at)),
        _ => Datum::Null,
    }]
}
