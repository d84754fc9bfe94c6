//! A signature in another encoding than padded standard base64: its bytes, and the name of the encoding.

use std::borrow::Cow;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use percent_encoding::percent_decode_str;

use super::Mistake;

/// Decodes a signature in any encoding, and returns the fault of the encoding, if any. `length` is that of the key's modulus in bytes:
/// of two possible decodings, the one with this length is right.
pub(super) fn decode(text: &str, length: usize) -> Option<(Vec<u8>, Option<Mistake>)> {
    if let Some(bytes) = percent_decoded(text).and_then(|text| base64(&text)).filter(|bytes| bytes.len() == length) {
        return Some((bytes, Some(Mistake::SignaturePercentEncoded)));
    }
    if let Some(bytes) = plus_restored(text, length) {
        return Some((bytes, Some(Mistake::SignaturePlusLost)));
    }
    let unquoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    if let Some(bytes) = unquoted.and_then(base64) {
        return Some((bytes, Some(Mistake::SignatureQuoted)));
    }
    let (bytes, mistake) = once(text)?;
    let inner = (bytes.len() != length).then(|| std::str::from_utf8(&bytes).ok().and_then(once)).flatten();
    match inner {
        Some((inner, _)) if inner.len() == length => Some((inner, Some(Mistake::SignatureEncodedTwice))),
        _ => Some((bytes, mistake)),
    }
}

/// Removes one encoding.
fn once(text: &str) -> Option<(Vec<u8>, Option<Mistake>)> {
    // Hex first, because hex digits are also valid base64.
    if let Some(bytes) = hex(text) {
        return Some((bytes, Some(Mistake::SignatureHex)));
    }
    if let Ok(bytes) = BASE64_STANDARD.decode(text) {
        return Some((bytes, None));
    }
    let url_safe = text.contains(['-', '_']);
    let wrapped = text.contains(|c: char| c.is_ascii_whitespace());
    let mistake = match (url_safe, wrapped) {
        (true, _) => Mistake::SignatureUrlSafe,
        (_, true) => Mistake::SignatureWrapped,
        _ => Mistake::SignatureUnpadded,
    };
    base64(text).map(|bytes| (bytes, Some(mistake)))
}

/// Either alphabet, white space anywhere, padding or none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    LENIENT.decode(plain).ok()
}

/// Replaces each space by `+`, and adds a `+` at the front if one character is missing, because a header loses a leading space. `None`
/// if the text needs neither.
fn plus_restored(text: &str, length: usize) -> Option<Vec<u8>> {
    let of_length = |text: &str| BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() == length);
    if of_length(text).is_some() || base64(text).is_some_and(|bytes| bytes.len() == length) {
        return None;
    }
    let restored = text.trim_end().replace(' ', "+");
    of_length(&restored).or_else(|| of_length(&format!("+{restored}")))
}

/// `None` if the text has no escape.
fn percent_decoded(text: &str) -> Option<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(Cow::Owned(decoded)) => Some(decoded),
        Ok(Cow::Borrowed(_)) | Err(_) => None,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    (!digits.is_empty() && digits.len().is_multiple_of(2))
        .then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
