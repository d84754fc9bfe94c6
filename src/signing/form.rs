//! The encodings of a public key in portals, environment variables and databases: base64 or hex, sometimes of a text that is already
//! encoded.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Removes one layer of hex or base64; `None` if the text is neither. White space, quotes and the colons of a hex dump are ignored.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let plain: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b':'))
        .collect();
    // Hex first, because hex digits are also valid base64.
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
