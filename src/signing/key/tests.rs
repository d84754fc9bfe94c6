//! Keys in every form.

mod rejections;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rsa::{
    pkcs1::{UintRef, der::Encode as _},
    pkcs8::PrivateKeyInfo,
};

use super::{
    super::{
        pem::{self, Format},
        tests::KnownAnswers,
    },
    error::PRIVATE_LABELS,
    *,
};

fn private(text: &str) -> Result<SigningKey, KeyError> {
    SigningKey::from_pem(text.as_bytes())
}

fn public(text: &str) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::from_pem(text.as_bytes())
}

/// The text of a fixture under `tests/vectors/keys/`.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/keys/", $name))
    };
}
use fixture;

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn keys_of_every_size_and_form_are_read() {
    let vectors = KnownAnswers::load();
    for (name, bits) in
        [("rsa2048-pkcs8", 2048), ("rsa2048-pkcs1", 2048), ("rsa3072-pkcs8", 3072), ("rsa4096-pkcs8", 4096)]
    {
        let (private, public) = vectors.key(name);
        assert_eq!(private.verifying_key().bits(), bits, "{name}");
        assert_eq!(public.bits(), bits, "{name}");
        assert_eq!(private.verifying_key().to_pem().unwrap(), vectors.keys[name].public_key_pem, "{name}");
        assert_eq!(private.sign(b"message").unwrap().len(), bits / 8, "{name}");
    }
}

#[test]
fn pem_is_read_in_its_usual_variants() {
    let vectors = KnownAnswers::load();
    for (name, pems) in &vectors.keys {
        for (text, is_private) in [(&pems.private_key_pem, true), (&pems.public_key_pem, false)] {
            let indented = format!("    {}", text.replace('\n', "\n    "));
            let certificate = fixture!("certificate.pem");
            for (what, text) in [
                ("as it is", text.clone()),
                ("CRLF", text.replace('\n', "\r\n")),
                ("no last line end", text.trim_end().to_owned()),
                ("text before", format!("Bag Attributes\n    friendlyName: wonder\n{text}")),
                ("text after", format!("{text}\nnothing more\n")),
                ("byte order mark before", format!("\u{feff}{text}")),
                ("blank lines around", format!("\n\n  \n{text}\n\n")),
                ("indented", indented.clone()),
                ("tabs and trailing blanks", text.replace("-----BEGIN", "\t-----BEGIN").replace('\n', " \t\n\t")),
                ("certificate before", format!("{certificate}{text}")),
                ("certificate after", format!("{text}{certificate}")),
                ("CR alone", text.replace('\n', "\r")),
                ("spaces for line ends", text.replace('\n', " ")),
                ("a literal \\n", text.replace('\n', "\\n")),
                ("a literal \\r\\n", text.replace('\n', "\\r\\n")),
                ("a doubled back slash", text.replace('\n', "\\\\n")),
                ("JSON's \\/", text.replace('/', "\\/").replace('\n', "\\n")),
                ("one line", text.replace('\n', "")),
                ("quotes", format!("\"{}\"", text.trim_end())),
                ("single quotes, one line", format!("'{}'", text.replace('\n', "\\n"))),
                ("an assignment", format!("KEY=\"{}\"\n", text.replace('\n', "\\n"))),
                ("a sentence about it", format!("# the -----BEGIN PRIVATE KEY----- block, or PUBLIC:\n{text}")),
                ("a cut certificate before", format!("{}\n{text}", &certificate[..400])),
            ] {
                let utf16: Vec<u16> = text.encode_utf16().collect();
                let encoded = |bytes: fn(u16) -> [u8; 2]| utf16.iter().copied().flat_map(bytes).collect::<Vec<u8>>();
                let (little, big) = (encoded(u16::to_le_bytes), encoded(u16::to_be_bytes));
                for bytes in [
                    text.into_bytes(),
                    [&[0xff, 0xfe], &little[..]].concat(),
                    [&[0xfe, 0xff], &big[..]].concat(),
                    little,
                    big,
                ] {
                    let key = if is_private {
                        SigningKey::from_pem(&bytes).map(|key| key.public)
                    } else {
                        VerifyingKey::from_pem(&bytes)
                    };
                    assert_eq!(key.map(|key| key.to_pem()), Ok(Ok(pems.public_key_pem.clone())), "{name}, {what}");
                }
            }
        }
    }
}

