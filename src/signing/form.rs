//! The encodings in which a public key travels through portals, environment variables and databases: base64 or hex, at times of a text
//! that is encoded already.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// `text` with one layer of hex or base64 taken off; `None` when it is neither. White space, quotes and the colons of a hex dump do not
/// count.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let plain: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b':'))
        .collect();
    // First, because hex is base64 too.
    hex(&plain).or_else(|| {
        let standard = plain.iter().map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        });
        let mut standard: Vec<u8> = standard.collect();
        while !standard.len().is_multiple_of(4) {
            standard.push(b'=');
        }
        BASE64_STANDARD.decode(standard).ok()
    })
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.iter().map(|byte| char::from(*byte).to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    (!digits.is_empty() && digits.len().is_multiple_of(2))
        .then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
