//! Mistakes in the scheme, the padding and the encoding of the signature.

use rsa::{pkcs1v15, pkcs8::DecodePrivateKey as _, pss};

use super::*;

fn k1() -> [u8; 32] {
    hmac(NONCE.as_bytes(), TIME.as_bytes())
}

fn k2() -> [u8; 32] {
    hmac(&k1(), ALGORITHM.as_bytes())
}

/// Rows: signature, mistake.
pub(super) fn schemes(bench: &Bench) -> Vec<(String, Mistake)> {
    use Mistake::*;
    let (k1, k2, name) = (k1(), k2(), ALGORITHM.as_bytes());
    let pre = format!("POST\n{TARGET}\n{BODY}");
    let pre = pre.as_bytes();
    let joined = |joint: &str| bench.chained(&k2, ["POST", TARGET, BODY].join(joint).as_bytes());
    let mac = hmac(&k2, pre);
    let hex = message::hex(&mac);
    let at = |time: &str| {
        let stamp = Stamp { request_time: time.parse().unwrap(), nonce: bench.nonce };
        let app_id: &AppId = &bench.credential.app_id;
        sign(&bench.private, app_id, &stamp, "POST", TARGET, &[BODY]).unwrap().signature
    };
    let unix = bench.credential.request_time.unix_seconds().to_string();
    vec![
        (bench.chained(&k2, format!("post\n{TARGET}\n{BODY}").as_bytes()), MethodCase),
        (bench.chained(&k2, format!("GET\n{TARGET}\n{BODY}").as_bytes()), OtherMethod),
        (at("20240501120124"), AnotherTime),
        (at("20240501120118"), AnotherTime),
        (at("20240501200123"), LocalTime(Offset(8 * 60))),
        (at("20240501063123"), LocalTime(Offset(-(5 * 60 + 30)))),
        (at("20240501174623"), LocalTime(Offset(5 * 60 + 45))),
        (at("20240502010123"), LocalTime(Offset(13 * 60))),
        (at("20240501000123"), TwelveHours),
        (bench.chained(&hmac(&hmac(NONCE.as_bytes(), unix.as_bytes()), name), pre), UnixTime),
        (bench.chained(&hmac(&hmac(TIME.as_bytes(), NONCE.as_bytes()), name), pre), FirstHmacSwapped),
        (bench.chained(&hmac(name, &k1), pre), SecondHmacSwapped),
        (bench.chained(&hmac(name, &hmac(TIME.as_bytes(), NONCE.as_bytes())), pre), BothHmacsSwapped),
        (bench.chained(pre, &k2), LastHmacSwapped),
        (bench.chained(&hmac(&k1, b"Wonder-HMAC-SHA256"), pre), MobileScheme),
        (bench.chained(&message::hex(&k2), pre), HexKeys),
        (bench.chained(&hmac(&message::hex(&k1), name), pre), HexKeys),
        (bench.chained(&message::hex(&hmac(&message::hex(&k1), name)), pre), HexKeys),
        (bench.chained(&k1, pre), SecondHmacLeftOut),
        (bench.chained(&hmac(&k1, bench.credential.to_string().as_bytes()), pre), WholeCredential),
        (bench.raw(pre), NoHmac),
        (bench.raw(&mac), RawMac),
        (bench.raw(&hex.to_ascii_uppercase()), UpperHex),
        (bench.raw(BASE64_STANDARD.encode(mac).as_bytes()), Base64Mac),
        (bench.raw(&sha256(&hex)), HashedTwice),
        (bench.raw(&message::hex(&sha256(&hex))), HashedTwice),
        (joined("\\n"), LiteralLineEnds),
        (joined("\r\n"), CrlfLineEnds),
        (joined(""), NoLineEnds),
        (bench.raw(&[&hex[..], b"\n"].concat()), LineEndAfterMac),
        (bench.raw(b"something else"), Unknown),
    ]
}

#[test]
fn a_wrong_step_of_the_scheme_is_named() {
    let bench = Bench::new();
    for (at, (signature, mistake)) in schemes(&bench).into_iter().enumerate() {
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &signature), Some(mistake), "row {at}");
    }
    let signature = bench.chained(&k2(), b"GET\n/svc/x\n");
    assert_eq!(bench.diagnose("GET", "/svc/x", b"", &signature), Some(Mistake::LineEndAfterTarget));
}

#[test]
fn quotes_around_a_signature_are_named() {
    let bench = Bench::new();
    let signature = bench.signature("POST", TARGET, BODY.as_bytes());
    for quoted in [format!("\"{signature}\""), format!("'{signature}'")] {
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &quoted), Some(Mistake::SignatureQuoted));
    }
}