#[test]
fn a_key_under_the_label_of_the_other_form_is_read() {
    let vectors = KnownAnswers::load();
    for (name, label, other) in
        [("rsa2048-pkcs1", "RSA PRIVATE KEY", "PRIVATE KEY"), ("rsa2048-pkcs8", "PRIVATE KEY", "RSA PRIVATE KEY")]
    {
        let text = vectors.keys[name].private_key_pem.replace(label, other);
        let key = private(&text).map(|key| key.public.to_pem().unwrap());
        assert_eq!(key.as_ref(), Ok(&vectors.keys[name].public_key_pem), "{name}");
        let text = vectors.keys[name].public_key_pem.replace("PUBLIC KEY", "RSA PUBLIC KEY");
        assert_eq!(public(&text).map(|key| key.to_pem()), Ok(Ok(vectors.keys[name].public_key_pem.clone())));
    }
}

#[test]
fn a_repeated_key_counts_once() {
    let vectors = KnownAnswers::load();
    let (key, public_key) = vectors.key("rsa2048-pkcs8");
    let pems = &vectors.keys["rsa2048-pkcs8"];
    let block = pem::find(pems.private_key_pem.as_bytes(), &PRIVATE_LABELS).unwrap().remove(0);
    let inner = PrivateKeyInfo::try_from(&block.der[..]).unwrap().private_key;
    let pkcs1 =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", BASE64_STANDARD.encode(inner));
    for other in [&pems.private_key_pem, &pkcs1, &pems.public_key_pem] {
        let text = format!("{}{other}", pems.private_key_pem);
        assert_eq!(private(&text).unwrap().public.fingerprint(), key.public.fingerprint());
    }
    let twice = format!("{0}{0}", pems.public_key_pem);
    assert_eq!(public(&twice).unwrap().fingerprint(), public_key.fingerprint());
}

#[test]
fn der_is_reported_as_der() {
    let text = &KnownAnswers::load().keys["rsa2048-pkcs8"].private_key_pem;
    let der = pem::find(text.as_bytes(), &PRIVATE_LABELS).unwrap().remove(0).der;
    assert_eq!(SigningKey::from_pem(&der).err(), Some(KeyError::Der));
    assert_eq!(VerifyingKey::from_pem(&der).err(), Some(KeyError::Der));
}

#[test]
fn a_public_key_in_pkcs1_form_is_read() {
    let (_, key) = KnownAnswers::load().key("rsa3072-pkcs8");
    let inner = &key.key;
    let text = rsa::pkcs1::EncodeRsaPublicKey::to_pkcs1_pem(inner, LineEnding::CRLF).unwrap();
    assert!(text.starts_with("-----BEGIN RSA PUBLIC KEY-----\r\n"));
    assert_eq!(public(&text).unwrap().fingerprint(), key.fingerprint());
}

#[test]
fn a_generated_key_reads_back() {
    use rand::SeedableRng as _;
    let mut random = rand::rngs::StdRng::seed_from_u64(1);
    let (key, text) = SigningKey::generate(&mut random, 2048).unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(private(&text).unwrap().public.fingerprint(), key.public.fingerprint());
    assert!(key.public.verify(b"message", &key.sign(b"message").unwrap()));
    for bits in [0, 1024, 2047, 4097, 8192] {
        assert_eq!(SigningKey::generate(&mut random, bits).err(), Some(KeyError::Size(bits)));
    }
}

#[test]
fn debug_shows_size_and_fingerprint_only() {
    let vectors = KnownAnswers::load();
    let (private, public) = vectors.key("rsa2048-pkcs8");
    // First 8 hex digits of `openssl pkey -pubin -outform DER | sha256sum`.
    assert_eq!(format!("{private:?}"), "SigningKey(RSA 2048 bits, fingerprint edb42c9f)");
    assert_eq!(format!("{public:?}"), "VerifyingKey(RSA 2048 bits, fingerprint edb42c9f)");
    assert_eq!(format!("{public:#?}"), "VerifyingKey(RSA 2048 bits, fingerprint edb42c9f)");
}

