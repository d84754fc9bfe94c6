//! RSA keys: reading, making, signing, verifying. No other module names a crate for asymmetric cryptography.
//! `forms` reads keys; `error` has the reasons why a text is no usable key.
//!
//! `rsa` reads, checks and makes keys, and recovers signed digests for the diagnosis. aws-lc-rs signs and verifies, because its
//! private-key operation is constant-time, that of `rsa` leaks timing (RUSTSEC-2023-0071), and both directions are several times faster.

mod encryption;
mod error;
mod forms;

use std::{fmt, ops::Deref};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents},
};
use rsa::{
    BigUint, Pss, RsaPrivateKey, RsaPublicKey,
    pkcs1::EncodeRsaPrivateKey as _,
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding, PrivateKeyInfo, SecretDocument, pkcs5::pbes2},
    rand_core::CryptoRngCore,
    traits::PublicKeyParts as _,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use self::error::ENCRYPTED_LABEL;
pub use self::error::KeyError;
use super::SignError;

/// The smallest modulus accepted.
pub const MIN_BITS: usize = 2048;
/// The largest modulus accepted.
pub const MAX_BITS: usize = 4096;

/// Rounds of PBKDF2 with HMAC-SHA-256, from OWASP's "Password Storage Cheat Sheet": a quarter of a second.
const ITERATIONS: u32 = 600_000;

/// A private key, ready to sign.
pub struct SigningKey {
    pair: aws_lc_rs::rsa::KeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// Makes a new key of `bits` bits (2048 to 4096), with its PEM text. This takes up to seconds.
    ///
    /// # Errors
    /// [`KeyError::Size`] for any other size.
    pub fn generate(random: &mut impl CryptoRngCore, bits: usize) -> Result<(Self, Zeroizing<String>), KeyError> {
        check_bits(bits)?;
        let key = RsaPrivateKey::new(random, bits).map_err(|_| KeyError::Damaged)?;
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Damaged)?;
        Ok((Self::from_rsa(&key)?, pem))
    }

    /// The same with an encrypted PEM text: PBES2 with PBKDF2 (HMAC with SHA-256) and AES-256-CBC, which openssl reads. Not scrypt, because
    /// it needs more memory than a sidecar has.
    ///
    /// # Errors
    /// [`KeyError::Size`] for any other size.
    pub fn generate_encrypted(
        random: &mut impl CryptoRngCore,
        bits: usize,
        passphrase: &[u8],
    ) -> Result<(Self, Zeroizing<String>), KeyError> {
        let (key, pem) = Self::generate(random, bits)?;
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        random.fill_bytes(&mut salt);
        random.fill_bytes(&mut iv);
        let scheme = pbes2::Parameters::pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, &iv);
        let (_, plain) = SecretDocument::from_pem(&pem).map_err(|_| KeyError::Damaged)?;
        let plain = PrivateKeyInfo::try_from(plain.as_bytes()).map_err(|_| KeyError::Damaged)?;
        let scheme = scheme.map_err(|_| KeyError::Damaged)?;
        let encrypted = plain.encrypt_with_params(scheme, passphrase).map_err(|_| KeyError::Damaged)?;
        let pem = encrypted.to_pem(ENCRYPTED_LABEL, LineEnding::LF).map_err(|_| KeyError::Damaged)?;
        Ok((key, pem))
    }

    fn from_rsa(key: &RsaPrivateKey) -> Result<Self, KeyError> {
        check_bits(key.n().bits())?;
        key.validate().map_err(|_| KeyError::Inconsistent)?;
        let der = key.to_pkcs1_der().map_err(|_| KeyError::Inconsistent)?;
        let pair = aws_lc_rs::rsa::KeyPair::from_der(der.as_bytes()).map_err(|_| KeyError::Inconsistent)?;
        Ok(Self { pair, public: VerifyingKey::from_rsa(key.to_public_key())? })
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs `message` with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 8017 §8.2). The signature is as long as the modulus.
    pub(super) fn sign(&self, message: &[u8]) -> Result<RawSignature, SignError> {
        let mut signature = RawSignature { bytes: [0; MAX_BITS / 8], length: self.pair.public_modulus_len() };
        let place = signature.bytes.get_mut(..signature.length).ok_or(SignError)?;
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, place).map_err(|_| SignError)?;
        Ok(signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

/// The bytes of a signature, as long as the modulus, on the stack.
pub struct RawSignature {
    bytes: [u8; MAX_BITS / 8],
    length: usize,
}

impl Deref for RawSignature {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Hidden, because a signature with its nonce is a secret until it has been used.
impl fmt::Debug for RawSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawSignature(..)")
    }
}

