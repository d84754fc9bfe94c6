//! The list of calls, the newest first.

use std::fmt::Write as _;

use super::{
    calls::{Call, Calls, Verdict},
    time,
};
use crate::html::Escaped;

/// The number of calls on a page.
const ROWS: usize = 100;

/// The filter of the list.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Only {
    #[default]
    All,
    /// Calls with a wrong signature.
    Unverified,
    /// Calls whose answer is an error.
    Errors,
}

impl Only {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::All, "", "all"),
        (Self::Unverified, "unverified", "signature wrong"),
        (Self::Errors, "errors", "errors"),
    ];

    pub(super) fn parse(text: &str) -> Self {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map_or(Self::All, |(only, ..)| *only)
    }

    fn takes(self, call: &Call) -> bool {
        match self {
            Self::All => true,
            Self::Unverified => matches!(call.verdict, Verdict::Wrong { .. }),
            Self::Errors => call.error.is_some() || call.status >= 400,
        }
    }
}

/// The page's contents.
pub(super) fn contents(calls: &Calls, only: Only, before: Option<u64>) -> String {
    let found = calls.newest(before, ROWS, |call| only.takes(call));
    let (kept, made) = calls.count();
    let mut html = String::with_capacity(32 * 1024);
    html.push_str("<form class=\"row\" method=\"get\" action=\"/console\"><label>Show<select name=\"only\">");
    // Writing to a `String` does not fail.
    for (each, value, name) in Only::ALL {
        let selected = if each == only { " selected" } else { "" };
        let _ = write!(html, "<option value=\"{value}\"{selected}>{name}</option>");
    }
    let _ = write!(
        html,
        "</select></label><button>Apply</button></form><p id=\"count\" class=\"soft\">{made} calls so far, the newest {kept} kept</p>\
         <div id=\"calls\" class=\"box scroll\">"
    );
    if found.is_empty() {
        html.push_str("<p class=\"empty\">No call yet. Send one through the sidecar, and it is here at once.</p>");
    } else {
        html.push_str(
            "<table aria-label=\"calls\"><thead><tr><th scope=\"col\">Time (UTC)</th><th scope=\"col\">Operation</th>\
             <th scope=\"col\">Status</th><th scope=\"col\">Signature</th><th scope=\"col\" class=\"wide\">Answer</th>\
             <th scope=\"col\" class=\"wide right\">Took</th></tr></thead><tbody>",
        );
        for call in &found {
            row(&mut html, call);
        }
        html.push_str("</tbody></table>");
    }
    html.push_str("</div><nav class=\"pages\" aria-label=\"pages\">");
    if before.is_some() {
        html.push_str("<a href=\"/console\">newest</a>");
    }
    if let Some(last) = found.last().filter(|_| found.len() == ROWS) {
        let name = Only::ALL.iter().find(|(each, ..)| *each == only).map_or("", |(_, name, _)| name);
        let _ = write!(html, "<a href=\"/console?only={name}&amp;before={}\">older</a>", last.id);
    }
    html.push_str(
        "</nav><form class=\"row\" method=\"post\" action=\"/console/reset\"><button class=\"danger\">Forget everything</button></form>",
    );
    html
}

fn row(html: &mut String, call: &Call) {
    let (mood, verdict) = verdict(call);
    let said = call.error.as_ref().map_or_else(String::new, |(code, message)| format!("{code} {message}"));
    let _ = write!(
        html,
        "<tr><td><time>{}</time></td><td class=\"line\"><a href=\"/console/calls/{}\">{}</a><br><span class=\"soft code\">{} {}</span></td>\
         <td><span class=\"tag {}\">{}</span></td><td><span class=\"tag {mood}\">{verdict}</span>{}</td><td class=\"wide said\">{}</td>\
         <td class=\"wide right nowrap\">{:.1} ms</td></tr>",
        time::clock(call.at),
        call.id,
        Escaped(call.operation),
        Escaped(&call.method),
        Escaped(shortened(&call.target)),
        status_mood(call.status, call.error.is_some()),
        call.status,
        call.fault
            .as_ref()
            .map_or_else(String::new, |fault| format!("<br><span class=\"tag warn\">fault: {}</span>", Escaped(fault))),
        Escaped(&said),
        call.took.as_secs_f64() * 1000.0,
    );
}

/// The colour of a status.
pub(super) fn status_mood(status: u16, error: bool) -> &'static str {
    match status {
        200..400 if !error => "good",
        0..500 => "warn",
        _ => "bad",
    }
}

/// Colour and text of a verdict.
pub(super) fn verdict(call: &Call) -> (&'static str, &'static str) {
    match call.verdict {
        Verdict::Unsigned => ("", "not checked"),
        Verdict::Right => ("good", "right"),
        Verdict::Wrong { step: "signature", .. } => ("bad", "wrong"),
        Verdict::Wrong { step: "signature_encoding", .. } => ("bad", "not base64"),
        Verdict::Wrong { step: "request_time", .. } => ("bad", "request time"),
        Verdict::Wrong { step: "app_id", .. } => ("bad", "AppID"),
        Verdict::Wrong { step, .. } => ("bad", step),
    }
}

/// A target that fits a row.
fn shortened(target: &str) -> String {
    const LONGEST: usize = 90;
    let rest = target.strip_prefix("/svc/payment/api/v1/openapi/").unwrap_or(target);
    if rest.chars().count() <= LONGEST { rest.to_owned() } else { rest.chars().take(LONGEST).chain(['…']).collect() }
}
