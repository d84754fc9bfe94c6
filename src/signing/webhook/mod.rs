//! Webhooks: the verification of one delivery, and the signature of one (`deploy/docs/wonder.md` §3).
//!
//! Wonder's webhook key signs a delivery like a request, over the target and the body that the receiver's server gets. Target and body
//! are verified exactly as they arrived. A proxy that rewrites one of them breaks the signature, and this module does not guess the
//! original. `Content-Type` and `X-Action` are not signed.
//!
//! ```
//! # use wonder_signer::signing::{AppId, SigningKey, Stamp, webhook::{self, Accepted, Delivery, DeliveryError}};
//! # fn example(key: &SigningKey, app_id: &AppId, stamp: &Stamp) -> Result<(), Box<dyn std::error::Error>> {
//! use wonder_signer::signing::{headers::Headers, window::Window};
//!
//! let body = br#"{"number":"93000120417"}"#;
//! let signed = webhook::sign(key, app_id, stamp, "/hooks/wonder?src=w", &[body])?;
//! let headers = Headers::collect([
//!     (&b"Credential"[..], signed.credential.as_bytes()),
//!     (b"Nonce", signed.nonce.as_bytes()),
//!     (b"Signature", signed.signature.as_bytes()),
//! ]);
//! let accepted = Accepted { name: "default", app_id, key: key.verifying_key() };
//! let delivery = Delivery { method: "POST", target: b"/hooks/wonder", headers, body: &[body] };
//! let verdict = webhook::verify(&delivery, [accepted], stamp.request_time, Window::REQUEST);
//! assert_eq!(verdict.unwrap_err(), DeliveryError::SignatureMismatch); // the query is missing
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! * `error`: every reason to reject a delivery, with its stable name and its likely cause.
//! * `explanation`: the usual changes to a delivery whose signature does not match.
//! * `key`: the webhook public key, in every encoding of the portal and of environment variables.

mod error;
mod explanation;
mod key;

use std::fmt;

use sha2::{Digest as _, Sha256};

pub use error::DeliveryError;
pub use explanation::{Candidate, Difference, Explanation, explain};
pub use key::{WebhookKeyError, check, public_key};

use super::{
    AppId, Credential, Nonce, RequestTime, SignError, Signed, SigningKey, Stamp, VerifyError, VerifyingKey,
    headers::{Header, Headers},
    window::Window,
};

/// The only method of a delivery.
pub const METHOD: &str = "POST";

/// One delivery as it arrived.
#[derive(Clone, Copy)]
pub struct Delivery<'a, B> {
    /// The method of the request line.
    pub method: &'a str,
    /// Path and query of the request line, byte for byte.
    pub target: &'a [u8],
    /// The headers.
    pub headers: Headers<'a>,
    /// The body, byte for byte, in any number of chunks.
    pub body: &'a [B],
}

/// An accepted webhook key with its credential. An AppID may have several.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    /// The credential's name in the configuration.
    pub name: &'a str,
    /// The AppID that Wonder sends with this key's signatures.
    pub app_id: &'a AppId,
    /// The webhook public key.
    pub key: &'a VerifyingKey,
}

/// A delivery that Wonder signed. Only [`verify`] makes one.
#[derive(Clone, Copy)]
pub struct Verified<'a> {
    name: &'a str,
    app_id: &'a AppId,
    stamp: Stamp,
    signature: &'a str,
    action: Option<&'a str>,
}