/// A public key.
#[derive(Clone)]
pub struct VerifyingKey {
    key: RsaPublicKey,
    verifier: ParsedPublicKey,
    bits: usize,
    fingerprint: String,
}

impl VerifyingKey {
    fn from_rsa(key: RsaPublicKey) -> Result<Self, KeyError> {
        let bits = key.n().bits();
        check_bits(bits)?;
        let der = key.to_public_key_der().map_err(|_| KeyError::Damaged)?;
        let digest = Sha256::digest(der.as_bytes());
        let fingerprint = format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
        let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
        let verifier = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
        Ok(Self { verifier: verifier.map_err(|_| KeyError::Inconsistent)?, key, bits, fingerprint })
    }

    /// The SPKI PEM text, which Wonder's portal accepts.
    ///
    /// # Errors
    /// Never for a key that was read successfully.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.key.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Damaged)
    }

    /// Size of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The first 8 hex digits of SHA-256 over the SPKI DER: enough to distinguish keys, and no secret.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether `signature` is an RSASSA-PKCS1-v1_5 SHA-256 signature over `message` by the private half of this key.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify_sig(message, signature).is_ok()
    }

    /// Recovers the signed digest with the public-key operation and removes the padding (RFC 8017 §5.2.2 and §9.2). It is for the diagnosis
    /// of a signature that does not verify, and decides nothing; [`verify`](Self::verify) does.
    pub(super) fn recover(&self, signature: &[u8]) -> Recovered {
        let key = &self.key;
        if signature.len() != key.size() {
            return Recovered::OtherLength;
        }
        let encoded = BigUint::from_bytes_be(signature).modpow(key.e(), key.n()).to_bytes_be();
        // The number has lost its leading zero byte; the rest is 01 FF … FF 00 DigestInfo.
        let Some(padded) = encoded.strip_prefix(&[1]).filter(|rest| rest.len() == key.size() - 2) else {
            return Recovered::Nothing;
        };
        let filling = padded.iter().take_while(|byte| **byte == 0xff).count();
        match padded.get(filling..) {
            Some([0, content @ ..]) if filling >= 8 => match content.strip_prefix(&SHA256_DIGEST_INFO) {
                Some(digest) => digest.try_into().map_or(Recovered::OtherHash, Recovered::Digest),
                None if content.starts_with(&[0x30]) => Recovered::OtherHash,
                None => Recovered::Bare,
            },
            _ => Recovered::Nothing,
        }
    }

    /// Whether `signature` is an RSASSA-PSS SHA-256 signature over `message`, with a salt of one of the usual lengths.
    pub(super) fn is_pss(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = &self.key;
        let digest = Sha256::digest(message);
        let longest = key.size() - digest.len() - 2;
        [digest.len(), longest, 0]
            .into_iter()
            .any(|salt| key.verify(Pss::new_with_salt::<Sha256>(salt), &digest, signature).is_ok())
    }
}

/// Compares modulus and exponent, in any form of the key.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for VerifyingKey {}

/// The content of a signature, recovered with the public key.
pub(super) enum Recovered {
    /// Not recovered, because its length is not that of the modulus.
    OtherLength,
    /// No PKCS#1 v1.5 padding: another key made it, or another padding.
    Nothing,
    /// A SHA-256 digest, as expected.
    Digest([u8; 32]),
    /// A digest of another hash function.
    OtherHash,
    /// Bytes without a digest.
    Bare,
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RSA {} bits, fingerprint {}", self.bits, self.fingerprint)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

/// DER of `DigestInfo` for SHA-256 up to the digest (RFC 8017 §9.2 note 1).
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

fn check_bits(bits: usize) -> Result<(), KeyError> {
    if (MIN_BITS..=MAX_BITS).contains(&bits) { Ok(()) } else { Err(KeyError::Size(bits)) }
}

#[cfg(test)]
mod tests;
