//! The forms in which keys arrive: PEM, DER, PKCS#8, PKCS#1, SPKI, and base64 or hex of these.

use std::borrow::Cow;

use rsa::{
    RsaPrivateKey, RsaPublicKey,
    pkcs1::{self, DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, UintRef},
    pkcs8::{
        ObjectIdentifier, PrivateKeyInfo,
        spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef},
    },
};

use super::{
    super::{
        form,
        pem::{self, Block},
    },
    KeyError, SigningKey, VerifyingKey, check_bits,
    error::{ENCRYPTED_LABEL, PRIVATE_LABELS, PUBLIC_LABELS},
};

/// How many encodings of a public key are removed: PEM in base64 in hex is more than occurs in practice.
const MOST_LAYERS: usize = 4;

/// id-RSASSA-PSS (RFC 4055 §3.1).
const PSS_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

impl SigningKey {
    /// Reads a private key from PEM text: PKCS#8 or PKCS#1, in any form that `pem` reads.
    ///
    /// # Errors
    /// A [`KeyError`] that names what was found instead of an RSA private key of 2048 to 4096 bits.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let blocks = pem::find(pem, &PRIVATE_LABELS).map_err(KeyError::instead_of_private)?;
        only(&blocks, |block| Self::from_der(&block.der), |key| &key.public)
    }

    /// The same for a key that may be encrypted: PKCS#8 with PBES2 (RFC 8018 §6.2). A passphrase for an unencrypted key is ignored. The CR
    /// at the end of a passphrase may be a part of the line end or, as for openssl, of the passphrase: both are tried.
    ///
    /// # Errors
    /// [`KeyError::Passphrase`] for a wrong passphrase, [`KeyError::Encryption`] for a scheme that is not accepted, and those of
    /// [`from_pem`](Self::from_pem).
    pub fn from_encrypted_pem(pem: &[u8], passphrase: &[u8]) -> Result<Self, KeyError> {
        match Self::from_pem(pem) {
            Err(KeyError::Encrypted) => {}
            other => return other,
        }
        let blocks = pem::find(pem, &[ENCRYPTED_LABEL]).map_err(KeyError::instead_of_private)?;
        let read = |passphrase: &[u8]| only(&blocks, |block| Self::decrypt(&block.der, passphrase), |key| &key.public);
        match passphrase.strip_suffix(b"\r").map(read) {
            Some(Err(KeyError::Passphrase)) | None => read(passphrase),
            Some(other) => other,
        }
    }

    pub(super) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        // Some files have the label of the other form. The content itself shows its form.
        match PrivateKeyInfo::try_from(der) {
            Ok(outer) => {
                check_algorithm(&outer.algorithm)?;
                Self::from_pkcs1_der(outer.private_key)
            }
            Err(_) => Self::from_pkcs1_der(der),
        }
    }

    pub(super) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = rsa::pkcs1::RsaPrivateKey::try_from(der).map_err(|_| KeyError::Damaged)?;
        check_bits(bits(&key.modulus))?;
        Self::from_rsa(&RsaPrivateKey::from_pkcs1_der(der).map_err(|_| KeyError::Inconsistent)?)
    }
}

impl VerifyingKey {
    /// Reads a public key from PEM text: SPKI (`BEGIN PUBLIC KEY`) or PKCS#1 (`BEGIN RSA PUBLIC KEY`).
    ///
    /// # Errors
    /// A [`KeyError`] that says what was found instead of an RSA public key of 2048 to 4096 bits. A file with a private key is rejected
    /// even if it has a public one too, because a file of public keys is given to programs and people that must not have a private key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let blocks = pem::find(pem, &PUBLIC_LABELS).map_err(KeyError::instead_of_public)?;
        if pem::find(pem, &PRIVATE_LABELS).is_ok() || pem::find(pem, &[ENCRYPTED_LABEL]).is_ok() {
            return Err(KeyError::PrivateKey);
        }
        only(&blocks, |block| Self::from_der(&block.der), |key| key)
    }

    /// Reads a public key in any form of Wonder's portal and other programs: PEM, DER, and base64 or hex of either.
    ///
    /// # Errors
    /// A [`KeyError`] that says what was found instead of an RSA public key of 2048 to 4096 bits.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut bytes = Cow::Borrowed(bytes);
        for _ in 0..MOST_LAYERS {
            match Self::from_pem(&bytes) {
                // A final line end belongs to the file, unless the key ends with that byte.
                Err(KeyError::Der) => {
                    return Self::from_der(&bytes).or_else(|_| Self::from_der(bytes.trim_ascii_end()));
                }
                Err(reason @ (KeyError::NoPem | KeyError::Bare | KeyError::Encoded)) => match form::decoded(&bytes) {
                    Some(inner) => bytes = Cow::Owned(inner),
                    None => return Err(reason),
                },
                other => return other,
            }
        }
        Err(KeyError::NoPem)
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        if PrivateKeyInfo::try_from(der).is_ok() || pkcs1::RsaPrivateKey::try_from(der).is_ok() {
            return Err(KeyError::PrivateKey);
        }
        match SubjectPublicKeyInfoRef::try_from(der) {
            Ok(outer) => {
                check_algorithm(&outer.algorithm)?;
                Self::from_pkcs1_der(outer.subject_public_key.raw_bytes())
            }
            Err(_) => Self::from_pkcs1_der(der),
        }
    }

    fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = rsa::pkcs1::RsaPublicKey::try_from(der).map_err(|_| KeyError::Damaged)?;
        check_bits(bits(&key.modulus))?;
        Self::from_rsa(RsaPublicKey::from_pkcs1_der(der).map_err(|_| KeyError::Inconsistent)?)
    }
}

/// The one key in all of `blocks`, which may have it in both forms. Two different keys are an error, because the choice is unknown.
fn only<K>(
    blocks: &[Block],
    read: impl Fn(&Block) -> Result<K, KeyError>,
    public: fn(&K) -> &VerifyingKey,
) -> Result<K, KeyError> {
    let (first, others) = blocks.split_first().ok_or(KeyError::NoPem)?;
    let first = read(first)?;
    let is_first = |other: K| public(&first) == public(&other);
    if others.iter().all(|other| read(other).is_ok_and(is_first)) { Ok(first) } else { Err(KeyError::Several) }
}

fn check_algorithm(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(), KeyError> {
    match algorithm.oid {
        pkcs1::ALGORITHM_OID => Ok(()),
        PSS_OID => Err(KeyError::PssOnly),
        _ => Err(KeyError::NotRsa),
    }
}

/// Bits of a big-endian number without leading zero bytes.
fn bits(modulus: &UintRef<'_>) -> usize {
    let bytes = modulus.as_bytes();
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}