/// Rows: signature, mistake. The request is `POST TARGET BODY`. The `rsa` crate signs, because our own key supports only one
/// padding.
pub(super) fn paddings() -> Vec<(Vec<u8>, Mistake)> {
    use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, hazmat::PrehashSigner as _};
    let pem = &KnownAnswers::load().keys["rsa2048-pkcs8"].private_key_pem;
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(pem).unwrap();
    let mac = hmac(&k2(), format!("POST\n{TARGET}\n{BODY}").as_bytes());
    let hex = message::hex(&mac);
    let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(1);
    let mut pss = |salt| {
        let key = pss::SigningKey::<sha2::Sha256>::new_with_salt_len(key.clone(), salt);
        key.sign_with_rng(&mut random, &hex).to_vec()
    };
    let prehashed = pkcs1v15::SigningKey::<sha2::Sha256>::new(key.clone());
    vec![
        (pss(32), Mistake::PssPadding),
        (pss(256 - 32 - 2), Mistake::PssPadding),
        (pss(0), Mistake::PssPadding),
        (key.sign(rsa::Pkcs1v15Sign::new::<sha2::Sha512>(), &[7; 64]).unwrap(), Mistake::OtherHash),
        (key.sign(rsa::Pkcs1v15Sign::new_unprefixed(), &hex).unwrap(), Mistake::Unhashed),
        (prehashed.sign_prehash(&mac).unwrap().to_vec(), Mistake::MacAsDigest),
    ]
}

#[test]
fn another_padding_or_key_is_named() {
    let bench = Bench::new();
    for (signature, mistake) in paddings() {
        let signature = BASE64_STANDARD.encode(signature);
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &signature), Some(mistake));
    }
    for (name, mistake) in [("rsa2048-pkcs1", Mistake::AnotherKey), ("rsa4096-pkcs8", Mistake::SignatureLength)] {
        let other = Bench { private: KnownAnswers::load().key(name).0, ..Bench::new() };
        let signature = other.signature("POST", TARGET, BODY.as_bytes());
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &signature), Some(mistake), "{name}");
    }
}

/// Rows: text of the signature, mistake.
pub(super) fn spellings(right: &str) -> Vec<(String, Mistake)> {
    let bytes = BASE64_STANDARD.decode(right).unwrap();
    let hex: String =
        bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|n| char::from_digit(n.into(), 16).unwrap()).collect();
    vec![
        (BASE64_URL_SAFE.encode(&bytes), Mistake::SignatureUrlSafe),
        (BASE64_URL_SAFE.encode(&bytes).replace('=', ""), Mistake::SignatureUrlSafe),
        (right.trim_end_matches('=').to_owned(), Mistake::SignatureUnpadded),
        (format!("{}\n{}\n", &right[..64], &right[64..]), Mistake::SignatureWrapped),
        (format!(" {right}"), Mistake::SignatureWrapped),
        (right.replace('+', " "), Mistake::SignaturePlusLost),
        (right.replace('+', " ") + "\r\n", Mistake::SignaturePlusLost),
        (right.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"), Mistake::SignaturePercentEncoded),
        (right.replace('=', "%3d"), Mistake::SignaturePercentEncoded),
        (BASE64_STANDARD.encode(right), Mistake::SignatureEncodedTwice),
        (BASE64_STANDARD.encode(&hex), Mistake::SignatureEncodedTwice),
        (BASE64_URL_SAFE.encode(right), Mistake::SignatureEncodedTwice),
        (hex.to_uppercase(), Mistake::SignatureHex),
        (hex, Mistake::SignatureHex),
        ("<signature>".to_owned(), Mistake::SignatureNotBase64),
        ("é".to_owned(), Mistake::SignatureNotBase64),
        (String::new(), Mistake::SignatureLength),
        (right[..340].to_owned(), Mistake::SignatureLength),
    ]
}

#[test]
fn another_encoding_of_the_signature_is_named() {
    let bench = Bench::new();
    let right = bench.signature("POST", TARGET, BODY.as_bytes());
    for (signature, mistake) in spellings(&right) {
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &signature), Some(mistake), "{signature:?}");
    }
}

#[test]
fn a_wrongly_encoded_signature_over_another_body_names_the_body() {
    let bench = Bench::new();
    let bytes = BASE64_STANDARD.decode(bench.signature("POST", "/svc/x", b"")).unwrap();
    let signature = BASE64_URL_SAFE.encode(bytes);
    assert_eq!(bench.diagnose("POST", "/svc/x", b"{}", &signature), Some(Mistake::BodyLeftOut));
}
