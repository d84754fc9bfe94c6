//! The likely reason why a signature does not verify: tries the usual mistakes with this scheme and returns the one that
//! explains the signature.
//!
//! The result is for messages only. It never makes a request acceptable; [`verify`](super::verify) decides that.
//!
//! The public key recovers the signed digest, so each guess costs an HMAC and no RSA operation, and "made with another key" is
//! a fact and not a guess. Each mistake is tried alone and combined with a missing query: fewer than six hundred guesses.
//!
//! # Layout
//!
//! * [`mistake`]: every mistake, with its sentence and its remedy.
//! * [`clock`]: whether a request time is stale, and whether it looks like local time.
//! * `target`, `body`, `json`, `scheme`: the guesses; `spelling`: a signature in another encoding.

mod body;
pub mod clock;
mod json;
pub mod mistake;
mod scheme;
mod spelling;
mod target;

pub use clock::Clock;
pub use mistake::{Mistake, Part};

use std::cell::Cell;

use sha2::{Digest as _, Sha256};

use super::{Credential, Nonce, Stamp, VerifyingKey, key::Recovered, message::pre_sign, signature_message};

/// A body above this length, in bytes, is tried only unchanged and as missing.
const LONGEST_BODY: usize = 1024 * 1024;

/// A request as it arrived, with its signature headers.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The `Credential` header.
    pub credential: &'a Credential,
    /// The `Nonce` header.
    pub nonce: &'a Nonce,
    /// The method of the request line.
    pub method: &'a str,
    /// Path and query of the request line.
    pub target: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The `Signature` header's text.
    pub signature: &'a str,
    /// The `Host` header, to recognise a signed whole URL; Wonder's own hosts are always tried.
    pub host: Option<&'a str>,
}

impl Claim<'_> {
    fn stamp(&self) -> Stamp {
        Stamp { request_time: self.credential.request_time, nonce: *self.nonce }
    }
}

/// Returns the mistake that explains why `claim` does not verify under `key`; `None` if it does verify.
#[must_use]
pub fn diagnose(key: &VerifyingKey, claim: &Claim<'_>) -> Option<Mistake> {
    diagnose_with_place(key, claim).map(|(mistake, _)| mistake)
}

/// The same, with the length of the common beginning of the two pre-sign strings, if the mistake is in those strings.
#[must_use]
pub fn diagnose_with_place(key: &VerifyingKey, claim: &Claim<'_>) -> Option<(Mistake, Option<usize>)> {
    let place = Cell::new(None);
    find(key, claim, &place).map(|mistake| (mistake, place.get()))
}

fn find(key: &VerifyingKey, claim: &Claim<'_>, place: &Cell<Option<usize>>) -> Option<Mistake> {
    let Some((signature, misspelled)) = spelling::decode(claim.signature, key.bits() / 8) else {
        return Some(Mistake::SignatureNotBase64);
    };
    let message = signature_message(&claim.stamp(), claim.method, claim.target, &[claim.body]);
    match key.recover(&signature) {
        Recovered::Digest(digest) if digest == sha256(message.as_bytes()) => misspelled,
        Recovered::Digest(digest) => Some(explain(claim, &digest, place).unwrap_or(Mistake::Unknown)),
        Recovered::OtherLength => Some(Mistake::SignatureLength),
        Recovered::OtherHash => Some(Mistake::OtherHash),
        Recovered::Bare => Some(Mistake::Unhashed),
        Recovered::Nothing if key.is_pss(message.as_bytes(), &signature) => Some(Mistake::PssPadding),
        Recovered::Nothing => Some(Mistake::AnotherKey),
    }
}

/// Finds the mistake that leads to `digest`, and tries likely and cheap guesses first.
fn explain(claim: &Claim<'_>, digest: &[u8; 32], place: &Cell<Option<usize>>) -> Option<Mistake> {
    let Claim { method, target, body, .. } = *claim;
    let stamp = claim.stamp();
    let signed = |signed_method: &str, signed_target: &str, signed_body: &[u8]| {
        let message = signature_message(&stamp, signed_method, signed_target, &[signed_body]);
        let is_signed = sha256(message.as_bytes()) == *digest;
        if is_signed {
            let [theirs, ours] = [(signed_method, signed_target, signed_body), (method, target, body)].map(joined);
            place.set(Some(theirs.iter().zip(&ours).take_while(|(theirs, ours)| theirs == ours).count()));
        }
        is_signed
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
        .or_else(|| without_query(claim, digest, place))
}

/// The pre-sign string in one piece.
fn joined((method, target, body): (&str, &str, &[u8])) -> Vec<u8> {
    let mut joined = Vec::new();
    pre_sign(method, target, &[body], |piece| joined.extend_from_slice(piece));
    joined
}

/// A missing query hides every other mistake, and one of Wonder's own SDKs omits it (`deploy/docs/wonder.md` §2.5).
fn without_query(claim: &Claim<'_>, digest: &[u8; 32], place: &Cell<Option<usize>>) -> Option<Mistake> {
    let (path, _) = claim.target.split_once('?')?;
    let explained = || explain(&Claim { target: path, ..*claim }, digest, place);
    (claim.body.len() <= scheme::LONGEST_BODY_FOR_ZONES).then(explained).flatten().map(|_| {
        // The other mistake may come before the query or after it.
        let query = claim.method.len() + 1 + path.len();
        place.set(Some(place.get().map_or(query, |place| place.min(query))));
        Mistake::QueryAndAnother
    })
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests;
