//! Candidates for a wrong step of the scheme: method, time, the HMAC chain, the input of RSA.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::Mac as _;

use super::{Claim, Mistake, clock::Offset, sha256};
use crate::signing::{ALGORITHM, MOBILE_ALGORITHM, RequestTime, message, signature_message};

/// The time zones are not tried for a body above this length, in bytes.
pub(super) const LONGEST_BODY_FOR_ZONES: usize = 64 * 1024;

/// Tries the usual variants on `digest`, the SHA-256 that RSA signed.
pub(super) fn find(claim: &Claim<'_>, digest: &[u8; 32]) -> Option<Mistake> {
    let search = Search { claim, digest };
    search.method().or_else(|| search.chain()).or_else(|| search.hand_over()).or_else(|| search.time())
}

struct Search<'a> {
    claim: &'a Claim<'a>,
    digest: &'a [u8; 32],
}

impl Search<'_> {
    fn method(&self) -> Option<Mistake> {
        let Claim { method, target, .. } = *self.claim;
        let k2 = self.k2();
        if self.is(&k2, &[method.to_ascii_lowercase().as_bytes(), b"\n", target.as_bytes()], b"\n") {
            return Some(Mistake::MethodCase);
        }
        ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
            .into_iter()
            .any(|other| self.is(&k2, &[other.as_bytes(), b"\n", target.as_bytes()], b"\n"))
            .then_some(Mistake::OtherMethod)
    }

    /// Variants of the HMAC chain and of the separators in the pre-sign string.
    fn chain(&self) -> Option<Mistake> {
        let time = self.claim.credential.request_time.to_text();
        let (nonce, time) = (self.claim.nonce.as_str().as_bytes(), time.as_bytes());
        let name = ALGORITHM.as_bytes();
        let (k1, k2) = (mac(nonce, time), self.k2());
        let (k1_hex, k2_hex) = (message::hex(&k1), message::hex(&k2));
        let credential = self.claim.credential.to_string();
        let method = self.claim.method.to_ascii_uppercase();
        let (method, target) = (method.as_bytes(), self.claim.target.as_bytes());
        let head: &[&[u8]] = &[method, b"\n", target];

        let k1_swapped = mac(time, nonce);
        let keys: [(Mistake, &[u8]); 10] = [
            (Mistake::FirstHmacSwapped, &mac(&k1_swapped, name)),
            (Mistake::SecondHmacSwapped, &mac(name, &k1)),
            (Mistake::BothHmacsSwapped, &mac(name, &k1_swapped)),
            (Mistake::MobileScheme, &mac(&k1, MOBILE_ALGORITHM.as_bytes())),
            (Mistake::HexKeys, &k2_hex),
            (Mistake::HexKeys, &mac(&k1_hex, name)),
            (Mistake::HexKeys, &message::hex(&mac(&k1_hex, name))),
            (Mistake::SecondHmacLeftOut, &k1),
            (Mistake::SecondHmacLeftOut, nonce),
            (Mistake::WholeCredential, &mac(&k1, credential.as_bytes())),
        ];
        let by_key = || keys.into_iter().find(|(_, key)| self.is(key, head, b"\n")).map(|(mistake, _)| mistake);
        let joints: [(Mistake, &[u8]); 3] =
            [(Mistake::LiteralLineEnds, b"\\n"), (Mistake::CrlfLineEnds, b"\r\n"), (Mistake::NoLineEnds, b"")];
        let by_joint = || {
            let found = joints.into_iter().find(|(_, joint)| self.is(&k2, &[method, joint, target], joint));
            found.map(|(mistake, _)| mistake)
        };
        let line_end = || {
            let ended = self.claim.body.is_empty() && self.is(&k2, &[method, b"\n", target, b"\n"], b"");
            ended.then_some(Mistake::LineEndAfterTarget)
        };
        let last_swapped = || {
            let pre_sign = pre_sign(self.claim);
            let swapped = sha256(&message::hex(&mac(&pre_sign, &k2))) == *self.digest;
            swapped.then_some(Mistake::LastHmacSwapped)
        };
        by_key().or_else(by_joint).or_else(line_end).or_else(last_swapped)
    }

    /// Variants of the RSA input in place of the 64 hex characters.
    fn hand_over(&self) -> Option<Mistake> {
        let Claim { method, target, body, .. } = *self.claim;
        let mut mac = message::keyed(&self.k2());
        let mut pre_sign = sha2::Sha256::default();
        message::pre_sign(method, target, &[body], |piece| {
            mac.update(piece);
            sha2::Digest::update(&mut pre_sign, piece);
        });
        let mac: [u8; 32] = mac.finalize().into_bytes().into();
        let hex = message::hex(&mac);
        let base64 = BASE64_STANDARD.encode(mac);
        let pre_sign: [u8; 32] = sha2::Digest::finalize(pre_sign).into();
        let digests = [
            (Mistake::RawMac, sha256(&mac)),
            (Mistake::UpperHex, sha256(&hex.to_ascii_uppercase())),
            (Mistake::Base64Mac, sha256(base64.as_bytes())),
            (Mistake::LineEndAfterMac, sha256(&[&hex[..], b"\n"].concat())),
            (Mistake::LineEndAfterMac, sha256(&[&hex[..], b"\r\n"].concat())),
            (Mistake::MacAsDigest, mac),
            (Mistake::HashedTwice, sha256(&sha256(&hex))),
            (Mistake::HashedTwice, sha256(&message::hex(&sha256(&hex)))),
            (Mistake::NoHmac, pre_sign),
            (Mistake::NoHmac, sha256(&message::hex(&pre_sign))),
        ];
        digests.into_iter().find(|(_, digest)| digest == self.digest).map(|(mistake, _)| mistake)
    }

    /// Other times than the credential's: a clock read twice, a time zone, another format.
    fn time(&self) -> Option<Mistake> {
        let Claim { method, target, body, .. } = *self.claim;
        let seconds = self.claim.credential.request_time.unix_seconds();
        let mut stamp = self.claim.stamp();
        let mut signed_at = |off: i64| {
            stamp.request_time = RequestTime::from_unix_seconds(seconds.saturating_add_signed(off));
            sha256(signature_message(&stamp, method, target, &[body]).as_bytes()) == *self.digest
        };
        if (-5..=5).any(&mut signed_at) {
            return Some(Mistake::AnotherTime);
        }
        if body.len() <= LONGEST_BODY_FOR_ZONES {
            // Within one day a 12-hour clock is likelier than the zones that are half a day away.
            let half_a_day = if seconds % 86_400 < 43_200 { 43_200 } else { -43_200 };
            if signed_at(half_a_day) {
                return Some(Mistake::TwelveHours);
            }
            if let Some(offset) = Offset::all().find(|offset| signed_at(offset.seconds())) {
                return Some(Mistake::LocalTime(offset));
            }
        }
        let unix = mac(self.claim.nonce.as_str().as_bytes(), seconds.to_string().as_bytes());
        let method = method.to_ascii_uppercase();
        self.is(&mac(&unix, ALGORITHM.as_bytes()), &[method.as_bytes(), b"\n", target.as_bytes()], b"\n")
            .then_some(Mistake::UnixTime)
    }

    fn k2(&self) -> [u8; 32] {
        let time = self.claim.credential.request_time.to_text();
        mac(&mac(self.claim.nonce.as_str().as_bytes(), time.as_bytes()), ALGORITHM.as_bytes())
    }

    /// Whether `head`, then `joint` and a non-empty body, was signed under `key`.
    fn is(&self, key: &[u8], head: &[&[u8]], joint: &[u8]) -> bool {
        let mut mac = message::keyed(key);
        for piece in head {
            mac.update(piece);
        }
        if !self.claim.body.is_empty() {
            mac.update(joint);
            mac.update(self.claim.body);
        }
        sha256(&message::hex(&mac.finalize().into_bytes().into())) == *self.digest
    }
}

fn pre_sign(claim: &Claim<'_>) -> Vec<u8> {
    let mut whole = Vec::with_capacity(claim.target.len() + claim.body.len() + 16);
    message::pre_sign(claim.method, claim.target, &[claim.body], |piece| whole.extend_from_slice(piece));
    whole
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    message::hmac(key, message).into()
}
