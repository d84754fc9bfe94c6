//! Why a signature does not verify: tries the mistakes that people make with this scheme and names the one that
//! explains it.
//!
//! It is for messages to people. Nothing here makes a request acceptable: only [`verify`](super::verify) does.
//!
//! The public key tells what digest the signature was made over, so each guess costs an HMAC and no RSA operation,
//! and "made with another key" is known, not supposed. One mistake at a time is tried, under two hundred guesses in
//! all.
//!
//! # Layout
//!
//! * [`mistake`]: every mistake, with its sentence and its remedy.
//! * [`clock`]: whether a request time is stale, and whether it looks like local time.
//! * `target`, `body`, `json`, `scheme`: the guesses.

mod body;
pub mod clock;
mod json;
pub mod mistake;
mod scheme;
mod target;

pub use clock::Clock;
pub use mistake::Mistake;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use sha2::{Digest as _, Sha256};

use super::{Credential, Nonce, Stamp, VerifyingKey, key::Recovered, signature_message};

/// A body above this length, in bytes, is hashed only as it is and as left out.
const LONGEST_BODY: usize = 1024 * 1024;

/// A request as it arrived, with what it claims to be signed by.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The `Credential` header.
    pub credential: &'a Credential,
    /// The `Nonce` header.
    pub nonce: &'a Nonce,
    /// The method as it stands on the request line.
    pub method: &'a str,
    /// Path and query as they stand on the request line.
    pub target: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The `Signature` header's text.
    pub signature: &'a str,
    /// The `Host` header, to recognise a whole URL that was signed; Wonder's own hosts are tried in any case.
    pub host: Option<&'a str>,
}

impl Claim<'_> {
    fn stamp(&self) -> Stamp {
        Stamp { request_time: self.credential.request_time, nonce: *self.nonce }
    }
}

/// Names the mistake that explains why `claim` does not verify under `key`; `None` when it does verify.
#[must_use]
pub fn diagnose(key: &VerifyingKey, claim: &Claim<'_>) -> Option<Mistake> {
    let Some((signature, misspelled)) = decode(claim.signature) else { return Some(Mistake::SignatureNotBase64) };
    let message = signature_message(&claim.stamp(), claim.method, claim.target, &[claim.body]);
    match key.recover(&signature) {
        Recovered::Digest(digest) if digest == sha256(message.as_bytes()) => misspelled,
        Recovered::Digest(digest) => Some(explain(claim, &digest).unwrap_or(Mistake::Unknown)),
        Recovered::OtherLength => Some(Mistake::SignatureLength),
        Recovered::OtherHash => Some(Mistake::OtherHash),
        Recovered::Bare => Some(Mistake::Unhashed),
        Recovered::Nothing if key.is_pss(message.as_bytes(), &signature) => Some(Mistake::PssPadding),
        Recovered::Nothing => Some(Mistake::AnotherKey),
    }
}

/// Finds what leads to `digest`, the likelier and cheaper guesses first.
fn explain(claim: &Claim<'_>, digest: &[u8; 32]) -> Option<Mistake> {
    let Claim { method, target, body, .. } = *claim;
    let stamp = claim.stamp();
    let signed = |method: &str, target: &str, body: &[u8]| {
        sha256(signature_message(&stamp, method, target, &[body]).as_bytes()) == *digest
    };
    if !body.is_empty() && signed(method, target, b"") {
        let blank = super::is_ambiguous(&[body]);
        return Some(if blank { Mistake::BlankBodyLeftOut } else { Mistake::BodyLeftOut });
    }
    if body.len() > LONGEST_BODY {
        return None;
    }
    target::find(target, claim.host, |target| signed(method, target, body))
        .or_else(|| body::find(body, |body| signed(method, target, body)))
        .or_else(|| scheme::find(claim, digest))
}

/// Decodes a signature in any spelling; says what is wrong with the spelling, if anything.
fn decode(text: &str) -> Option<(Vec<u8>, Option<Mistake>)> {
    // First, because hex is base64 too.
    if let Some(bytes) = decode_hex(text) {
        return Some((bytes, Some(Mistake::SignatureHex)));
    }
    if let Ok(bytes) = BASE64_STANDARD.decode(text) {
        return Some((bytes, None));
    }
    let (mut wrapped, mut url_safe) = (false, false);
    let plain: String = text
        .chars()
        .filter(|c| {
            wrapped |= c.is_ascii_whitespace();
            !c.is_ascii_whitespace()
        })
        .map(|c| {
            url_safe |= c == '-' || c == '_';
            match c {
                '-' => '+',
                '_' => '/',
                other => other,
            }
        })
        .collect();
    let mistake = match (url_safe, wrapped) {
        (true, _) => Mistake::SignatureUrlSafe,
        (_, true) => Mistake::SignatureWrapped,
        _ => Mistake::SignatureUnpadded,
    };
    LENIENT.decode(plain).ok().map(|bytes| (bytes, Some(mistake)))
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
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

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests;
