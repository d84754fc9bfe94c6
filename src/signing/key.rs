//! RSA keys: read, checked, used. The only file that names a crate for asymmetric cryptography.
//!
//! `rsa` reads, checks and makes keys, and undoes signatures for the diagnosis. aws-lc-rs signs and verifies: its private-key
//! operation is constant-time, where that of `rsa` is open to timing (RUSTSEC-2023-0071), and both directions are several times faster.

use std::{borrow::Cow, fmt, ops::Deref};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents},
};
use rsa::{
    BigUint, Pss, RsaPrivateKey, RsaPublicKey,
    pkcs1::{self, DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, EncodeRsaPrivateKey as _, UintRef},
    pkcs8::{
        EncodePrivateKey as _, EncodePublicKey as _, LineEnding, ObjectIdentifier, PrivateKeyInfo,
        spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef},
    },
    rand_core::CryptoRngCore,
    traits::PublicKeyParts as _,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    SignError, form,
    pem::{self, Block, Format, Found},
};

/// The smallest modulus accepted.
pub const MIN_BITS: usize = 2048;
/// The largest modulus accepted.
pub const MAX_BITS: usize = 4096;

/// How often a public key may be encoded: PEM in base64 in hex is more than anybody does.
const MOST_LAYERS: usize = 4;

/// A private key, ready to sign.
pub struct SigningKey {
    pair: aws_lc_rs::rsa::KeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// Reads a private key from PEM text: PKCS#8 or PKCS#1, in any of the shapes that `pem` reads.
    ///
    /// # Errors
    /// A [`KeyError`] that says what was found instead of an RSA private key of 2048 to 4096 bits.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let blocks = pem::find(pem, &PRIVATE_LABELS).map_err(KeyError::instead_of_private)?;
        only(&blocks, |block| Self::from_der(&block.der), |key| &key.public)
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        // The label is at times that of the other form. The content says by itself which one it is.
        match PrivateKeyInfo::try_from(der) {
            Ok(outer) => {
                check_algorithm(&outer.algorithm)?;
                Self::from_pkcs1_der(outer.private_key)
            }
            Err(_) => Self::from_pkcs1_der(der),
        }
    }

    fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = rsa::pkcs1::RsaPrivateKey::try_from(der).map_err(|_| KeyError::Damaged)?;
        check_bits(bits(&key.modulus))?;
        Self::from_rsa(&RsaPrivateKey::from_pkcs1_der(der).map_err(|_| KeyError::Inconsistent)?)
    }

    /// Makes a new key of `bits` bits (2048 to 4096), a matter of up to seconds.
    ///
    /// # Errors
    /// [`KeyError::Size`] for any other size.
    pub fn generate(random: &mut impl CryptoRngCore, bits: usize) -> Result<(Self, Zeroizing<String>), KeyError> {
        check_bits(bits)?;
        let key = RsaPrivateKey::new(random, bits).map_err(|_| KeyError::Damaged)?;
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Damaged)?;
        Ok((Self::from_rsa(&key)?, pem))
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

    /// Signs `message` with RSASSA-PKCS1-v1_5 and SHA-256 (RFC 8017 §8.2); as many bytes as the modulus has.
    pub(super) fn sign(&self, message: &[u8]) -> Result<impl Deref<Target = [u8]> + use<>, SignError> {
        let mut signature = Signature { bytes: [0; MAX_BITS / 8], length: self.pair.public_modulus_len() };
        let place = signature.bytes.get_mut(..signature.length).ok_or(SignError)?;
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, place).map_err(|_| SignError)?;
        Ok(signature)
    }
}

/// A signature of any of the sizes, on the stack.
struct Signature {
    bytes: [u8; MAX_BITS / 8],
    length: usize,
}

