//! Candidates for a body that was signed in place of the sent one.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

use super::{Mistake, json, json::Dialect};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Tries the usual other bodies on `signed`, with one of them in memory at a time.
pub(super) fn find(body: &[u8], signed: impl Fn(&[u8]) -> bool) -> Option<Mistake> {
    if body.is_empty() {
        // PHP's SDK signs `[]`, the JSON of an empty array, for a GET (`deploy/docs/wonder.md` §2.5).
        let invented: [&[u8]; 7] = [b"{}", b"[]", b"null", b"\"\"", b"''", b" ", b"undefined"];
        return invented.into_iter().any(signed).then_some(Mistake::BodyInvented);
    }
    let is = |guess: &[u8], mistake| (guess != body && signed(guess)).then_some(mistake);
    let without_line_end = body.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    None.or_else(|| is(without_line_end?, Mistake::LineEndLeftOut))
        .or_else(|| is(body.strip_suffix(b"\n")?, Mistake::LineEndLeftOut))
        .or_else(|| is(&[body, b"\n"].concat(), Mistake::LineEndAdded))
        .or_else(|| is(&[body, b"\r\n"].concat(), Mistake::LineEndAdded))
        .or_else(|| is(body.trim_ascii(), Mistake::BodyTrimmed))
        .or_else(|| is(body.trim_ascii_end(), Mistake::BodyTrimmed))
        .or_else(|| is(body.trim_ascii_start(), Mistake::BodyTrimmed))
        .or_else(|| is(&with_lf(body), Mistake::LineEndsToLf))
        .or_else(|| is(&with_crlf(body), Mistake::LineEndsToCrlf))
        .or_else(|| is(body.strip_prefix(BYTE_ORDER_MARK)?, Mistake::ByteOrderMark))
        .or_else(|| is(&[BYTE_ORDER_MARK, body].concat(), Mistake::ByteOrderMark))
        .or_else(|| Dialect::ALL.into_iter().find_map(|(dialect, mistake)| is(&json::rewrite(body, dialect)?, mistake)))
        .or_else(|| is(&json::sorted(body)?, Mistake::JsonSorted))
        .or_else(|| is(BASE64_STANDARD.encode(body).as_bytes(), Mistake::BodyBase64))
        .or_else(|| is(format!("{:x}", Sha256::digest(body)).as_bytes(), Mistake::BodyHash))
}

fn with_lf(body: &[u8]) -> Vec<u8> {
    let mut bytes = body.iter().copied().peekable();
    let mut changed = Vec::with_capacity(body.len());
    while let Some(byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&b'\n') {
            changed.push(byte);
        }
    }
    changed
}

fn with_crlf(body: &[u8]) -> Vec<u8> {
    let mut before = 0;
    let mut changed = Vec::with_capacity(body.len() + body.len() / 16);
    for byte in body {
        if *byte == b'\n' && before != b'\r' {
            changed.push(b'\r');
        }
        changed.push(*byte);
        before = *byte;
    }
    changed
}
