//! Orders and their transactions, with buttons for the actions of a payer and a merchant, and for the due date.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::{IntoResponse as _, Redirect, Response},
};
use http::{StatusCode, Uri};
use serde_json::json;

use super::{Section, frame, missing, time, value};
use crate::{
    html::Escaped,
    simulator::{
        Wonder,
        fields::Fields,
        ledger::{Amount, Method, Order, Outcome, Refund, Status, Transaction},
        mask::shown,
        path::{Segment, parse_uuid, query},
        payments::pay::pay,
        refusal::Refusal,
        store::Store,
    },
};

/// The number of orders on a page.
const ROWS: usize = 100;

/// The action of each button, with the sentence that the page shows afterwards.
const DONE: [(&str, &str); 7] = [
    ("success", "The order was paid."),
    ("failure", "The payment failed."),
    ("pending", "The payment is pending."),
    ("void", "The order was voided."),
    ("expire", "The order expired."),
    ("refund", "The payment was refunded."),
    ("void-transaction", "The payment was voided."),
];

/// `GET /console/orders?before=`.
pub(super) async fn list(State(wonder): State<Arc<Wonder>>, uri: Uri) -> Response {
    let before = value(&query(&uri), "before").and_then(|text| text.parse().ok());
    let store = wonder.store();
    let mut html = String::from("<div id=\"orders\" class=\"box scroll\">");
    let found: Vec<&Order> = store.orders.newest(before).take(ROWS).collect();
    if found.is_empty() {
        html.push_str("<p class=\"empty\">No order yet. <code>POST orders</code> through the sidecar creates one.</p>");
    } else {
        html.push_str(
            "<table aria-label=\"orders\"><thead><tr><th scope=\"col\">Created (UTC)</th><th scope=\"col\">Order</th><th \
             scope=\"col\">Total</th><th scope=\"col\">State</th><th scope=\"col\" class=\"wide\">Paid</th><th scope=\"col\" \
             class=\"wide\">Refunded</th></tr></thead><tbody>",
        );
        for order in &found {
            row(&mut html, order);
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</div>");
    if let Some(last) = found.last().filter(|_| found.len() == ROWS) {
        // Writing to a `String` does not fail.
        let _ = write!(
            html,
            "<nav class=\"pages\" aria-label=\"pages\"><a href=\"/console/orders?before={}\">older</a></nav>",
            last.number
        );
    }
    frame(&wonder, Section::Orders, "Orders").respond(StatusCode::OK, &html)
}

fn row(html: &mut String, order: &Order) {
    let _ = write!(
        html,
        "<tr><td><time>{}</time></td><td><a href=\"/console/orders/{number}\">{number}</a><br><span class=\"soft\">{}</span></td><td \
         class=\"nowrap\">{}</td><td>{}</td><td class=\"wide\">{}</td><td class=\"wide\">{}</td></tr>",
        time::date_and_clock(order.created_at),
        Escaped(shown(&order.draft.reference_number)),
        money(order, order.draft.total),
        states(order),
        order.paid(),
        order.refunded(),
        number = order.number,
    );
}

/// `GET /console/orders/{number}?did=`.
pub(super) async fn show(State(wonder): State<Arc<Wonder>>, number: Segment, uri: Uri) -> Response {
    let pairs = query(&uri);
    let did =
        value(&pairs, "did").and_then(|did| DONE.iter().find(|(name, _)| *name == did)).map(|(_, text)| Ok(*text));
    let store = wonder.store();
    match number.ok().and_then(|Path(number)| store.orders.by_number(&number).ok()) {
        Some(order) => page(&wonder, order, did, StatusCode::OK),
        None => missing(&wonder, Section::Orders, "There is no such order."),
    }
}

/// `POST /console/orders/{number}` with the `action` of a button.
pub(super) async fn act(
    State(wonder): State<Arc<Wonder>>,
    number: Segment,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let pairs = form.map(|Form(pairs)| pairs).unwrap_or_default();
    let mut store = wonder.store();
    let Some(number) =
        number.ok().and_then(|Path(number)| store.orders.by_number(&number).ok()).map(|order| order.number)
    else {
        return missing(&wonder, Section::Orders, "There is no such order.");
    };
    let did = match carry_out(&mut store, number, &pairs, &wonder) {
        Ok(did) => return Redirect::to(&format!("/console/orders/{number}?did={did}")).into_response(),
        Err(refusal) => refusal.to_string(),
    };
    match store.orders.by_number(&number.to_string()) {
        Ok(order) => page(&wonder, order, Some(Err(&did)), StatusCode::CONFLICT),
        Err(_) => missing(&wonder, Section::Orders, "There is no such order."),
    }
}

/// Returns the action that was carried out.
fn carry_out(
    store: &mut Store,
    number: u64,
    pairs: &[(String, String)],
    wonder: &Wonder,
) -> Result<&'static str, Refusal> {
    let text = number.to_string();
    let (now, decimals) = (wonder.now(), store.orders.by_number(&text)?.draft.currency.decimals());
    let action = value(pairs, "action").unwrap_or_default();
    let action = DONE.iter().find(|(name, _)| *name == action).map(|(name, _)| *name);
    let action = action.ok_or_else(|| Refusal::FieldMissing("action".to_owned()))?;
    let body = json!({ "amount": value(pairs, "amount").filter(|amount| !amount.is_empty()) });
    let amount = Fields::of(&body)?.amount("amount", decimals)?;
    let transaction = || value(pairs, "transaction").and_then(parse_uuid).ok_or(Refusal::NoTransaction);
    let at = store.ids.time(now);
    match action {
        "void" => store.orders.change(number, at, |order| order.void().map(Some))?,
        "expire" => store.orders.change(number, at, |order| order.expire(now).map(Some))?,
        "void-transaction" => {
            let uuid = transaction()?;
            store.orders.change(number, at, |order| order.void_transaction(uuid).map(Some))?
        }
        "refund" => {
            let amount = amount.ok_or_else(|| Refusal::FieldMissing("amount".to_owned()))?;
            // A person who presses the button again means it.
            let refund = Refund {
                uuid: store.ids.uuid(),
                sale: transaction()?,
                amount,
                note: Some("console".into()),
                window: 0,
            };
            store.orders.change(number, at, |order| order.refund(refund, at).map(Some))?
        }
        outcome => {
            let method = value(pairs, "method").and_then(Method::parse);
            pay(store, &text, method, amount, Outcome::parse(outcome).unwrap_or(Outcome::Success), now)?
        }
    };
    Ok(action)
}

fn page(wonder: &Wonder, order: &Order, outcome: Option<Result<&str, &str>>, status: StatusCode) -> Response {
    let mut html = String::with_capacity(8 * 1024);
    let draft = &order.draft;
    let link = wonder.payment_link(order);
    let _ = write!(
        html,
        "<div id=\"order\" class=\"box\"><dl><dt>State</dt><dd>{}</dd><dt>Reference</dt><dd>{}</dd><dt>AppID</dt><dd \
         class=\"code\">{}</dd><dt>Total</dt><dd>{}</dd><dt>Paid</dt><dd>{}</dd><dt>Refunded</dt><dd>{}</dd><dt>Created</dt><dd>{}</dd><dt>Due \
         date</dt><dd>{}</dd><dt>callback_url</dt><dd>{}</dd><dt>redirect_url</dt><dd>{}</dd><dt>Payment page</dt><dd><a \
         href=\"{link}\">{link}</a></dd></dl></div>",
        states(order),
        Escaped(shown(&draft.reference_number)),
        Escaped(order.app_id.as_str()),
        money(order, draft.total),
        money(order, order.paid()),
        money(order, order.refunded()),
        time::date_and_clock(order.created_at),
        draft.due_date.map_or_else(|| "none".to_owned(), |date| date.to_string()),
        Escaped(shown(draft.callback_url.as_deref().unwrap_or("none"))),
        Escaped(shown(draft.redirect_url.as_deref().unwrap_or("none"))),
        link = Escaped(&link),
    );
    if order.pending().is_some() || order.payable().is_positive() {
        pay_form(&mut html, order);
    }
    if order.is_voidable() {
        html.push_str(
            "<form class=\"row\" method=\"post\"><button name=\"action\" value=\"void\" class=\"danger\">Void the order</button><button \
             name=\"action\" value=\"expire\" class=\"danger\">Let it expire</button></form>",
        );
    }
    html.push_str("<h2>Transactions</h2><div class=\"box scroll\">");
    if order.transactions().is_empty() {
        html.push_str("<p class=\"empty\">None yet.</p>");
    } else {
        html.push_str(
            "<table aria-label=\"transactions\"><thead><tr><th scope=\"col\">Time (UTC)</th><th scope=\"col\">Type</th><th \
             scope=\"col\">Amount</th><th scope=\"col\">State</th><th scope=\"col\">Do</th></tr></thead><tbody>",
        );
        for transaction in order.transactions() {
            transaction_row(&mut html, order, transaction);
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</div>");
    let title = format!("Order {}", order.number);
    super::Frame { outcome, ..frame(wonder, Section::Orders, &title) }.respond(status, &html)
}

fn pay_form(html: &mut String, order: &Order) {
    html.push_str("<h2>Pay</h2><form class=\"row\" method=\"post\">");
    if order.pending().is_none() {
        html.push_str("<label>Method<select name=\"method\">");
        for method in Method::ALL {
            let _ = write!(html, "<option>{}</option>", method.as_str());
        }
        let _ = write!(
            html,
            "</select></label><label>Amount<input name=\"amount\" inputmode=\"decimal\" size=\"10\" value=\"{}\"></label>",
            order.payable()
        );
    }
    html.push_str(
        "<button class=\"act\" name=\"action\" value=\"success\">Pay</button><button name=\"action\" value=\"failure\">Decline</button>",
    );
    if order.pending().is_none() {
        html.push_str("<button name=\"action\" value=\"pending\">Leave pending</button>");
    }
    html.push_str("</form>");
}

fn transaction_row(html: &mut String, order: &Order, transaction: &Transaction) {
    let (mood, state) = match (transaction.voided, transaction.status) {
        (true, _) => ("", "voided"),
        (_, Status::Success) => ("good", "success"),
        (_, Status::Pending) => ("warn", "pending"),
        (_, Status::Failed) => ("bad", "failed"),
    };
    let _ = write!(
        html,
        "<tr><td><time>{}</time></td><td>{}<br><span class=\"soft code\">{}</span></td><td class=\"nowrap\">{}</td><td><span class=\"tag \
         {mood}\">{state}</span></td><td>",
        time::date_and_clock(transaction.created_at),
        transaction.kind.as_str(),
        transaction.method.as_str(),
        money(order, transaction.amount),
    );
    let uuid = transaction.uuid;
    let rest = transaction.amount - order.refunded_of(uuid);
    if transaction.is_live_sale() && rest.is_positive() {
        let _ = write!(
            html,
            "<form class=\"row\" method=\"post\"><input type=\"hidden\" name=\"transaction\" value=\"{uuid}\"><label>Amount<input \
             name=\"amount\" inputmode=\"decimal\" size=\"8\" value=\"{rest}\"></label><button name=\"action\" \
             value=\"refund\">Refund</button></form>"
        );
    }
    let is_live = transaction.is_live_sale() || transaction.is_live_authorization();
    if is_live && rest == transaction.amount {
        let _ = write!(
            html,
            "<form class=\"row\" method=\"post\"><input type=\"hidden\" name=\"transaction\" value=\"{uuid}\"><button name=\"action\" \
             value=\"void-transaction\" class=\"danger\">Void</button></form>"
        );
    }
    html.push_str("</td></tr>");
}

fn money(order: &Order, amount: Amount) -> String {
    format!("{} {amount}", order.draft.currency.as_str())
}

/// `state` and `correspondence_state`.
fn states(order: &Order) -> String {
    let correspondence = order.correspondence_state();
    let mood = match correspondence {
        "paid" | "over_paid" => "good",
        "partial_paid" | "authorized" => "warn",
        _ => "",
    };
    format!("<span class=\"tag {mood}\">{correspondence}</span> <span class=\"soft\">{}</span>", order.state())
}
