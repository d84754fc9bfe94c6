//! The webhook probe: a form with a URL, and how the handler there answers valid and forged webhooks.
//!
//! The URL must be on loopback or at a host of `--webhook-allow`, as for every webhook. The page can therefore reach no more than an
//! order's `callback_url` can.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;

use super::{Frame, Section, frame, value};
use crate::{
    html::Escaped,
    simulator::{
        Wonder,
        fields::TEXT,
        ledger::PAID,
        webhooks::{
            Callback,
            probe::{self, Finding, Line, MakeError, order},
        },
    },
};

/// The time limit of a whole probe.
const PATIENCE: Duration = Duration::from_mins(1);
/// The initial reference number of the form.
const REFERENCE: &str = "INV-7781";

/// The content of the form.
struct Filled {
    url: String,
    reference_number: String,
    app_id: Option<String>,
}

/// `GET /console/probe`.
pub(super) async fn show(State(wonder): State<Arc<Wonder>>) -> Response {
    let url = wonder.webhooks.url().map_or_else(|| "http://127.0.0.1:3000/hook".to_owned(), Callback::whole);
    let filled = Filled { url, reference_number: REFERENCE.to_owned(), app_id: None };
    page(&wonder, &filled, StatusCode::OK, None, "")
}

/// `POST /console/probe` with `url`, and optionally `reference_number` and `app_id`.
pub(super) async fn send(
    State(wonder): State<Arc<Wonder>>,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let pairs = form.map(|Form(pairs)| pairs).unwrap_or_default();
    let text = |name| value(&pairs, name).map(str::trim).filter(|text| !text.is_empty());
    let filled = Filled {
        url: text("url").unwrap_or_default().to_owned(),
        reference_number: text("reference_number").unwrap_or(REFERENCE).chars().take(TEXT).collect(),
        app_id: text("app_id").map(str::to_owned),
    };
    let refused = |reason: &str| page(&wonder, &filled, StatusCode::BAD_REQUEST, Some(Err(reason)), "");
    let to: Callback = match filled.url.parse() {
        Ok(to) => to,
        Err(error) => return refused(&format!("The URL cannot be used: {error}.")),
    };
    let named = |app_id: &&crate::signing::AppId| filled.app_id.as_deref().is_none_or(|text| text == app_id.as_str());
    let Some(app_id) = wonder.app_ids.iter().find(named).cloned() else {
        return refused("The simulator has no such AppID.");
    };
    // One probe at a time, because each generates a key and waits for up to ten answers.
    let Ok(_turn) = wonder.console.probing.try_acquire() else {
        return page(
            &wonder,
            &filled,
            StatusCode::CONFLICT,
            Some(Err("Another probe is running; wait until it ends.")),
            "",
        );
    };
    let sender = match wonder.webhooks.probe(to, app_id).await {
        Ok(sender) => sender,
        Err(reason) => return refused(&reason),
    };
    let mut lines = Vec::new();
    let body = order::body(PAID, &filled.reference_number);
    let report = |line| {
        lines.push(line);
        Ok::<_, MakeError>(())
    };
    let done = tokio::time::timeout(PATIENCE, probe::run(&sender, PAID, &body, report)).await;
    let (outcome, status) = match done {
        Ok(Ok(())) => (verdict(&lines), StatusCode::OK),
        Ok(Err(error)) => (Err(format!("The probe stopped: {error}.")), StatusCode::INTERNAL_SERVER_ERROR),
        Err(_) => (
            Err(format!("The probe stopped after {PATIENCE:?}, because the handler answers too slowly.")),
            StatusCode::OK,
        ),
    };
    let outcome = outcome.as_ref().map(|text| &text[..]).map_err(|text| &text[..]);
    page(&wonder, &filled, status, Some(outcome), &table(&lines))
}

fn verdict(lines: &[Line]) -> Result<String, String> {
    match lines.iter().filter(|line| matches!(line.finding, Finding::Wrong(_))).count() {
        0 => Ok("The answers show no fault in your endpoint.".to_owned()),
        1 => Err("Your endpoint failed 1 check.".to_owned()),
        wrong => Err(format!("Your endpoint failed {wrong} checks.")),
    }
}

fn table(lines: &[Line]) -> String {
    let mut html = String::from(
        "<div class=\"box scroll\"><table aria-label=\"judgement of each answer\"><thead><tr><th scope=\"col\">Webhook</th><th \
         scope=\"col\">Answer</th><th scope=\"col\">Judgement</th></tr></thead><tbody>",
    );
    for Line { what, answer, finding } in lines {
        let (mood, word, text) = match finding {
            Finding::Right(why) => ("good", "ok", *why),
            Finding::Note(note) => ("warn", "note", &note[..]),
            Finding::Wrong(wrong) => ("bad", "wrong", &wrong[..]),
        };
        // Writing to a `String` does not fail.
        let _ = write!(
            html,
            "<tr><td>{}</td><td class=\"nowrap\">{}</td><td><span class=\"tag {mood}\">{word}</span> {}</td></tr>",
            Escaped(what),
            Escaped(answer),
            Escaped(text)
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

fn page(
    wonder: &Wonder,
    filled: &Filled,
    status: StatusCode,
    outcome: Option<Result<&str, &str>>,
    results: &str,
) -> Response {
    let mut html = format!(
        "<p>Sends a valid webhook, forged ones, a repeat and a refund to your handler, and judges each answer. The order in them does not \
         exist in the simulator; your handler may need an order with this reference number.</p><form class=\"row\" method=\"post\" action=\"/console/probe\"><label>URL of \
         the handler<input name=\"url\" type=\"url\" size=\"36\" required value=\"{}\"></label><label>Reference number<input \
         name=\"reference_number\" size=\"12\" value=\"{}\"></label>",
        Escaped(&filled.url),
        Escaped(&filled.reference_number),
    );
    if wonder.app_ids.len() > 1 {
        html.push_str("<label>AppID<select name=\"app_id\">");
        for app_id in &wonder.app_ids {
            let chosen = if filled.app_id.as_deref() == Some(app_id.as_str()) { " selected" } else { "" };
            let _ = write!(html, "<option{chosen}>{}</option>", Escaped(app_id.as_str()));
        }
        html.push_str("</select></label>");
    }
    html.push_str("<button class=\"act\">Probe</button></form>");
    html.push_str(results);
    Frame { outcome, ..frame(wonder, Section::Webhooks, "Webhook probe") }.respond(status, &html)
}
