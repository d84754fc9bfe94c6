//! Texts that are no usable key.

use super::*;

#[test]
fn a_text_that_is_no_private_key_is_rejected_by_its_kind() {
    let vectors = KnownAnswers::load();
    let good = &vectors.keys["rsa2048-pkcs8"];
    let refused = &vectors.refused_keys["rsa2047-pkcs1"];
    let no_label = good.private_key_pem.replace("PRIVATE KEY", "THING");
    let other = KeyError::OtherBlock;
    let another = &vectors.keys["rsa2048-pkcs1"];
    let encrypted_bag = format!("{}{}", fixture!("certificate.pem"), fixture!("rsa2048-encrypted-pkcs8.pem"));
    let pem_in_base64 = BASE64_STANDARD.encode(&good.private_key_pem);
    let cases: &[(&str, &str, KeyError)] = &[
        ("2047 bits", &refused.private_key_pem, KeyError::Size(2047)),
        ("1024 bits", fixture!("rsa1024.pem"), KeyError::Size(1024)),
        ("8192 bits", fixture!("rsa8192.pem"), KeyError::Size(8192)),
        ("a public key", &good.public_key_pem, KeyError::PublicKey),
        ("an EC public key", fixture!("ec-public.pem"), KeyError::PublicKey),
        ("encrypted PKCS#8", fixture!("rsa2048-encrypted-pkcs8.pem"), KeyError::Encrypted),
        ("encrypted PKCS#1", fixture!("rsa2048-encrypted-pkcs1.pem"), KeyError::OldEncryption),
        ("EC in PKCS#8", fixture!("ec-pkcs8.pem"), KeyError::NotRsa),
        ("EC in SEC1", fixture!("ec-sec1.pem"), KeyError::NotRsa),
        ("EC in SEC1 after its parameters", fixture!("ec-sec1-with-parameters.pem"), KeyError::NotRsa),
        ("Ed25519", fixture!("ed25519.pem"), KeyError::NotRsa),
        ("RSA-PSS alone", fixture!("rsa-pss.pem"), KeyError::PssOnly),
        ("OpenSSH", fixture!("openssh.pem"), KeyError::Format(Format::OpenSsh)),
        ("a certificate", fixture!("certificate.pem"), other("CERTIFICATE")),
        ("an unknown label", &no_label, KeyError::UnknownBlock),
        ("nothing", "", KeyError::Empty),
        ("a byte order mark", "\u{feff}", KeyError::Empty),
        ("white space", " \r\n\t\n", KeyError::Empty),
        ("text", "not a key", KeyError::NoPem),
        ("bare base64", "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ==", KeyError::Bare),
        ("base64 of the file", &pem_in_base64, KeyError::Encoded),
        ("base64 of base64 of the file", &BASE64_STANDARD.encode(&pem_in_base64), KeyError::Encoded),
        ("the same in quotes", &format!("\"{pem_in_base64}\""), KeyError::Encoded),
        ("a Secret in YAML", &format!("kind: Secret\ndata:\n  private_key.pem: {pem_in_base64}\n"), KeyError::Encoded),
        ("hex of the file", &hex(good.private_key_pem.as_bytes()), KeyError::Encoded),
        ("PKCS#12 in base64", "MIIKDwIBAzCCCcUGCSqGSIb3DQEHAaCCCbYEggmy", KeyError::Format(Format::Pkcs12)),
        ("a JWK", "{\"kty\": \"RSA\", \"n\": \"AQAB\"}", KeyError::Format(Format::Jwk)),
        ("a JWK set", "{\"keys\":[{\"kty\":\"RSA\"}]}", KeyError::Format(Format::Jwk)),
        ("PuTTY's", "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n", KeyError::Format(Format::Putty)),
        ("OpenSSH's public one", "ssh-rsa AAAAB3NzaC1yc2E me@here", KeyError::Format(Format::OpenSshPublic)),
        ("a certificate before an encrypted key", &encrypted_bag, KeyError::Encrypted),
        ("two keys", &format!("{}{}", good.private_key_pem, another.private_key_pem), KeyError::Several),
        (
            "two keys with text between",
            &format!("{}# old:\n{}", another.private_key_pem, good.private_key_pem),
            KeyError::Several,
        ),
        (
            "a key before a cut one",
            &format!("{0}{1}", good.private_key_pem, &good.private_key_pem[..400]),
            KeyError::Several,
        ),
        (
            "a key before an encrypted one",
            &format!("{}{}", good.private_key_pem, fixture!("rsa2048-encrypted-pkcs1.pem")),
            KeyError::Several,
        ),
        (
            "a key before one of another algorithm",
            &format!("{}{}", good.private_key_pem, fixture!("ec-pkcs8.pem")),
            KeyError::Several,
        ),
        ("four dashes", &good.private_key_pem.replace("-----", "----"), KeyError::Boundary),
        ("a word processor's dashes", &good.private_key_pem.replace("-----", "\u{2014}\u{2014}-"), KeyError::Boundary),
        ("lower case", &good.private_key_pem.to_lowercase(), KeyError::Boundary),
        ("another END line", &good.private_key_pem.replace("END PRIVATE", "END RSA PRIVATE"), KeyError::Ends),
        (
            "two keys, the first one cut",
            &format!("{}\n{}", &good.private_key_pem[..400], good.private_key_pem),
            KeyError::Cut,
        ),
        ("a space for each +", &good.private_key_pem.replace('+', " "), KeyError::Damaged),
    ];
    for (what, text, expected) in cases {
        assert_eq!(private(text).err().as_ref(), Some(expected), "{what}");
    }
}

