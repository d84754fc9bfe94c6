//! The signed message: the pre-sign string and the HMAC chain over it (`deploy/docs/wonder.md` §2.4).

use hmac::{Hmac, Mac as _, digest::Output};
use sha2::Sha256;

use super::{ALGORITHM, Stamp};

pub(super) type HmacSha256 = Hmac<Sha256>;

/// The 64 lower-case hex characters that RSA signs ("signature message").
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureMessage([u8; 64]);

impl SignatureMessage {
    /// The 64 ASCII bytes, as RSA signs them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The same as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Hidden, because it is an HMAC over the body under a public key value, so a guessed body could be checked against it.
impl std::fmt::Debug for SignatureMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignatureMessage(..)")
    }
}

/// Passes the pre-sign string to `sink` in pieces, so that a body is never copied into one buffer.
///
/// For `post`, `/svc/x?a=1` and a body of `{}` the pieces join to `POST\n/svc/x?a=1\n{}`. Without a body the line end before it is
/// left out too.
pub fn pre_sign<B: AsRef<[u8]>>(method: &str, target: &str, body: &[B], mut sink: impl FnMut(&[u8])) {
    if method.bytes().any(|b| b.is_ascii_lowercase()) {
        sink(method.to_ascii_uppercase().as_bytes());
    } else {
        sink(method.as_bytes());
    }
    sink(b"\n");
    sink(target.as_bytes());
    if body.iter().any(|chunk| !chunk.as_ref().is_empty()) {
        sink(b"\n");
        for chunk in body {
            sink(chunk.as_ref());
        }
    }
}

/// Computes the signature message of a request: the HMAC chain over [`pre_sign`].
#[must_use]
pub fn signature_message<B: AsRef<[u8]>>(stamp: &Stamp, method: &str, target: &str, body: &[B]) -> SignatureMessage {
    let k1 = hmac(stamp.nonce.as_str().as_bytes(), stamp.request_time.to_text().as_bytes());
    let k2 = hmac(&k1, ALGORITHM.as_bytes());
    let mut mac = keyed(&k2);
    pre_sign(method, target, body, |piece| mac.update(piece));
    SignatureMessage(hex(&mac.finalize().into_bytes().into()))
}

/// The three HMAC values of a request, each as lower-case hex.
#[derive(Clone, PartialEq, Eq)]
pub struct Chain {
    /// Over the request time, with the nonce as key.
    pub first: String,
    /// Over the algorithm name, with the first value as key.
    pub second: String,
    /// Over the pre-sign string, with the second value as key: the signature message.
    pub message: SignatureMessage,
}

impl Chain {
    /// Computes the same as [`signature_message`], and returns each step.
    #[must_use]
    pub fn of<B: AsRef<[u8]>>(stamp: &Stamp, method: &str, target: &str, body: &[B]) -> Self {
        let first = hmac(stamp.nonce.as_str().as_bytes(), stamp.request_time.to_text().as_bytes());
        let second = hmac(&first, ALGORITHM.as_bytes());
        let text = |value: Output<HmacSha256>| hex(&value.into()).iter().map(|&digit| char::from(digit)).collect();
        let message = signature_message(stamp, method, target, body);
        Self { first: text(first), second: text(second), message }
    }
}

/// Whether a body is not empty and has only white space. Wonder's own SDKs disagree on whether such a body is signed
/// (`deploy/docs/wonder.md` §2.5), so it cannot be signed safely.
///
/// White space is everything that their `trim` removes, including the byte order mark and non-ASCII spaces. A multi-byte space may
/// be split across chunks.
#[must_use]
pub fn is_ambiguous<B: AsRef<[u8]>>(body: &[B]) -> bool {
    let mut bytes = body.iter().flat_map(|chunk| chunk.as_ref().iter().copied()).peekable();
    let mut character = [0; 3];
    let mut length = 0;
    if bytes.peek().is_none() {
        return false;
    }
    for byte in bytes {
        // A space has at most three bytes in UTF-8.
        let Some(place) = character.get_mut(length) else { return false };
        *place = byte;
        length += 1;
        match std::str::from_utf8(&character[..length]).map(|text| text.chars().next()) {
            Ok(Some(c)) if c.is_whitespace() || c == '\u{feff}' => length = 0,
            Ok(_) => return false,
            Err(error) if error.error_len().is_some() => return false,
            Err(_) => {}
        }
    }
    length == 0
}

pub(super) fn hmac(key: &[u8], message: &[u8]) -> Output<HmacSha256> {
    let mut mac = keyed(key);
    mac.update(message);
    mac.finalize().into_bytes()
}

pub(super) fn keyed(key: &[u8]) -> HmacSha256 {
    // `new_from_slice` accepts every key length: longer keys are hashed, shorter ones padded (RFC 2104 §2).
    match HmacSha256::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes a key of any length"),
    }
}

pub(super) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}
