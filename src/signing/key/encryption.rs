//! Private keys under a passphrase: PKCS#8 with PBES2 (RFC 8018 §6.2).
//!
//! The file itself states how much time and memory its decryption takes. A hostile or mistaken file could stop the sidecar for hours, or
//! exceed its memory limit. A file that costs more than the limits below is rejected before the work begins.

use rsa::pkcs8::{
    EncryptedPrivateKeyInfo, Error, PrivateKeyInfo,
    pkcs5::{
        self, EncryptionScheme,
        pbes2::{EncryptionScheme as Cipher, Kdf, ScryptParams},
    },
};

use super::{KeyError, SigningKey};

/// RFC 8018 §4.2 recommends this many iterations of PBKDF2 for especially critical keys. They take seconds.
const MOST_ITERATIONS: u32 = 10_000_000;
/// The memory of scrypt, which is 128·N·r bytes (RFC 7914 §5). The default of openssl is 16 MiB.
const MOST_MEMORY: u64 = 64 * 1024 * 1024;
/// How often scrypt does its work, one after the other.
const MOST_PARALLEL: u16 = 16;

impl SigningKey {
    pub(super) fn decrypt(der: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        let encrypted = EncryptedPrivateKeyInfo::try_from(der).map_err(|_| KeyError::Encryption)?;
        check(&encrypted.encryption_algorithm)?;
        let plain = encrypted.decrypt(passphrase).map_err(|error| match error {
            // A supported decryption fails only by its padding, which the crate reports in several ways.
            Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed | pkcs5::Error::EncryptFailed) => {
                KeyError::Passphrase
            }
            _ => KeyError::Encryption,
        })?;
        // A wrong passphrase whose padding is right by chance.
        PrivateKeyInfo::try_from(plain.as_bytes()).map_err(|_| KeyError::Passphrase)?;
        Self::from_der(plain.as_bytes())
    }
}

/// Rejects a scheme that is not accepted, and one that costs too much.
fn check(scheme: &EncryptionScheme<'_>) -> Result<(), KeyError> {
    let EncryptionScheme::Pbes2(scheme) = scheme else { return Err(KeyError::Encryption) };
    if !matches!(scheme.encryption, Cipher::Aes128Cbc { .. } | Cipher::Aes256Cbc { .. }) {
        return Err(KeyError::Encryption);
    }
    let is_cheap = match &scheme.kdf {
        Kdf::Pbkdf2(pbkdf2) => (1..=MOST_ITERATIONS).contains(&pbkdf2.iteration_count),
        Kdf::Scrypt(scrypt) => is_cheap(scrypt),
        _ => return Err(KeyError::Encryption),
    };
    if is_cheap { Ok(()) } else { Err(KeyError::Costly) }
}

fn is_cheap(scrypt: &ScryptParams<'_>) -> bool {
    let (cost, block) = (scrypt.cost_parameter, u64::from(scrypt.block_size));
    let memory = cost.checked_mul(128).and_then(|memory| memory.checked_mul(block));
    cost > 1
        && memory.is_some_and(|memory| (1..=MOST_MEMORY).contains(&memory))
        && (1..=MOST_PARALLEL).contains(&scrypt.parallelization)
}