impl Deref for Signature {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
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
    /// Reads a public key from PEM text: SPKI (`BEGIN PUBLIC KEY`) or PKCS#1 (`BEGIN RSA PUBLIC KEY`).
    ///
    /// # Errors
    /// A [`KeyError`] that says what was found instead of an RSA public key of 2048 to 4096 bits.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let blocks = pem::find(pem, &PUBLIC_LABELS).map_err(KeyError::instead_of_public)?;
        only(&blocks, |block| Self::from_der(&block.der), |key| key)
    }

    /// Reads a public key in any form that Wonder's portal and other programs give it: PEM, DER, and base64 or hex of either.
    ///
    /// # Errors
    /// A [`KeyError`] that says what was found instead of an RSA public key of 2048 to 4096 bits.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut bytes = Cow::Borrowed(bytes);
        for _ in 0..MOST_LAYERS {
            match Self::from_pem(&bytes) {
                // A line end after the last byte is the file's, unless the key ends with that byte.
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

    /// The SPKI PEM text, as Wonder's portal takes it.
    ///
    /// # Errors
    /// None that a key which was read can meet.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.key.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Damaged)
    }

    /// Size of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The first 8 hex digits of SHA-256 over the SPKI DER: enough to tell keys apart, of no use to anyone else.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether `signature` is a RSASSA-PKCS1-v1_5 SHA-256 signature over `message` by this key's other half.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verifier.verify_sig(message, signature).is_ok()
    }

    /// What `signature` was made over, for the diagnosis of one that does not verify: the public-key operation undone,
    /// the padding taken off (RFC 8017 §5.2.2 and §9.2). It decides nothing; [`verify`](Self::verify) does.
    pub(super) fn recover(&self, signature: &[u8]) -> Recovered {
        let key = &self.key;
        if signature.len() != key.size() {
            return Recovered::OtherLength;
        }
        let encoded = BigUint::from_bytes_be(signature).modpow(key.e(), key.n()).to_bytes_be();
        // The leading zero byte is gone with the number's own form, the rest is 01 FF … FF 00 DigestInfo.
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

    /// Whether `signature` is a RSASSA-PSS SHA-256 signature over `message`, with a salt of one of the usual lengths.
    pub(super) fn is_pss(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = &self.key;
        let digest = Sha256::digest(message);
        let longest = key.size() - digest.len() - 2;
        [digest.len(), longest, 0]
            .into_iter()
            .any(|salt| key.verify(Pss::new_with_salt::<Sha256>(salt), &digest, signature).is_ok())
    }
}

/// The same modulus and exponent, in whatever form they were read.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for VerifyingKey {}

/// What a signature holds when the public key undoes it.
pub(super) enum Recovered {
    /// Nothing was tried: it is not as long as the modulus.
    OtherLength,
    /// No PKCS#1 v1.5 padding: another key made it, or another padding.
    Nothing,
    /// A SHA-256 digest, as it should.
    Digest([u8; 32]),
    /// A digest of another hash function.
    OtherHash,
    /// Bytes that are no digest.
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

/// Why a text is not a usable key, and what to do about it. No part of the text is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a byte, or white space alone.
    #[error("is empty")]
    Empty,
    /// No `-----BEGIN` line.
    #[error("holds no PEM block (no \"-----BEGIN\" line)")]
    NoPem,
    /// A `BEGIN` line without its `END` line.
    #[error("is cut short: the PEM block has no \"-----END\" line")]
    Cut,
    /// The block is not base64, or not the structure that its label names.
    #[error(
        "is damaged: the PEM block cannot be decoded; copy the original file as a whole, because an editor may add invisible characters"
    )]
    Damaged,
    /// Modulus, exponents and primes do not belong together.
    #[error("is damaged: the parts of the RSA key do not belong together")]
    Inconsistent,
    /// A public key in place of a private one.
    #[error("is a public key, a private key is needed")]
    PublicKey,
    /// A private key in place of a public one.
    #[error("is a private key, a public key is needed")]
    PrivateKey,
    /// A private key under a passphrase.
    #[error("is encrypted with a passphrase; decrypt it first (openssl pkey -in key.pem -out plain.pem)")]
    Encrypted,
    /// A key of another algorithm, such as EC.
    #[error("is a key of another algorithm, an RSA key is needed (wonder-signer keygen --out keys makes one)")]
    NotRsa,
    /// An RSA key that its own label restricts to another padding (RFC 4055 §1.2).
    #[error(
        "is an RSA key for PSS signatures alone, one for PKCS#1 v1.5 is needed (wonder-signer keygen --out keys makes one)"
    )]
    PssOnly,
    /// Several keys, and nothing says which one is meant.
    #[error("holds more than one key; leave only the one that is meant in the file")]
    Several,
    /// A key in a form that is neither PEM nor DER.
    #[error("{}", of_format(*.0))]
    Format(Format),
    /// A PEM block that is no key of a known form: certificate, OpenSSH key, parameters. Its label, one of a fixed list.
    #[error("holds a PEM block \"{0}\", which is not a key in PKCS#8 or PKCS#1 form")]
    OtherBlock(&'static str),
    /// A PEM block with a label that is not named, because it may be a part of a damaged key.
    #[error("holds a PEM block of a kind that is no key in PKCS#8 or PKCS#1 form")]
    UnknownBlock,
    /// A `BEGIN` line with too few dashes, other dashes, or in lower case.
    #[error("has a damaged BEGIN line; it begins and ends with five hyphens, as in \"-----BEGIN PRIVATE KEY-----\"")]
    Boundary,
    /// `END` under another label than `BEGIN`.
    #[error("is damaged: its BEGIN and END lines name different things")]
    Ends,
    /// The lines of base64 without those around them.
    #[error(
        "holds base64 without the lines around it; put \"-----BEGIN PRIVATE KEY-----\" (or PUBLIC) before and the END line after it"
    )]
    Bare,
    /// A file that was encoded once more, as in the `data` of a Kubernetes Secret.
    #[error(
        "is a key file in base64 or hex; decode it first (base64 -d, or xxd -r -p), twice where it was encoded twice"
    )]
    Encoded,
    /// Bytes in place of text.
    #[error(
        "is binary (DER), PEM text is needed (openssl pkey -inform DER -in key.der -out key.pem; add -pubin for a public key)"
    )]
    Der,
    /// Modulus too small or too large.
    #[error(
        "has a modulus of {0} bits, {MIN_BITS} to {MAX_BITS} are accepted; make a new key pair (wonder-signer keygen --out keys) \
         and a new AppID for it in Wonder's portal"
    )]
    Size(usize),
}

