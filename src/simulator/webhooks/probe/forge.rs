//! Forged webhooks: signed as Wonder signs them, then changed in one place.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, header};
use rand::rngs::OsRng;

use super::{MakeError, Sender, Webhook};
use crate::signing::{Nonce, RequestTime, SigningKey};

/// The size of a generated key, in bits.
const BITS: usize = 2048;

/// The change that forges a webhook; a value of `--tamper`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tamper {
    /// The signature is for another target
    Target,
    /// The body has one member or one byte more than the signed one
    Body,
    /// The time in the Credential is not the signed one
    Time,
    /// The Nonce is not the signed one
    Nonce,
    /// The Credential has a foreign AppID; the signature does not cover it, so the handler must compare it with its own
    AppId,
    /// Another key made the signature
    Key,
}

/// As the end of "your endpoint accepted a forged webhook".
impl fmt::Display for Tamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "the signature is for another target",
            Self::Body => "the body was changed after it was signed",
            Self::Time => "the time was changed after it was signed",
            Self::Nonce => "the nonce was changed after it was signed",
            Self::AppId => "the AppID is foreign",
            Self::Key => "another key signed it",
        })
    }
}

impl Sender {
    /// A webhook with one fault.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(crate) fn forged(&self, action: &str, body: &Bytes, tamper: Tamper) -> Result<Webhook, MakeError> {
        let mut webhook = match tamper {
            Tamper::Target => self.signed_by(&self.key, "/another/target", action, body)?,
            Tamper::Key => self.signed_by(&SigningKey::generate(&mut OsRng, BITS)?.0, &self.to.target, action, body)?,
            _ => self.signed(action, body)?,
        };
        let headers = &mut webhook.headers;
        let credential = headers.get("credential").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut parts: Vec<String> = credential.split('/').map(str::to_owned).collect();
        match tamper {
            Tamper::Target | Tamper::Key => {}
            Tamper::Body => {
                webhook.body = changed(body);
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(webhook.body.len()));
            }
            Tamper::Nonce => {
                headers.insert("nonce", HeaderValue::try_from(Nonce::generate(&mut OsRng).as_str())?);
            }
            Tamper::Time => {
                let time = parts[1].parse().map_or(0, RequestTime::unix_seconds);
                parts[1] = RequestTime::from_unix_seconds(time + 1).to_string();
            }
            Tamper::AppId => {
                let last = parts[0].pop().unwrap_or('0');
                parts[0].push(if last == '0' { '1' } else { '0' });
            }
        }
        headers.insert("credential", HeaderValue::try_from(parts.join("/"))?);
        Ok(webhook)
    }
}

/// Another body with the same JSON content, so that a handler without verification accepts it.
fn changed(body: &[u8]) -> Bytes {
    match body.strip_prefix(b"{") {
        Some(rest) if rest.trim_ascii_start() != b"}" => [b"{\"tampered\":true,", rest].concat().into(),
        _ => [body, b" "].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_body_is_another_one_and_still_json() {
        for body in ["{}", "{ }", "{\"a\":1}", "[1]", "", "text"] {
            let changed = changed(body.as_bytes());
            assert_ne!(changed, body.as_bytes());
            let is_json = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).is_ok();
            assert_eq!(is_json(&changed), is_json(body.as_bytes()), "{body}");
        }
    }
}
