//! [`wonder_signer::signing`] without the functions that hash and sign: see `unsigned`.

pub use wonder_signer::signing::*;

/// A message made without hashing.
pub struct SignatureMessage;

/// A placeholder with the length of a signature.
pub struct RawSignature(usize);

/// The values of the three headers.
pub struct Signed {
    pub credential: String,
    pub nonce: String,
    pub signature: String,
}

/// Hashes nothing.
pub fn signature_message<B: AsRef<[u8]>>(
    _stamp: &Stamp,
    _method: &str,
    _target: &str,
    _body: &[B],
) -> SignatureMessage {
    SignatureMessage
}

/// Signs nothing.
#[allow(clippy::unnecessary_wraps, reason = "the same type as the function that signs")]
pub fn sign_message(key: &SigningKey, _message: &SignatureMessage) -> Result<RawSignature, SignError> {
    Ok(RawSignature(key.verifying_key().bits() / 8))
}

impl Signed {
    /// Sets headers with a placeholder in place of a signature.
    pub fn new(app_id: &AppId, stamp: &Stamp, signature: &RawSignature) -> Self {
        Self {
            credential: Credential { app_id: app_id.clone(), request_time: stamp.request_time }.to_string(),
            nonce: stamp.nonce.to_string(),
            signature: "A".repeat(signature.0.div_ceil(3) * 4),
        }
    }
}