impl KeyError {
    fn instead_of_private(found: Found) -> Self {
        match found {
            Found::Label(label) if PUBLIC_LABELS.contains(&label) => Self::PublicKey,
            other => Self::instead_of_key(other),
        }
    }

    fn instead_of_public(found: Found) -> Self {
        match found {
            Found::Label(label) if PRIVATE_LABELS.contains(&label) => Self::PrivateKey,
            // Not `Encrypted`: to decrypt it would be no remedy.
            Found::Label(ENCRYPTED_LABEL) => Self::PrivateKey,
            other => Self::instead_of_key(other),
        }
    }

    fn instead_of_key(found: Found) -> Self {
        match found {
            Found::Nothing => Self::Empty,
            Found::NoBlock => Self::NoPem,
            Found::Boundary => Self::Boundary,
            Found::Cut => Self::Cut,
            Found::Ends => Self::Ends,
            Found::Damaged => Self::Damaged,
            Found::Encrypted | Found::Label(ENCRYPTED_LABEL) => Self::Encrypted,
            Found::Bare => Self::Bare,
            Found::Encoded => Self::Encoded,
            Found::Several => Self::Several,
            Found::Other(format) => Self::Format(format),
            Found::Der => Self::Der,
            Found::Label(label) if label.starts_with("EC ") || label.starts_with("DSA ") => Self::NotRsa,
            Found::Label("OPENSSH PRIVATE KEY") => Self::Format(Format::OpenSsh),
            Found::Label(label) => Self::OtherBlock(label),
            Found::OtherLabel => Self::UnknownBlock,
        }
    }
}

const PRIVATE_LABELS: [&str; 2] = ["PRIVATE KEY", "RSA PRIVATE KEY"];
/// DER of `DigestInfo` for SHA-256 up to the digest (RFC 8017 §9.2 note 1).
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
/// id-RSASSA-PSS (RFC 4055 §3.1).
const PSS_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
const PUBLIC_LABELS: [&str; 2] = ["PUBLIC KEY", "RSA PUBLIC KEY"];

fn of_format(format: Format) -> &'static str {
    match format {
        Format::Pkcs12 => {
            "is a PKCS#12 file; take the key out of it (openssl pkcs12 -in key.p12 -nocerts -nodes -out key.pem)"
        }
        Format::Jwk => "is a JSON Web Key; PEM text is needed, which the program that made the key can export",
        Format::OpenSsh => "is a key in OpenSSH's own form; convert a copy of it (ssh-keygen -p -m PEM -f copy)",
        Format::OpenSshPublic => {
            "is a public key in OpenSSH's own form; a public key in PEM is made of it with ssh-keygen -e -m PKCS8 -f key.pub"
        }
        Format::Putty => "is a PuTTY key; convert it (puttygen key.ppk -O private-openssh -o key.pem)",
    }
}

/// The key that all of `blocks` hold, at times in both forms. Of two different keys the wrong one might be taken.
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

fn check_bits(bits: usize) -> Result<(), KeyError> {
    if (MIN_BITS..=MAX_BITS).contains(&bits) { Ok(()) } else { Err(KeyError::Size(bits)) }
}

/// Bits of a big-endian number without leading zero bytes.
fn bits(modulus: &UintRef<'_>) -> usize {
    let bytes = modulus.as_bytes();
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests;