#[test]
fn a_text_that_is_no_public_key_is_rejected_by_its_kind() {
    let vectors = KnownAnswers::load();
    let good = &vectors.keys["rsa2048-pkcs8"];
    let another = &vectors.keys["rsa2048-pkcs1"];
    let cases: &[(&str, &str, KeyError)] = &[
        ("2047 bits", &vectors.refused_keys["rsa2047-pkcs1"].public_key_pem, KeyError::Size(2047)),
        ("8192 bits", fixture!("rsa8192-public.pem"), KeyError::Size(8192)),
        ("a private key", &good.private_key_pem, KeyError::PrivateKey),
        ("a PKCS#1 private key", &vectors.keys["rsa2048-pkcs1"].private_key_pem, KeyError::PrivateKey),
        ("an encrypted private key", fixture!("rsa2048-encrypted-pkcs8.pem"), KeyError::PrivateKey),
        ("an EC private key", fixture!("ec-sec1.pem"), KeyError::NotRsa),
        ("an EC key", fixture!("ec-public.pem"), KeyError::NotRsa),
        ("a certificate", fixture!("certificate.pem"), KeyError::OtherBlock("CERTIFICATE")),
        ("nothing", "", KeyError::Empty),
        ("text", "not a key", KeyError::NoPem),
        ("OpenSSH's", "ssh-rsa AAAAB3NzaC1yc2E", KeyError::Format(Format::OpenSshPublic)),
        ("RSA-PSS alone", fixture!("rsa-pss.pem"), KeyError::PrivateKey),
        ("two keys", &format!("{}{}", good.public_key_pem, another.public_key_pem), KeyError::Several),
    ];
    for (what, text, expected) in cases {
        assert_eq!(public(text).err().as_ref(), Some(expected), "{what}");
    }
}

#[test]
fn a_file_cut_at_any_byte_is_rejected() {
    let vectors = KnownAnswers::load();
    for name in ["rsa2048-pkcs8", "rsa2048-pkcs1"] {
        let text = vectors.keys[name].private_key_pem.trim_end();
        for at in 0..text.len() {
            let expected = match at {
                0 => KeyError::Empty,
                // Without `-----BEGIN ` it is ordinary text.
                at if at < 11 => KeyError::NoPem,
                _ => KeyError::Cut,
            };
            assert_eq!(private(&text[..at]).err(), Some(expected), "{name} cut at {at}");
        }
    }
}

#[test]
fn damaged_content_is_rejected() {
    let vectors = KnownAnswers::load();
    for name in ["rsa2048-pkcs8", "rsa2048-pkcs1", "rsa4096-pkcs8"] {
        let text = &vectors.keys[name].private_key_pem;
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.len() - 1;
        for (what, text) in [
            ("a character that is not base64", text.replacen('M', "*", 1).replacen("MII", "*II", 1)),
            ("a line missing", [&lines[..5], &lines[6..]].concat().join("\n")),
            ("the last line missing", [&lines[..last - 1], &lines[last..]].concat().join("\n")),
            ("all lines missing", [lines[0], lines[last]].join("\n")),
            ("a line twice", [&lines[..5], &lines[4..]].concat().join("\n")),
            ("another structure", format!("{}\nMAA=\n{}", lines[0], lines[last])),
            ("header lines", format!("{}\nComment: mine\n\n{}", lines[0], lines[1..].join("\n"))),
        ] {
            assert_eq!(private(&text).err(), Some(KeyError::Damaged), "{name}: {what}");
        }
    }
    let public_text = &vectors.keys["rsa2048-pkcs8"].public_key_pem;
    let lines: Vec<&str> = public_text.lines().collect();
    let missing = [&lines[..3], &lines[4..]].concat().join("\n");
    assert_eq!(public(&missing).err(), Some(KeyError::Damaged));
}

