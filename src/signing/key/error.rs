//! The reasons why a text is no usable key, each with a remedy.

use super::{
    super::pem::{Format, Found},
    MAX_BITS, MIN_BITS,
};

pub(super) const PRIVATE_LABELS: [&str; 2] = ["PRIVATE KEY", "RSA PRIVATE KEY"];
pub(super) const PUBLIC_LABELS: [&str; 2] = ["PUBLIC KEY", "RSA PUBLIC KEY"];
pub(super) const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// Why a text is not a usable key, and what to do about it. No part of the text is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, or white space only.
    #[error("is empty; copy the key into it")]
    Empty,
    /// No `-----BEGIN` line.
    #[error("holds no PEM block (no \"-----BEGIN\" line); copy the whole PEM file of the key")]
    NoPem,
    /// A `BEGIN` line without its `END` line.
    #[error("is cut short: the PEM block has no \"-----END\" line; copy the whole file")]
    Cut,
    /// The block is not base64, or not the structure that its label names.
    #[error(
        "is damaged: the PEM block cannot be decoded; copy the original file as a whole, because an editor may add invisible characters"
    )]
    Damaged,
    /// Modulus, exponents and primes do not belong together.
    #[error("is damaged: the parts of the RSA key do not belong together; copy the original file again")]
    Inconsistent,
    /// A public key in place of a private one.
    #[error("is a public key, a private key is needed; name the file of the private key")]
    PublicKey,
    /// A private key in place of a public one.
    #[error("is a private key, a public key is needed; name the file of the public key")]
    PrivateKey,
    /// A private key under a passphrase that was not given.
    #[error(
        "is encrypted with a passphrase; give that in a file (private_key_passphrase_file, --passphrase-file), or decrypt the key \
         (openssl pkey -in key.pem -out plain.pem)"
    )]
    Encrypted,
    /// A private key under a passphrase in the form from before PKCS#8 (RFC 1421 `Proc-Type` header).
    #[error(
        "is encrypted in the old form (Proc-Type: 4,ENCRYPTED); convert it (openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem)"
    )]
    OldEncryption,
    /// PKCS#8 under a scheme that is not decrypted.
    #[error(
        "is encrypted with a scheme that is not accepted; accepted is PBES2 with PBKDF2 or scrypt and AES-128 or AES-256 in CBC mode; \
         convert it (openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem)"
    )]
    Encryption,
    /// PKCS#8 whose decryption takes more time or memory than it may.
    #[error(
        "is encrypted with a key derivation that takes too much time or memory; the limits are 10000000 iterations of PBKDF2, and 64 MiB \
         (128 N r) and p = 16 of scrypt; encrypt it again (openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem)"
    )]
    Costly,
    /// The decryption failed.
    #[error(
        "is not encrypted with the passphrase that is given; the first line of its file, without the line end, is the passphrase"
    )]
    Passphrase,
    /// A key for another algorithm, such as EC.
    #[error("is a key of another algorithm, an RSA key is needed (wonder-signer keygen --out keys makes one)")]
    NotRsa,
    /// An RSA key that its own label restricts to another padding (RFC 4055 §1.2).
    #[error(
        "is an RSA key for PSS signatures alone, one for PKCS#1 v1.5 is needed (wonder-signer keygen --out keys makes one)"
    )]
    PssOnly,
    /// Several different keys, so the intended one is unknown.
    #[error("contains more than one key; keep only the intended one in the file")]
    Several,
    /// A key in a form that is neither PEM nor DER.
    #[error("{}", of_format(*.0))]
    Format(Format),
    /// A PEM block that is no key of a known form: certificate, OpenSSH key, parameters. Its label, one of a fixed list.
    #[error("holds a PEM block \"{0}\", which is not a key in PKCS#8 or PKCS#1 form; name the file of the key")]
    OtherBlock(&'static str),
    /// A PEM block with an unknown label, which is not repeated because it may be a part of a damaged key.
    #[error("holds a PEM block of a kind that is no key in PKCS#8 or PKCS#1 form; name the file of the key")]
    UnknownBlock,
    /// A `BEGIN` line with too few dashes, other dashes, or in lower case.
    #[error("has a damaged BEGIN line; it begins and ends with five hyphens, as in \"-----BEGIN PRIVATE KEY-----\"")]
    Boundary,
    /// `BEGIN` and `END` lines with different labels.
    #[error("is damaged: its BEGIN and END lines name different things; copy the original file again")]
    Ends,
    /// The lines of base64 without those around them.
    #[error(
        "holds base64 without the lines around it; put \"-----BEGIN PRIVATE KEY-----\" (or PUBLIC) before and the END line after it"
    )]
    Bare,
    /// A file that was encoded again, as in the `data` of a Kubernetes Secret.
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
    pub(super) fn instead_of_private(found: Found) -> Self {
        match found {
            Found::Label(label) if PUBLIC_LABELS.contains(&label) => Self::PublicKey,
            other => Self::instead_of_key(other),
        }
    }

    pub(super) fn instead_of_public(found: Found) -> Self {
        match found {
            Found::Label(label) if PRIVATE_LABELS.contains(&label) => Self::PrivateKey,
            // Not `Encrypted`, because decrypting it does not help.
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
            Found::Encrypted => Self::OldEncryption,
            Found::Label(ENCRYPTED_LABEL) => Self::Encrypted,
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

fn of_format(format: Format) -> &'static str {
    match format {
        Format::Pkcs12 => {
            "is a PKCS#12 file; take the key out of it (openssl pkcs12 -in key.p12 -nocerts -nodes -out key.pem; add -legacy for a file of an \
             old program)"
        }
        Format::Jwk => "is a JSON Web Key; PEM text is needed, which the program that made the key can export",
        Format::OpenSsh => "is a key in OpenSSH's own form; convert a copy of it (ssh-keygen -p -m PEM -f copy)",
        Format::OpenSshPublic => {
            "is a public key in OpenSSH's own form; a public key in PEM is made of it with ssh-keygen -e -m PKCS8 -f key.pub"
        }
        Format::Pvk => {
            "is a PVK file; convert it (openssl rsa -inform PVK -in key.pvk -out key.pem; add -provider legacy -provider default for one with \
             a passphrase)"
        }
        Format::MsBlob => {
            "is a key blob of Microsoft's CryptoAPI; convert it (openssl rsa -inform MSBLOB -in key.blob -out key.pem)"
        }
        Format::Putty => "is a PuTTY key; convert it (puttygen key.ppk -O private-openssh -o key.pem)",
    }
}
