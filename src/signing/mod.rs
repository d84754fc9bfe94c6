//! Wonder-RSA-SHA256, the signature scheme of the Wonder gateway, as a pure library: bytes in, bytes out.
//!
//! It reads no clock, file, socket or environment variable; time, nonce and key are arguments.
//!
//! # The scheme (`deploy/docs/wonder.md` §2.4)
//!
//! ```text
//! k1  = HMAC-SHA256(key = nonce, message = request time)
//! k2  = HMAC-SHA256(key = k1,    message = "Wonder-RSA-SHA256")
//! pre = METHOD \n TARGET [ \n BODY, when the body has at least one byte ]
//! m   = lower-case hex of HMAC-SHA256(key = k2, message = pre)
//! signature = base64(RSASSA-PKCS1-v1_5-SHA256(private key, m as 64 ASCII bytes))
//! ```
//!
//! `TARGET` is path and query exactly as on the request line. The AppID, the host and all other headers are not signed.
//!
//! # Layout
//!
//! * [`credential`]: the parts of the three headers: AppID, request time, nonce, credential.
//! * [`message`]: the signed message, built by one function for both directions.
//! * [`key`]: the keys, the only module that names a crypto crate for RSA; [`sign_message`] uses the private one.
//! * [`headers`]: the signature headers, each exactly once; [`window`]: the accepted request times.
//! * [`webhook`]: the verification and the signature of webhooks.
//! * [`diagnosis`]: the usual mistake that explains a signature that does not verify.

pub mod credential;
pub mod diagnosis;
mod form;
pub mod headers;
pub mod key;
pub mod message;
mod pem;
pub mod webhook;
pub mod window;

pub use credential::{AppId, Credential, Nonce, RequestTime, Stamp};
pub use key::{KeyError, RawSignature, SigningKey, VerifyingKey};
pub use message::{SignatureMessage, is_ambiguous, signature_message};

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// The algorithm name: third part of the credential and message of the second HMAC.
pub const ALGORITHM: &str = "Wonder-RSA-SHA256";
/// The algorithm name of the mobile SDK's scheme, which this program does not support and names in errors.
const MOBILE_ALGORITHM: &str = "Wonder-HMAC-SHA256";

/// The values of the three signature headers of one attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// Value of the `Credential` header: `<AppID>/<request time>/Wonder-RSA-SHA256`.
    pub credential: String,
    /// Value of the `Nonce` header: 16 ASCII letters and digits.
    pub nonce: String,
    /// Value of the `Signature` header: padded standard base64 in one line, 344 to 684 characters.
    pub signature: String,
}

/// Shows only the credential, because nonce and signature are a secret until they have been used.
impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("credential", &self.credential).finish_non_exhaustive()
    }
}

impl Signed {
    /// Makes the header values of one attempt: the last of the three steps message, signature, headers.
    #[must_use]
    pub fn new(app_id: &AppId, stamp: &Stamp, signature: &RawSignature) -> Self {
        Self {
            // One allocation of the exact size, which the header value takes over without a copy.
            credential: [app_id.as_str(), "/", stamp.request_time.to_text().as_str(), "/", ALGORITHM].concat(),
            nonce: stamp.nonce.as_str().to_owned(),
            signature: BASE64_STANDARD.encode(&**signature),
        }
    }
}

/// Makes the raw signature over a message: the only step that needs the private key.
///
/// # Errors
/// When the private-key operation fails, which a key that was read successfully does not do.
pub fn sign_message(key: &SigningKey, message: &SignatureMessage) -> Result<RawSignature, SignError> {
    key.sign(message.as_bytes())
}

/// Signs one request with a local key: all three steps in one.
///
/// `method` is upper-cased, `target` is path and query as sent, `body` is the body as sent in any number of
/// chunks. PKCS#1 v1.5 is deterministic: the same arguments give the same result.
///
/// # Errors
/// When the private-key operation fails, which a key that was read successfully does not do.
pub fn sign<B: AsRef<[u8]>>(
    key: &SigningKey,
    app_id: &AppId,
    stamp: &Stamp,
    method: &str,
    target: &str,
    body: &[B],
) -> Result<Signed, SignError> {
    let signature = sign_message(key, &signature_message(stamp, method, target, body))?;
    Ok(Signed::new(app_id, stamp, &signature))
}

/// Verifies that the holder of `key` made `signature` (the header's text) over this request.
///
/// Checks only the signature. The caller checks the AppID, the time and the nonce.
///
/// # Errors
/// [`VerifyError::Encoding`] if the text is not base64, [`VerifyError::Mismatch`] if the signature is wrong.
pub fn verify<B: AsRef<[u8]>>(
    key: &VerifyingKey,
    stamp: &Stamp,
    method: &str,
    target: &str,
    body: &[B],
    signature: &str,
) -> Result<(), VerifyError> {
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| VerifyError::Encoding)?;
    let message = signature_message(stamp, method, target, body);
    if key.verify(message.as_bytes(), &signature) { Ok(()) } else { Err(VerifyError::Mismatch) }
}

/// The private-key operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the private-key operation failed")]
pub struct SignError;

/// Why a signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not padded standard base64.
    #[error("signature is not padded standard base64 in one line")]
    Encoding,
    /// The signature belongs to another request, another stamp or another key.
    #[error("signature does not match the request and the key")]
    Mismatch,
}

#[cfg(test)]
mod tests;
