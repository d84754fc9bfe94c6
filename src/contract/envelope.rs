//! The body and the headers of a response that the sidecar makes itself.

use http::HeaderName;
use serde::Serialize;

use super::{Code, Sent};

/// Response header with the error code, on the sidecar's own responses: `X-Wonder-Signer-Error: body_too_large`.
pub(crate) const ERROR: HeaderName = HeaderName::from_static("x-wonder-signer-error");
/// Response header that states whether Wonder may have received the request: `X-Wonder-Signer-Sent: no`.
pub(crate) const SENT: HeaderName = HeaderName::from_static("x-wonder-signer-sent");

/// The body, in the shape of Wonder's envelope (`deploy/docs/wonder.md` §4) with `code` a string.
///
/// ```
/// use wonder_signer::contract::{Code, Envelope, Sent};
/// assert_eq!(
///     Envelope::new(Code::BodyTooLarge, Sent::No, "too big", "r-1").to_json(),
///     br#"{"code":"SIGNER_BODY_TOO_LARGE","message":"too big","request_id":"r-1","sent":"no"}"#
/// );
/// ```
#[derive(Debug, Serialize)]
pub struct Envelope<'a> {
    code: String,
    message: &'a str,
    request_id: &'a str,
    sent: &'static str,
}

impl<'a> Envelope<'a> {
    /// `message` is one sentence for the caller, without secrets.
    #[must_use]
    pub fn new(code: Code, sent: Sent, message: &'a str, request_id: &'a str) -> Self {
        let code = format!("SIGNER_{}", code.as_str().to_ascii_uppercase());
        Self { code, message, request_id, sent: sent.as_str() }
    }

    /// The bytes of the body.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // A struct of four strings always serializes.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