#[test]
fn inconsistent_key_parts_are_rejected() {
    let vectors = KnownAnswers::load();
    let der = |name: &str| {
        let block = pem::find(vectors.keys[name].private_key_pem.as_bytes(), &PRIVATE_LABELS).unwrap().remove(0);
        PrivateKeyInfo::try_from(&block.der[..]).map_or(block.der.to_vec(), |outer| outer.private_key.to_vec())
    };
    let (one, two) = (der("rsa2048-pkcs8"), der("rsa2048-pkcs1"));
    let one = rsa::pkcs1::RsaPrivateKey::try_from(&one[..]).unwrap();
    let two = rsa::pkcs1::RsaPrivateKey::try_from(&two[..]).unwrap();
    assert!(SigningKey::from_pkcs1_der(&one.to_der().unwrap()).is_ok(), "the untouched parts are a key");
    for (what, mixed) in [
        ("modulus", rsa::pkcs1::RsaPrivateKey { modulus: two.modulus, ..one.clone() }),
        ("private exponent", rsa::pkcs1::RsaPrivateKey { private_exponent: two.private_exponent, ..one.clone() }),
        ("first prime", rsa::pkcs1::RsaPrivateKey { prime1: two.prime1, ..one.clone() }),
        ("second prime", rsa::pkcs1::RsaPrivateKey { prime2: two.prime2, ..one.clone() }),
        ("public exponent", rsa::pkcs1::RsaPrivateKey { public_exponent: UintRef::new(&[3]).unwrap(), ..one.clone() }),
        ("even exponent", rsa::pkcs1::RsaPrivateKey { public_exponent: UintRef::new(&[4]).unwrap(), ..one.clone() }),
    ] {
        assert_eq!(
            SigningKey::from_pkcs1_der(&mixed.to_der().unwrap()).err(),
            Some(KeyError::Inconsistent),
            "another {what}"
        );
    }
}

#[test]
fn each_key_error_has_its_own_text() {
    let all = [
        KeyError::Empty,
        KeyError::NoPem,
        KeyError::Cut,
        KeyError::Damaged,
        KeyError::Inconsistent,
        KeyError::PublicKey,
        KeyError::PrivateKey,
        KeyError::Encrypted,
        KeyError::OldEncryption,
        KeyError::Encryption,
        KeyError::Passphrase,
        KeyError::NotRsa,
        KeyError::OtherBlock("CERTIFICATE"),
        KeyError::UnknownBlock,
        KeyError::Boundary,
        KeyError::Ends,
        KeyError::Bare,
        KeyError::Encoded,
        KeyError::PssOnly,
        KeyError::Several,
        KeyError::Format(Format::Pkcs12),
        KeyError::Format(Format::Jwk),
        KeyError::Format(Format::OpenSsh),
        KeyError::Format(Format::OpenSshPublic),
        KeyError::Format(Format::Putty),
        KeyError::Der,
        KeyError::Size(2047),
    ];
    let texts: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), all.len());
    assert_eq!(
        KeyError::Size(2047).to_string(),
        "has a modulus of 2047 bits, 2048 to 4096 are accepted; make a new key pair (wonder-signer keygen --out keys) and a new \
         AppID for it in Wonder's portal"
    );
}

#[test]
fn no_key_error_repeats_the_text() {
    let vectors = KnownAnswers::load();
    let marker = &vectors.keys["rsa2048-pkcs8"].private_key_pem[100..164];
    let marker = &marker[..16];
    let good = &vectors.keys["rsa2048-pkcs8"].private_key_pem;
    let lines: Vec<&str> = good.lines().collect();
    let body = lines[1..lines.len() - 1].join("\n");
    for text in [
        good.replace("-----END", ""),
        format!("-----BEGIN {marker}-----\n-----END {marker}-----\n"),
        // The line end after the label is lost.
        format!("-----BEGIN PRIVATE KEY{body}-----END PRIVATE KEY-----"),
        format!("-----BEGIN {body}-----\n{body}\n-----END {body}-----"),
        format!("-----BEGIN EC {body}-----"),
        format!("-----BEGIN CERTIFICATE {marker}-----"),
        body,
    ] {
        for error in [private(&text).unwrap_err(), public(&text).unwrap_err()] {
            assert!(!format!("{error} {error:?}").contains(&marker[..4]), "{error}");
        }
    }
}

#[test]
fn an_unsupported_encryption_is_named_with_its_remedy() {
    let read = |text: &str| SigningKey::from_encrypted_pem(text.as_bytes(), b"MARKER pass phrase").err().unwrap();
    assert_eq!(read(fixture!("encrypted-pbes1.pem")), KeyError::Encryption);
    let old = read(fixture!("rsa2048-encrypted-pkcs1.pem"));
    assert_eq!(old, KeyError::OldEncryption);
    for error in [old, KeyError::Encryption] {
        assert!(error.to_string().contains("openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem"), "{error}");
    }
    let damaged = fixture!("encrypted-aes-128-cbc-scrypt.pem").replacen("MII", "MIJ", 1);
    assert!(matches!(read(&damaged), KeyError::Encryption | KeyError::Damaged));
}
