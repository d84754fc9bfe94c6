//! One call in full: the steps of its verification, the signed message, the answer, and the same call to paste.

use std::fmt::Write as _;

use super::{
    calls::{Call, Text, Verdict},
    list::{status_mood, verdict},
    snippets::snippets,
    time,
};
use crate::html::Escaped;

/// The steps of the gate in order, by their names in refusals, with their meaning.
const STEPS: [(&str, &str); 8] = [
    ("headers", "Credential, Nonce and Signature are there, once each"),
    ("credential", "the credential is <AppID>/<request time>/Wonder-RSA-SHA256"),
    ("app_id", "the AppID is known"),
    ("request_time", "the request time is within 30 minutes"),
    ("nonce", "the nonce is 16 letters and digits"),
    ("replay", "the nonce is new"),
    ("signature_encoding", "the signature is base64"),
    ("signature", "the signature fits request and key"),
];

/// The page's contents.
pub(super) fn contents(call: &Call) -> String {
    let mut html = String::with_capacity(16 * 1024);
    summary(&mut html, call);
    signature(&mut html, call);
    html.push_str("<h2>Request</h2><div class=\"box\"><dl>");
    for (name, value) in &call.headers {
        // Writing to a `String` does not fail.
        let _ = write!(html, "<dt>{name}</dt><dd class=\"code\">{}</dd>", Escaped(value));
    }
    html.push_str("</dl></div>");
    body(&mut html, &call.request, "No body.");
    let _ = write!(
        html,
        "<h2>Answer</h2><p><span class=\"tag {}\">{}</span></p>",
        status_mood(call.status, call.error.is_some()),
        call.status
    );
    body(&mut html, &call.answer, "No body.");
    if let Verdict::Right | Verdict::Wrong { .. } = call.verdict {
        again(&mut html, call);
    }
    html
}

fn summary(html: &mut String, call: &Call) {
    let (mood, text) = verdict(call);
    let _ = write!(
        html,
        "<div class=\"box\"><dl><dt>Time (UTC)</dt><dd>{}</dd><dt>Operation</dt><dd>{}</dd><dt>Request</dt><dd class=\"code\">{} \
         {}</dd><dt>AppID</dt><dd class=\"code\">{}</dd><dt>Signature</dt><dd><span class=\"tag {mood}\">{text}</span></dd><dt>Took</dt><dd>{:.1} \
         ms</dd>",
        time::date_and_clock(call.at),
        Escaped(call.operation),
        Escaped(&call.method),
        Escaped(&call.target),
        Escaped(call.app_id.as_deref().unwrap_or("none")),
        call.took.as_secs_f64() * 1000.0,
    );
    if let Some((code, message)) = &call.error {
        let _ = write!(html, "<dt>Error</dt><dd><code>{}</code> {}</dd>", Escaped(code), Escaped(message));
    }
    if let Some(fault) = &call.fault {
        let _ = write!(html, "<dt>Fault</dt><dd><span class=\"tag warn\">{}</span></dd>", Escaped(fault));
    }
    html.push_str("</dl></div>");
}

fn signature(html: &mut String, call: &Call) {
    let stopped = match call.verdict {
        Verdict::Unsigned => return,
        Verdict::Right => None,
        Verdict::Wrong { step, .. } => STEPS.iter().position(|(name, _)| *name == step),
    };
    html.push_str("<h2>Signature</h2><ol class=\"steps box\">");
    for (at, (_, meaning)) in STEPS.iter().enumerate() {
        let (class, spoken) = match stopped {
            Some(stop) if at == stop => ("stopped", "not so: "),
            Some(stop) if at > stop => ("after", "not checked: "),
            _ => ("passed", ""),
        };
        let _ = write!(html, "<li class=\"{class}\">{spoken}{}</li>", Escaped(meaning));
    }
    html.push_str("</ol>");
    if let (Verdict::Wrong { parts_at, .. }, Some((_, message))) = (&call.verdict, &call.error) {
        let _ = write!(html, "<p><strong>Likely cause:</strong> {}</p>", Escaped(message));
        if let Some(place) = parts_at {
            let _ = write!(
                html,
                "<p>The string that was signed and the one below are the same for {place} bytes and part there.</p>"
            );
        }
    }
    html.push_str("<h2>Pre-sign string</h2>");
    match pre_sign(call) {
        Some(text) => {
            let place = match call.verdict {
                Verdict::Wrong { parts_at, .. } => parts_at.filter(|place| text.is_char_boundary(*place)),
                _ => None,
            };
            let (before, after) = text.split_at(place.unwrap_or(text.len()));
            let mark = place.map_or_else(String::new, |place| format!("<mark>byte {place}</mark>"));
            let _ = write!(html, "<pre id=\"pre-sign\">{}{mark}{}</pre>", Escaped(before), Escaped(after));
        }
        None => html.push_str("<p class=\"soft\">Not shown, because the body is not kept.</p>"),
    }
    if let Some(chain) = &call.chain {
        let _ = write!(
            html,
            "<h2>HMAC values</h2><div class=\"box\"><dl><dt>1: time, keyed with the nonce</dt><dd class=\"code\">{}</dd><dt>2: \
             Wonder-RSA-SHA256, keyed with 1</dt><dd class=\"code\">{}</dd><dt>3: pre-sign string, keyed with 2; RSA signs this text</dt><dd \
             class=\"code\">{}</dd></dl></div>",
            chain.first,
            chain.second,
            chain.message.as_str(),
        );
    }
}

/// Masked like the body.
fn pre_sign(call: &Call) -> Option<String> {
    let Text::Whole(body) = &call.request else { return None };
    let mut text = format!("{}\n{}", call.method.to_ascii_uppercase(), call.target);
    if !body.is_empty() {
        text.push('\n');
        text.push_str(body);
    }
    Some(text)
}

fn body(html: &mut String, body: &Text, none: &str) {
    let _ = match body {
        Text::Whole(text) if text.is_empty() => write!(html, "<p class=\"soft\">{none}</p>"),
        Text::Whole(text) => write!(html, "<pre>{}</pre>", Escaped(readable(text))),
        Text::Withheld(bytes) => {
            write!(
                html,
                "<p class=\"soft\">{bytes} bytes, which are not kept: too long, not plain text, or a private key.</p>"
            )
        }
    };
}

/// JSON with line breaks and indents; any other text unchanged.
fn readable(text: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    parsed.map_or_else(|| text.to_owned(), |value| format!("{value:#}"))
}

fn again(html: &mut String, call: &Call) {
    let body = match &call.request {
        Text::Whole(body) => (!body.is_empty()).then_some(&body[..]),
        Text::Withheld(_) => return,
    };
    html.push_str("<h2>The same call, unsigned, through the sidecar</h2>");
    if [Some(&call.target[..]), body].into_iter().flatten().any(|text| text.contains("**")) {
        html.push_str("<p class=\"soft\">A card number is masked here. Insert it again.</p>");
    }
    for (name, text) in snippets(&call.method, &call.target, body) {
        let _ = write!(
            html,
            "<details><summary>{name}</summary><pre class=\"{}\">{}</pre></details>",
            name.to_lowercase(),
            Escaped(text)
        );
    }
}
