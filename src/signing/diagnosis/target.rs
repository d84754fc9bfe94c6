//! Candidates for a target that was signed in place of the sent one.

use std::{borrow::Cow, fmt::Write as _};

use percent_encoding::percent_decode_str;

use super::Mistake;

/// Wonder's hosts, and the host of its code samples (`deploy/docs/wonder.md` §1).
const HOSTS: [&str; 3] = ["gateway-stg.wonder.today", "gateway.wonder.today", "developer.wonder.today"];

/// Tries the usual other targets on `signed`.
pub(super) fn find(target: &str, host: Option<&str>, signed: impl Fn(&str) -> bool) -> Option<Mistake> {
    guesses(target, host).into_iter().find(|(_, guess)| signed(guess)).map(|(mistake, _)| mistake)
}

fn guesses(target: &str, host: Option<&str>) -> Vec<(Mistake, String)> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let with = |path: &str| query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let with_query = |change: &dyn Fn(&str) -> String| match query {
        Some(query) => format!("{path}?{}", change(query)),
        None => target.to_owned(),
    };
    let mut guesses: Vec<(Mistake, String)> = Vec::new();
    let mut add = |mistake, guess: String| {
        // Without duplicates, because each candidate costs an HMAC over the whole body.
        if guess != target && guesses.iter().all(|(_, known)| *known != guess) {
            guesses.push((mistake, guess));
        }
    };

    match query {
        Some("") => add(Mistake::QueryMark, path.to_owned()),
        Some(_) => add(Mistake::QueryLeftOut, path.to_owned()),
        None => add(Mistake::QueryMark, format!("{path}?")),
    }
    if let Some(shorter) = target.strip_suffix('?') {
        add(Mistake::QueryMark, shorter.to_owned());
    }
    add(Mistake::TrailingSlash, with(path.strip_suffix('/').unwrap_or(path)));
    add(Mistake::TrailingSlash, with(&format!("{path}/")));

    // Before the decodings and encodings, which produce some of the same texts.
    for (from, to) in [("+", "%20"), ("%20", "+")] {
        add(Mistake::PlusForSpace, target.replace(from, to));
        add(Mistake::PlusForSpace, with_query(&|query| query.replace(from, to)));
    }
    add(Mistake::TargetSentEncodedTwice, encoded_once(target));
    add(Mistake::TargetSentEncodedTwice, with_query(&encoded_once));
    add(Mistake::TargetEncodedTwice, target.replace('%', "%25"));
    add(Mistake::TargetEncodedTwice, with_query(&|query| query.replace('%', "%25")));
    add(Mistake::TargetDecoded, decode(target, false));
    add(Mistake::TargetDecoded, decode(target, true));
    if let Some(query) = query {
        add(Mistake::TargetDecoded, format!("{path}?{}", decode(query, false)));
        add(Mistake::TargetDecoded, format!("{path}?{}", decode(query, true)));
    }
    // From the few characters that browsers encode to those of a form encoder.
    for kept in ["/?&=%:+,;@!$'()*~", "/?&=%+:,", "/?&=%,", "/?&=%+", "/?&=%~", "/?&=%", "/%"] {
        add(Mistake::TargetEncoded, encode(target, kept));
        if let Some(query) = query {
            add(Mistake::TargetEncoded, format!("{path}?{}", encode(query, kept)));
        }
    }
    // A second encoding of an encoded target.
    if target.contains('%') {
        for kept in ["/?&=", "/?&=~", "/?&=+:,", "/"] {
            add(Mistake::TargetEncodedTwice, encode(target, kept));
            add(Mistake::TargetEncodedTwice, with_query(&|query| encode(query, kept)));
        }
    }
    add(Mistake::EscapeCase, escapes(target, u8::to_ascii_lowercase));
    add(Mistake::EscapeCase, escapes(target, u8::to_ascii_uppercase));
    add(Mistake::TargetNormalised, with(&normalise(path)));
    if let Some(query) = query {
        let mut sorted: Vec<&str> = query.split('&').collect();
        sorted.sort_unstable();
        add(Mistake::QuerySorted, format!("{path}?{}", sorted.join("&")));
    }

    for host in HOSTS.into_iter().chain(host) {
        add(Mistake::FullUrl, format!("https://{host}{target}"));
        add(Mistake::FullUrl, format!("http://{host}{target}"));
        add(Mistake::FullUrl, format!("{host}{target}"));
        add(Mistake::FullUrl, format!("https://{host}{path}"));
    }
    for prefix in ["/", "/svc", "/svc/payment", "/svc/payment/api/v1", "/svc/payment/api/v1/openapi"] {
        if let Some(rest) = target.strip_prefix(prefix) {
            add(Mistake::PathPrefix, rest.to_owned());
        }
    }
    guesses
}

/// `text` without its percent escapes; unchanged if that is not UTF-8.
fn decode(text: &str, plus_is_space: bool) -> String {
    let plain = if plus_is_space { text.replace('+', " ") } else { text.to_owned() };
    percent_decode_str(&plain).decode_utf8().map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// `text` with each escaped percent sign that begins another escape (`%2520`) decoded once.
fn encoded_once(text: &str) -> String {
    let mut parts = text.split("%25");
    let mut once = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escape = matches!(part.as_bytes(), [high, low, ..] if digit(*high).is_some() && digit(*low).is_some());
        once.push_str(if escape { "%" } else { "%25" });
        once.push_str(part);
    }
    once
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| digit.try_into().ok())
}

/// `text` with every character percent-encoded except letters, digits, `-._` and `kept`. Not with `percent-encoding`, which needs a
/// static set for each `kept`.
fn encode(text: &str, kept: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._".contains(c) || kept.contains(c) {
            encoded.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// `text` with the two digits of each percent escape changed by `case`.
fn escapes(text: &str, case: fn(&u8) -> u8) -> String {
    let mut left = 0;
    text.bytes()
        .map(|byte| {
            let changed = if left > 0 { case(&byte) } else { byte };
            left = if byte == b'%' { 2 } else { usize::saturating_sub(left, 1) };
            char::from(changed)
        })
        .collect()
}

/// `path` with `//` merged and dot segments resolved.
fn normalise(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}