#[test]
fn encrypted_keys_of_openssl_are_read() {
    let passphrase = b"MARKER pass phrase";
    let (key, _) = KnownAnswers::load().key("rsa2048-pkcs8");
    for (form, text) in [
        ("AES-128, PBKDF2, SHA-256", fixture!("encrypted-aes-128-cbc-pbkdf2-SHA256.pem")),
        ("AES-128, PBKDF2, SHA-512", fixture!("encrypted-aes-128-cbc-pbkdf2-SHA512.pem")),
        ("SHA-1", fixture!("encrypted-sha1.pem")),
        ("AES-128, scrypt", fixture!("encrypted-aes-128-cbc-scrypt.pem")),
        ("AES-256, PBKDF2, SHA-256", fixture!("encrypted-aes-256-cbc-pbkdf2-SHA256.pem")),
        ("AES-256, PBKDF2, SHA-512", fixture!("encrypted-aes-256-cbc-pbkdf2-SHA512.pem")),
        ("AES-256, scrypt", fixture!("encrypted-aes-256-cbc-scrypt.pem")),
    ] {
        let read = SigningKey::from_encrypted_pem(text.as_bytes(), passphrase);
        assert_eq!(read.unwrap().verifying_key(), key.verifying_key(), "{form}");
        assert_eq!(private(text).err(), Some(KeyError::Encrypted), "{form}");
        for wrong in [&b"marker pass phrase"[..], b"", b"MARKER pass phrase\n"] {
            let error = SigningKey::from_encrypted_pem(text.as_bytes(), wrong).err();
            assert_eq!(error, Some(KeyError::Passphrase), "{form}");
        }
    }
}

#[test]
fn an_encryption_that_costs_too_much_is_rejected_at_once() {
    use rsa::pkcs8::pkcs5::pbes2::{
        AES_256_CBC_OID, EncryptionScheme, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf, ScryptParams,
    };
    let pbkdf2 = |iteration_count| {
        let prf = Pbkdf2Prf::HmacWithSha256;
        Kdf::Pbkdf2(Pbkdf2Params { salt: &[1; 8], iteration_count, key_length: None, prf })
    };
    let scrypt = |cost_parameter, block_size, parallelization| {
        Kdf::Scrypt(ScryptParams { salt: &[1; 8], cost_parameter, block_size, parallelization, key_length: None })
    };
    assert_eq!(AES_256_CBC_OID.to_string(), "2.16.840.1.101.3.4.1.42");
    for (kdf, expected) in [
        (pbkdf2(0), KeyError::Costly),
        (pbkdf2(10_000_001), KeyError::Costly),
        (pbkdf2(1 << 31), KeyError::Costly),
        (pbkdf2(u32::MAX), KeyError::Costly),
        (scrypt(0, 8, 1), KeyError::Costly),
        (scrypt(1, 8, 1), KeyError::Costly),
        (scrypt(1 << 17, 8, 1), KeyError::Costly),
        (scrypt(1 << 62, 8, 1), KeyError::Costly),
        (scrypt(u64::MAX, u16::MAX, u16::MAX), KeyError::Costly),
        (scrypt(1 << 14, 0, 1), KeyError::Costly),
        (scrypt(1 << 14, u16::MAX, 1), KeyError::Costly),
        (scrypt(1 << 14, 8, 17), KeyError::Costly),
        (scrypt(1 << 14, 8, 0), KeyError::Costly),
        // Not a power of two.
        (scrypt(10_000, 8, 1), KeyError::Encryption),
        (pbkdf2(1), KeyError::Passphrase),
        (scrypt(1 << 10, 8, 1), KeyError::Passphrase),
    ] {
        let shown = format!("{kdf:?}");
        let scheme = Parameters { kdf, encryption: EncryptionScheme::Aes256Cbc { iv: &[2; 16] } };
        let info =
            rsa::pkcs8::EncryptedPrivateKeyInfo { encryption_algorithm: scheme.into(), encrypted_data: &[3; 1200] };
        let pem = SecretDocument::try_from(info).unwrap().to_pem(ENCRYPTED_LABEL, LineEnding::LF).unwrap();
        let error = SigningKey::from_encrypted_pem(pem.as_bytes(), b"secret").err().unwrap();
        assert_eq!(error, expected, "{shown}");
    }
    assert!(KeyError::Costly.to_string().contains("openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem"));
}

#[test]
fn a_plain_key_needs_no_passphrase_and_a_generated_encrypted_key_is_read() {
    let (plain, pem) = SigningKey::generate(&mut rand::thread_rng(), 2048).unwrap();
    let read = SigningKey::from_encrypted_pem(pem.as_bytes(), b"not used").unwrap();
    assert_eq!(read.verifying_key(), plain.verifying_key());
    let (made, pem) = SigningKey::generate_encrypted(&mut rand::thread_rng(), 2048, b"secret").unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let read = SigningKey::from_encrypted_pem(pem.as_bytes(), b"secret").unwrap();
    assert_eq!(read.verifying_key(), made.verifying_key());
    assert_eq!(SigningKey::from_encrypted_pem(pem.as_bytes(), b"Secret").err(), Some(KeyError::Passphrase));
}
