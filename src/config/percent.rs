//! Percent-encoded values, such as a password in a URL. Pure.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// The bytes of `text`; `None` if a `%` is not followed by two hexadecimal digits. The library leaves such a `%` as it is, but here it
/// is the sign of a value that was not encoded.
pub(crate) fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let is_escape =
        |rest: &str| rest.as_bytes().first_chunk::<2>().is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    // With its capacity from the start, no copy of a secret stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    bytes.extend(percent_decode_str(text));
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_whole_escapes_and_rejects_all_others() {
        for (text, bytes) in
            [("", &b""[..]), ("a+b", b"a+b"), ("%41%2b%2B", b"A++"), ("%ff%00", b"\xff\0"), ("%2541", b"%41")]
        {
            assert_eq!(decoded(text).as_deref().map(Vec::as_slice), Some(bytes), "{text}");
        }
        for text in ["%", "%4", "100%", "%+f", "%-1", "% 1", "%0x", "%4g", "%\u{e9}1", "%%41"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
