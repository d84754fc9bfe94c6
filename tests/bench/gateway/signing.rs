//! [`wonder_signer::signing`], but for the one function that signs: see `unsigned`.

pub use wonder_signer::signing::*;

/// Puts on what looks like a signature from afar: its length is right.
#[allow(clippy::unnecessary_wraps, reason = "the shape of the one that signs")]
pub fn sign<B: AsRef<[u8]>>(
    key: &SigningKey,
    app_id: &AppId,
    stamp: &Stamp,
    _method: &str,
    _target: &str,
    _body: &[B],
) -> Result<Signed, SignError> {
    Ok(Signed {
        credential: Credential { app_id: app_id.clone(), request_time: stamp.request_time }.to_string(),
        nonce: stamp.nonce.to_string(),
        signature: "A".repeat(key.verifying_key().bits().div_ceil(24) * 4),
    })
}
