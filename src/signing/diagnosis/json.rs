//! A JSON text as other serialisers write it. The conversion works on the text, so repeated keys and the order of keys are kept.

use std::fmt::Write as _;

use super::Mistake;

/// The output style of a serialiser.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// A space after each comma and colon.
    spaced: bool,
    /// Slashes as `\/`.
    slashes: bool,
    /// Numbers without the zeros that end a fraction.
    short: bool,
    /// The characters written as `\u` escapes, control characters aside.
    escaped: fn(char) -> bool,
}

const COMPACT: Dialect = Dialect { spaced: false, slashes: false, short: false, escaped: none };
const ASCII: Dialect = Dialect { escaped: not_ascii, ..COMPACT };

impl Dialect {
    /// The defaults and usual options of JavaScript, Python, PHP and Go, and the mistake each is reported as.
    pub(super) const ALL: [(Self, Mistake); 12] = [
        (COMPACT, Mistake::JsonCompact),
        (Self { spaced: true, ..COMPACT }, Mistake::JsonSpaced),
        (Self { spaced: true, ..ASCII }, Mistake::JsonSpaced),
        (ASCII, Mistake::JsonEscapes),
        (Self { escaped: html, ..COMPACT }, Mistake::JsonEscapes),
        (Self { escaped: |c| html(c) || not_ascii(c), ..COMPACT }, Mistake::JsonEscapes),
        (Self { slashes: true, ..ASCII }, Mistake::JsonSlashes),
        (Self { slashes: true, ..COMPACT }, Mistake::JsonSlashes),
        (Self { short: true, ..COMPACT }, Mistake::JsonNumbers),
        (Self { short: true, escaped: html, ..COMPACT }, Mistake::JsonNumbers),
        (Self { short: true, slashes: true, ..ASCII }, Mistake::JsonNumbers),
        (Self { short: true, slashes: true, ..COMPACT }, Mistake::JsonNumbers),
    ];
}

fn none(_: char) -> bool {
    false
}

fn not_ascii(c: char) -> bool {
    !c.is_ascii()
}

/// The characters that Go escapes so that JSON is safe in HTML.
fn html(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

/// Rewrites `text` in `dialect`; `None` if it is not JSON.
pub(super) fn rewrite(text: &[u8], dialect: Dialect) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (token, tail) = rest.split_at(match c {
            '"' => string_length(rest)?,
            '-' | '0'..='9' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c)).unwrap_or(rest.len())
            }
            _ => c.len_utf8(),
        });
        rest = tail;
        match c {
            '"' => write_string(&mut written, token, dialect),
            ',' | ':' if dialect.spaced => written.extend([c, ' ']),
            _ if c.is_ascii_whitespace() => {}
            _ if dialect.short && token.contains('.') && !token.contains(['e', 'E']) => {
                written.push_str(token.trim_end_matches('0').trim_end_matches('.'));
            }
            _ => written.push_str(token),
        }
    }
    Some(written.into_bytes())
}

/// Rewrites `text` in compact form with sorted keys; `None` if it is not JSON.
pub(super) fn sorted(text: &[u8]) -> Option<Vec<u8>> {
    // Without the feature `preserve_order`, serde_json keeps objects in a sorted map.
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    serde_json::to_vec(&value).ok()
}

/// The length in bytes of the string literal that `text` begins with, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some(end + 2)
}

fn write_string(written: &mut String, token: &str, dialect: Dialect) {
    let Ok(text) = serde_json::from_str::<String>(token) else {
        // Half of a surrogate pair, which no serialiser writes.
        written.push_str(token);
        return;
    };
    written.push('"');
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\u{8}' => written.push_str("\\b"),
            '\u{c}' => written.push_str("\\f"),
            '/' if dialect.slashes => written.push_str("\\/"),
            c if c < ' ' || (dialect.escaped)(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(written, "\\u{unit:04x}");
                }
            }
            c => written.push(c),
        }
    }
    written.push('"');
}
