//! Webhook deliveries: content, URL and answer of each, and a button that sends it again.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    response::{IntoResponse as _, Redirect, Response},
};
use http::{StatusCode, Uri};

use super::{Frame, Section, frame, time, value};
use crate::{
    html::Escaped,
    simulator::{
        Wonder,
        path::query,
        webhooks::{Delivery, Outcome},
    },
};

/// The number of deliveries on the page.
const ROWS: usize = 100;

/// `GET /console/webhooks?did=`.
pub(super) async fn show(State(wonder): State<Arc<Wonder>>, uri: Uri) -> Response {
    let did_send = value(&query(&uri), "did") == Some("send");
    page(
        &wonder,
        did_send.then_some(Ok("The webhook is on its way again, with the order as it is now.")),
        StatusCode::OK,
    )
}

/// `POST /console/webhooks` with the `id` of a delivery: reports its event again, with the present state of the order,
/// to the same URLs.
pub(super) async fn send(
    State(wonder): State<Arc<Wonder>>,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let pairs = form.map(|Form(pairs)| pairs).unwrap_or_default();
    let id = value(&pairs, "id").and_then(|id| id.parse().ok());
    let found = id.and_then(|id: u64| wonder.deliveries.newest_first().into_iter().find(|delivery| delivery.id == id));
    let sent = found.is_some_and(|found| wonder.store().orders.report_again(&found.order_number, found.action).is_ok());
    if sent {
        return Redirect::to("/console/webhooks?did=send").into_response();
    }
    page(&wonder, Some(Err("There is no such delivery any more, or no such order.")), StatusCode::NOT_FOUND)
}

fn page(wonder: &Wonder, outcome: Option<Result<&str, &str>>, status: StatusCode) -> Response {
    let deliveries = wonder.deliveries.newest_first();
    let mut html = String::with_capacity(16 * 1024);
    html.push_str(
        "<p><a href=\"/console/probe\">Probe a handler</a> with right and forged webhooks.</p><div id=\"webhooks\" class=\"box scroll\">",
    );
    if deliveries.is_empty() {
        html.push_str(
            "<p class=\"empty\">No webhook yet. They go to the callback_url of an order, and to <code>--webhook-to</code> or \
             <code>--webhook-url</code>.</p>",
        );
    } else {
        html.push_str(
            "<table aria-label=\"webhook deliveries\"><thead><tr><th scope=\"col\">Time (UTC)</th><th scope=\"col\">Action</th><th \
             scope=\"col\">To</th><th scope=\"col\">Outcome</th><th scope=\"col\">Do</th></tr></thead><tbody>",
        );
        for delivery in deliveries.iter().take(ROWS) {
            row(&mut html, delivery);
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</div>");
    Frame { outcome, ..frame(wonder, Section::Webhooks, "Webhooks") }.respond(status, &html)
}

fn row(html: &mut String, delivery: &Delivery) {
    let (mood, outcome) = match delivery.outcome {
        Outcome::Acknowledged => ("good", "acknowledged"),
        Outcome::Waiting => ("warn", "waiting"),
        Outcome::Failed => ("bad", "failed"),
        Outcome::Refused => ("bad", "refused"),
        Outcome::Dropped => ("bad", "dropped"),
        Outcome::Lost => ("bad", "lost on purpose"),
    };
    // Writing to a `String` does not fail.
    let _ = write!(
        html,
        "<tr><td><time>{}</time></td><td class=\"nowrap\">{}<br><a href=\"/console/orders/{order}\">{order}</a></td><td class=\"code\">{}",
        time::stamp(&delivery.created_at),
        Escaped(delivery.action),
        Escaped(&delivery.url),
        order = Escaped(&delivery.order_number),
    );
    for warning in &delivery.warnings {
        let _ = write!(html, "<br><span class=\"tag warn\">note</span> {}", Escaped(warning));
    }
    if let Some(fault) = delivery.fault {
        let _ = write!(html, "<br><span class=\"tag warn\">fault</span> {fault}");
    }
    let _ = write!(html, "</td><td><span class=\"tag {mood}\">{outcome}</span>");
    for attempt in &delivery.attempts {
        let answer = match (attempt.status, &attempt.error) {
            (Some(status), _) => status.to_string(),
            (None, error) => error.clone().unwrap_or_default(),
        };
        let _ = write!(html, "<br><span class=\"soft\">{} {}</span>", time::stamp(&attempt.at), Escaped(answer));
    }
    if let Some(seconds) = delivery.next_attempt_in {
        let _ = write!(html, "<br><span class=\"soft\">again {seconds:.0} s after the last</span>");
    }
    let _ = write!(
        html,
        "</td><td><form method=\"post\"><button name=\"id\" value=\"{}\">Send again</button></form></td></tr>",
        delivery.id
    );
}
