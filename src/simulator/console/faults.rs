//! The page of faults: the active faults, and a form to switch more on.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    response::{IntoResponse as _, Redirect, Response},
};
use http::StatusCode;
use serde_json::{Map, Value};

use super::{Frame, Section, frame, value};
use crate::{
    html::Escaped,
    operations::CATALOGUE,
    simulator::{Wonder, faults::Rule, fields::Fields, ledger::ACTIONS},
};

/// Every form of a fault, with its effect.
const FORMS: [(&str, &str); 11] = [
    ("delay=2s", "the answer comes 2 s later"),
    ("no-answer", "no answer, though the call is carried out"),
    ("cut=20", "the answer breaks off after 20 bytes"),
    ("slow=5s", "the body comes over 5 s"),
    ("status=401", "401, and nothing is carried out"),
    ("status=403", "403, and nothing is carried out"),
    ("status=500", "500, and nothing is carried out"),
    ("clock=+45m", "the simulator's clock is 45 min ahead"),
    ("webhook=duplicate", "a webhook is sent once more after it was acknowledged"),
    ("webhook=reorder", "a webhook is sent after the next one of its order"),
    ("webhook=lose", "a webhook is never sent"),
];

/// `GET /console/faults`.
pub(super) async fn show(State(wonder): State<Arc<Wonder>>) -> Response {
    page(&wonder, None, StatusCode::OK)
}

/// `POST /console/faults`: `off` (an id or `all`) switches faults off; without it, a fault is switched on.
pub(super) async fn act(
    State(wonder): State<Arc<Wonder>>,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let pairs = form.map(|Form(pairs)| pairs).unwrap_or_default();
    if let Some(off) = value(&pairs, "off") {
        wonder.faults.remove(if off == "all" { None } else { Some(off.parse().unwrap_or_default()) });
        return Redirect::to("/console/faults").into_response();
    }
    let body = Value::Object(pairs.into_iter().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>());
    match Fields::of(&body).and_then(|fields| wonder.faults.add(&fields)) {
        Ok(_) => Redirect::to("/console/faults").into_response(),
        Err(refusal) => page(&wonder, Some(&refusal.to_string()), StatusCode::BAD_REQUEST),
    }
}

/// The active faults in one sentence for the top of every page; empty if there is none.
pub(super) fn summary(rules: &[Rule]) -> String {
    let faults: Vec<String> = rules.iter().map(describe).collect();
    if faults.is_empty() { String::new() } else { format!("Switched on: {}", faults.join("; ")) }
}

fn describe(rule: &Rule) -> String {
    let mut text = rule.fault.to_string();
    // Writing to a `String` does not fail.
    let what = if rule.fault.of_webhook().is_some() { "webhook" } else { "call" };
    let _ = match rule.calls {
        Some(1) => write!(text, " for the next {what}"),
        Some(calls) => write!(text, " for the next {calls} {what}s"),
        None => write!(text, " for every {what}"),
    };
    if let Some(action) = rule.action {
        let _ = write!(text, " of {action}");
    }
    if let Some(operation) = rule.operation {
        let _ = write!(text, " of {operation}");
    }
    if let Some(app_id) = &rule.app_id {
        let _ = write!(text, " by {app_id}");
    }
    text
}

fn page(wonder: &Wonder, error: Option<&str>, status: StatusCode) -> Response {
    let mut html = String::from("<div id=\"rules\" class=\"box scroll\">");
    let rules = wonder.faults.all();
    if rules.is_empty() {
        html.push_str("<p class=\"empty\">Nothing is switched on.</p>");
    } else {
        html.push_str("<table aria-label=\"faults that are on\"><tbody>");
        for rule in &rules {
            let _ = write!(
                html,
                "<tr><td>{}</td><td class=\"right\"><form method=\"post\"><button name=\"off\" value=\"{}\">Switch off</button></form></td></tr>",
                Escaped(describe(rule)),
                rule.id
            );
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</div>");
    if rules.len() > 1 {
        html.push_str(
            "<form class=\"row\" method=\"post\"><button name=\"off\" value=\"all\">Switch all off</button></form>",
        );
    }
    html.push_str(
        "<h2>Switch on</h2><form class=\"row\" method=\"post\"><label>Fault<input name=\"fault\" list=\"forms\" size=\"16\" required \
         value=\"delay=2s\"></label><datalist id=\"forms\">",
    );
    for (form, meaning) in FORMS {
        let _ = write!(html, "<option value=\"{form}\">{meaning}</option>");
    }
    html.push_str("</datalist><label>Operation<select name=\"operation\"><option value=\"\">every</option>");
    for operation in CATALOGUE {
        let _ = write!(html, "<option>{}</option>", operation.name());
    }
    html.push_str("</select></label><label>Webhook<select name=\"action\"><option value=\"\">every</option>");
    for action in ACTIONS {
        let _ = write!(html, "<option>{action}</option>");
    }
    html.push_str(
        "</select></label><label>How many<input name=\"calls\" inputmode=\"numeric\" size=\"6\" placeholder=\"all\"></label><label>AppID<input \
         name=\"app_id\" size=\"12\" placeholder=\"every\"></label><button class=\"act\">Switch on</button></form><h2>What they do</h2><div \
         class=\"box\"><dl>",
    );
    for (form, meaning) in FORMS {
        let _ = write!(html, "<dt class=\"code\">{form}</dt><dd>{meaning}</dd>");
    }
    html.push_str(
        "</dl></div><p class=\"soft\">For a single call, send the same text in the header <code>X-Simulator-Fault</code>.</p>",
    );
    Frame { outcome: error.map(Err), ..frame(wonder, Section::Faults, "Faults") }.respond(status, &html)
}
