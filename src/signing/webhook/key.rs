//! The webhook public key. An AppID has two key pairs: one for requests, whose private half the merchant holds, and one for webhooks,
//! whose private half Wonder holds. Confusing them is the commonest mistake, so it has an error of its own.

use crate::signing::{
    KeyError, VerifyingKey,
    key::{MAX_BITS, MIN_BITS},
};

/// Reads a webhook public key: PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`, its line ends real or written `\n`), DER, or base64 or hex of
/// either. `request_keys` are the public halves of the merchant's own request keys, none of which can be a webhook key.
///
/// # Errors
/// [`WebhookKeyError`], which names what was found and where to find the right key.
pub fn public_key<'a>(
    bytes: &[u8],
    request_keys: impl IntoIterator<Item = &'a VerifyingKey>,
) -> Result<VerifyingKey, WebhookKeyError> {
    let key = VerifyingKey::read(bytes).map_err(|error| match error {
        KeyError::PrivateKey => WebhookKeyError::Private,
        other => WebhookKeyError::Unreadable(other),
    })?;
    check(&key, request_keys)?;
    Ok(key)
}

/// Rejects a webhook key that is one of `request_keys`.
///
/// # Errors
/// [`WebhookKeyError::RequestKey`].
pub fn check<'a>(
    key: &VerifyingKey,
    request_keys: impl IntoIterator<Item = &'a VerifyingKey>,
) -> Result<(), WebhookKeyError> {
    if request_keys.into_iter().any(|request_key| request_key == key) {
        return Err(WebhookKeyError::RequestKey { fingerprint: key.fingerprint().to_owned() });
    }
    Ok(())
}

/// Why a text is no webhook public key. No part of the text is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookKeyError {
    /// A private key.
    #[error(
        "is a private key, which cannot verify webhooks; the webhook key is the one that Wonder's portal shows as \"Webhook \
         Public Key\" when the AppID is created"
    )]
    Private,
    /// The public half of the merchant's own key.
    #[error(
        "is the public half of your own request key (fingerprint {fingerprint}), with which Wonder does not sign webhooks; the webhook key is the one \
         that Wonder's portal shows as \"Webhook Public Key\" when the AppID is created"
    )]
    RequestKey {
        /// The key's own error.
        fingerprint: String,
    },
    /// Not an RSA public key.
    #[error("{}", unreadable(.0))]
    Unreadable(KeyError),
}

/// The merchant cannot make or convert Wonder's key, so a remedy for keys of its own would mislead.
fn unreadable(error: &KeyError) -> String {
    let what = match error {
        KeyError::Empty => "is empty",
        KeyError::NoPem => "holds no key in PEM, DER, or base64 or hex of either",
        KeyError::NotRsa | KeyError::PssOnly => "is no RSA key for PKCS#1 v1.5, which Wonder's webhook keys are",
        KeyError::Size(bits) => {
            return format!("has a modulus of {bits} bits, {MIN_BITS} to {MAX_BITS} are accepted; {REMEDY}");
        }
        KeyError::OtherBlock(label) => {
            return format!("holds a PEM block \"{label}\", which is no public key; {REMEDY}");
        }
        KeyError::UnknownBlock => "holds a PEM block that is no public key",
        other => return other.to_string(),
    };
    format!("{what}; {REMEDY}")
}

const REMEDY: &str =
    "copy the whole key that Wonder's portal shows as \"Webhook Public Key\" when the AppID is created";