impl<'a> Verified<'a> {
    /// The name of the credential whose key verified it.
    #[must_use]
    pub fn credential_name(&self) -> &'a str {
        self.name
    }

    /// The AppID.
    #[must_use]
    pub fn app_id(&self) -> &'a AppId {
        self.app_id
    }

    /// When Wonder signed it.
    #[must_use]
    pub fn request_time(&self) -> RequestTime {
        self.stamp.request_time
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> Nonce {
        self.stamp.nonce
    }

    /// The `X-Action` header. It is **not signed**: only the body is proof of the event.
    #[must_use]
    pub fn action(&self) -> Option<&'a str> {
        self.action
    }

    /// SHA-256 of request time, nonce and signature: the same for each copy of a delivery, and for no other delivery.
    ///
    /// The AppID is not part of it, because it is not signed: where two credentials have one webhook key, a copy with the other AppID
    /// verifies too, and would otherwise be a new delivery.
    #[must_use]
    pub fn identity(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [self.stamp.request_time.to_text().as_str(), self.stamp.nonce.as_str(), self.signature] {
            digest.update(part);
            digest.update(b"\n");
        }
        digest.finalize().into()
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("name", &self.name).field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// Verifies one delivery against the webhook keys that are `accepted`, at the time `now`.
///
/// The cheap checks come first, so that most forgeries cost no RSA operation. It never retries with a guessed target or body. The
/// caller detects repeated deliveries by their [`identity`](Verified::identity).
///
/// # Errors
/// The first [`DeliveryError`] in the order of the checks.
pub fn verify<'a, B: AsRef<[u8]>>(
    delivery: &Delivery<'a, B>,
    accepted: impl IntoIterator<Item = Accepted<'a>>,
    now: RequestTime,
    window: Window,
) -> Result<Verified<'a>, DeliveryError> {
    if delivery.method != METHOD {
        return Err(DeliveryError::Method);
    }
    let target = origin_form(delivery.target).ok_or(DeliveryError::Target)?;

    let headers = &delivery.headers;
    let credential = headers.one(Header::Credential).map_err(DeliveryError::Header)?;
    let nonce = headers.one(Header::Nonce).map_err(DeliveryError::Header)?;
    let signature = headers.one(Header::Signature).map_err(DeliveryError::Header)?;
    let action = headers.at_most_one(Header::Action).map_err(DeliveryError::Header)?;

    let credential: Credential = credential.parse().map_err(DeliveryError::Credential)?;
    let nonce: Nonce = nonce.parse().map_err(DeliveryError::Credential)?;
    let stamp = Stamp { request_time: credential.request_time, nonce };

    let mut only_case = false;
    let mut keys = accepted
        .into_iter()
        .filter(|accepted| {
            let (known, sent) = (accepted.app_id.as_str(), credential.app_id.as_str());
            only_case |= known != sent && known.eq_ignore_ascii_case(sent);
            known == sent
        })
        .peekable();
    if keys.peek().is_none() {
        drop(keys);
        return Err(DeliveryError::AppIdUnknown { only_case });
    }
    DeliveryError::of_time(window, stamp.request_time, now)?;

    if headers.has_content_encoding() {
        return Err(DeliveryError::ContentEncoding);
    }
    if delivery.body.iter().all(|chunk| chunk.as_ref().is_empty()) {
        return Err(DeliveryError::BodyEmpty);
    }
    for Accepted { name, app_id, key } in keys {
        match super::verify(key, &stamp, METHOD, target, delivery.body, signature) {
            Ok(()) => return Ok(Verified { name, app_id, stamp, signature, action }),
            Err(VerifyError::Encoding) => return Err(DeliveryError::SignatureEncoding),
            Err(VerifyError::Mismatch) => {}
        }
    }
    Err(DeliveryError::SignatureMismatch)
}

/// The target as text if it has origin form (RFC 9112 §3.2.1): a slash, then visible ASCII without a fragment.
fn origin_form(target: &[u8]) -> Option<&str> {
    let visible = target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    std::str::from_utf8(target).ok().filter(|text| visible && text.starts_with('/'))
}

/// Signs one delivery, as Wonder does: for the simulator, for `send-webhook`, for tests.
///
/// `target` is path and query of the callback URL as sent.
///
/// # Errors
/// When the private-key operation fails, which a key that was read successfully does not do.
pub fn sign<B: AsRef<[u8]>>(
    key: &SigningKey,
    app_id: &AppId,
    stamp: &Stamp,
    target: &str,
    body: &[B],
) -> Result<Signed, SignError> {
    super::sign(key, app_id, stamp, METHOD, target, body)
}

#[cfg(test)]
mod tests;
