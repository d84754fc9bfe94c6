//! Each mistake made on purpose, then named.

use std::collections::HashSet;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use rsa::{pkcs1v15, pkcs8::DecodePrivateKey as _, pss};

use super::{clock::Offset, *};
use crate::signing::{ALGORITHM, AppId, RequestTime, SigningKey, message, sign, tests::KnownAnswers, verify};

const TARGET: &str = "/svc/payment/api/v1/openapi/orders/list?filter[state][_in]=paid&limit=20&at=%2f8:00";
const BODY: &str = "{\"b\": \"汉/<x>\",\r\n \"a\": [1.50, true]}\r\n";
const TIME: &str = "20240501120123";
const NONCE: &str = "bHcqqXjLsl0gfkhH";

/// A key, and requests that all carry the same credential and nonce.
struct Bench {
    private: SigningKey,
    public: VerifyingKey,
    credential: Credential,
    nonce: Nonce,
}

impl Bench {
    fn new() -> Self {
        let (private, public) = KnownAnswers::load().key("rsa2048-pkcs8");
        let credential = format!("844bcde8-3a40-4b0f-8ec5-4cb7ef621538/{TIME}/{ALGORITHM}").parse().unwrap();
        Self { private, public, credential, nonce: NONCE.parse().unwrap() }
    }

    fn signature(&self, method: &str, target: &str, body: &[u8]) -> String {
        let stamp = Stamp { request_time: self.credential.request_time, nonce: self.nonce };
        sign(&self.private, &self.credential.app_id, &stamp, method, target, &[body]).unwrap().signature
    }

    /// Signs bytes of the caller's own making.
    fn raw(&self, message: &[u8]) -> String {
        BASE64_STANDARD.encode(&*self.private.sign(message).unwrap())
    }

    /// Signs the hex of an HMAC of the caller's own making.
    fn chained(&self, key: &[u8], pre_sign: &[u8]) -> String {
        self.raw(&message::hex(&hmac(key, pre_sign)))
    }

    fn claim<'a>(&'a self, method: &'a str, target: &'a str, body: &'a [u8], signature: &'a str) -> Claim<'a> {
        let host = Some("shop.example:8443");
        Claim { credential: &self.credential, nonce: &self.nonce, method, target, body, signature, host }
    }

    fn diagnose(&self, method: &str, target: &str, body: &[u8], signature: &str) -> Option<Mistake> {
        let claim = self.claim(method, target, body, signature);
        let verdict = verify(&self.public, &claim.stamp(), method, target, &[body], signature);
        let diagnosis = diagnose(&self.public, &claim);
        assert_eq!(diagnosis.is_none(), verdict.is_ok(), "a diagnosis and a verdict agree");
        diagnosis
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    message::hmac(key, message).into()
}

fn k1() -> [u8; 32] {
    hmac(NONCE.as_bytes(), TIME.as_bytes())
}

fn k2() -> [u8; 32] {
    hmac(&k1(), ALGORITHM.as_bytes())
}

#[test]
fn a_good_request_has_no_mistake() {
    let bench = Bench::new();
    for (method, target, body) in [("POST", TARGET, BODY), ("get", "/", ""), ("PUT", "/svc/x?", " ")] {
        let signature = bench.signature(method, target, body.as_bytes());
        assert_eq!(bench.diagnose(method, target, body.as_bytes(), &signature), None);
    }
}

/// Body sent, body signed, mistake.
fn bodies() -> Vec<(&'static str, String, Mistake)> {
    use Mistake::*;
    let compact = "{\"b\":\"汉/<x>\",\"a\":[1.50,true]}";
    let base64 = BASE64_STANDARD.encode(BODY);
    let hash = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"; // of "hello\n"
    let case = |sent, signed: &str, mistake| (sent, signed.to_owned(), mistake);
    vec![
        case(BODY, "", BodyLeftOut),
        case(" \r\n", "", BlankBodyLeftOut),
        case("\u{a0}", "", BlankBodyLeftOut),
        case("", "{}", BodyInvented),
        case("", "[]", BodyInvented),
        case("", "null", BodyInvented),
        case(BODY, BODY.strip_suffix("\r\n").unwrap(), LineEndLeftOut),
        case("{}\n", "{}", LineEndLeftOut),
        case("{}", "{}\n", LineEndAdded),
        case("{}", "{}\r\n", LineEndAdded),
        case(" {} ", "{}", BodyTrimmed),
        case("{} \n", "{}", BodyTrimmed),
        case("\t{}", "{}", BodyTrimmed),
        case("a\r\nb\r\n", "a\nb\n", LineEndsToLf),
        case("a\nb\r\n\n", "a\r\nb\r\n\r\n", LineEndsToCrlf),
        case("\u{feff}{}", "{}", ByteOrderMark),
        case("{}", "\u{feff}{}", ByteOrderMark),
        case(BODY, compact, JsonCompact),
        case("{\"a\":\"\\/\\u6c49\"}", "{\"a\":\"/汉\"}", JsonCompact),
        case(compact, "{\"b\": \"汉/<x>\", \"a\": [1.50, true]}", JsonSpaced),
        case(compact, "{\"b\": \"\\u6c49/<x>\", \"a\": [1.50, true]}", JsonSpaced),
        case(compact, "{\"b\":\"\\u6c49\\/<x>\",\"a\":[1.50,true]}", JsonSlashes),
        case(compact, "{\"b\":\"汉\\/<x>\",\"a\":[1.50,true]}", JsonSlashes),
        case(compact, "{\"b\":\"\\u6c49/<x>\",\"a\":[1.50,true]}", JsonEscapes),
        case(compact, "{\"b\":\"汉/\\u003cx\\u003e\",\"a\":[1.50,true]}", JsonEscapes),
        case("{\"a\":\"😀\"}", "{\"a\":\"\\ud83d\\ude00\"}", JsonEscapes),
        case("{\"b\":1,\"a\":{\"d\":\"\\\"\",\"c\":[]}}", "{\"a\":{\"c\":[],\"d\":\"\\\"\"},\"b\":1}", JsonSorted),
        case(BODY, &base64, BodyBase64),
        case("hello\n", hash, BodyHash),
    ]
}

/// Target sent, target signed, mistake.
fn targets() -> Vec<(&'static str, String, Mistake)> {
    use Mistake::*;
    let case = |sent, signed: &str, mistake| (sent, signed.to_owned(), mistake);
    let path = TARGET.split_once('?').unwrap().0;
    vec![
        case(TARGET, path, QueryLeftOut),
        case("/svc/x?", "/svc/x", QueryMark),
        case("/svc/x", "/svc/x?", QueryMark),
        case("/svc/x?a=1?", "/svc/x?a=1", QueryMark),
        case("/svc/x/", "/svc/x", TrailingSlash),
        case("/svc/x", "/svc/x/", TrailingSlash),
        case("/svc/x?a", "/svc/x/?a", TrailingSlash),
        case("/svc/x?a=b+c", "/svc/x?a=b%20c", PlusForSpace),
        case("/svc/x?a=b%20c&d=%5B", "/svc/x?a=b+c&d=%5B", PlusForSpace),
        case("/svc/x%20y?a=b%20c", "/svc/x%20y?a=b+c", PlusForSpace),
        case("/svc/x%20y?a=%5B1%5D", "/svc/x%2520y?a=%255B1%255D", TargetEncodedTwice),
        case("/svc/x?a=%5B1%5D", "/svc/x?a=%255B1%255D", TargetEncodedTwice),
        case("/svc/x?a=%5B1%5D&t=8:00+1", "/svc/x?a=%255B1%255D&t=8%3A00%2B1", TargetEncodedTwice),
        case("/svc/x%2520y?a=%255b", "/svc/x%20y?a=%5b", TargetSentEncodedTwice),
        case("/svc/x%20y?a=%255B", "/svc/x%20y?a=%5B", TargetSentEncodedTwice),
        case("/svc/x?a=100%25", "/svc/x?a=100%", TargetDecoded),
        case("/svc/x%20y?a=%5B1%5D", "/svc/x y?a=[1]", TargetDecoded),
        case("/svc/x?a=%E6%B1%89+b", "/svc/x?a=汉 b", TargetDecoded),
        case("/svc/x%20y?a=%5B1%5D", "/svc/x%20y?a=[1]", TargetDecoded),
        case("/svc/x?f[a]=1,2", "/svc/x?f%5Ba%5D=1,2", TargetEncoded),
        case("/svc/x?f[a]=1,2&t=10:00+8", "/svc/x?f%5Ba%5D=1%2C2&t=10%3A00%2B8", TargetEncoded),
        case("/svc/x?f[a]=1&t=10:00", "/svc/x?f%5Ba%5D=1&t=10%3A00", TargetEncoded),
        case("/svc/x%2fy", "/svc/x%2Fy", EscapeCase),
        case("/svc/X%2Fy?q=%C3%A9", "/svc/X%2fy?q=%c3%a9", EscapeCase),
        case("/svc//x/./y/../z", "/svc/x/z", TargetNormalised),
        case("/svc/x?b=2&a=1", "/svc/x?a=1&b=2", QuerySorted),
        case(TARGET, &format!("https://gateway-stg.wonder.today{TARGET}"), FullUrl),
        case(TARGET, &format!("http://shop.example:8443{TARGET}"), FullUrl),
        case(TARGET, &format!("gateway.wonder.today{TARGET}"), FullUrl),
        case(TARGET, &format!("https://gateway.wonder.today{path}"), FullUrl),
        case("/svc/x", "svc/x", PathPrefix),
        case("/svc/payment/api/v1/openapi/customers?a", "/customers?a", PathPrefix),
        case("/svc/payment/api/v1/echo", "/echo", PathPrefix),
    ]
}

#[test]
fn names_what_was_done_to_the_body() {
    let bench = Bench::new();
    for (sent, signed, mistake) in bodies() {
        let signature = bench.signature("POST", "/svc/x", signed.as_bytes());
        let found = bench.diagnose("POST", "/svc/x", sent.as_bytes(), &signature);
        assert_eq!(found, Some(mistake), "{sent:?} sent, {signed:?} signed");
    }
}

#[test]
fn names_what_was_done_to_the_target() {
    let bench = Bench::new();
    for (sent, signed, mistake) in targets() {
        for body in ["", BODY] {
            let signature = bench.signature("POST", &signed, body.as_bytes());
            let found = bench.diagnose("POST", sent, body.as_bytes(), &signature);
            assert_eq!(found, Some(mistake), "{sent:?} sent, {signed:?} signed");
        }
    }
}

/// Signature, mistake.
fn schemes(bench: &Bench) -> Vec<(String, Mistake)> {
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
fn names_the_step_that_was_done_otherwise() {
    let bench = Bench::new();
    for (at, (signature, mistake)) in schemes(&bench).into_iter().enumerate() {
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &signature), Some(mistake), "row {at}");
    }
    let signature = bench.chained(&k2(), b"GET\n/svc/x\n");
    assert_eq!(bench.diagnose("GET", "/svc/x", b"", &signature), Some(Mistake::LineEndAfterTarget));
}

#[test]
fn a_query_left_out_hides_no_other_mistake() {
    let bench = Bench::new();
    let path = TARGET.split('?').next().unwrap();
    let later = Stamp { request_time: "20240501200123".parse().unwrap(), nonce: bench.nonce };
    let in_local_time =
        sign(&bench.private, &bench.credential.app_id, &later, "POST", path, &[BODY]).unwrap().signature;
    let expected = Some(Mistake::QueryAndAnother);
    assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &in_local_time), expected);
    assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &bench.signature("POST", path, b"")), expected);
    assert_eq!(bench.diagnose("GET", TARGET, b"", &bench.signature("GET", path, b"[]")), expected);
}

#[test]
fn names_numbers_that_were_written_otherwise() {
    let bench = Bench::new();
    for (sent, signed) in [
        ("{\"fee\":120.00,\"a\":[-1.50,2,1.0]}", "{\"fee\":120,\"a\":[-1.5,2,1]}"),
        ("{\"u\": \"https://x\", \"fee\": 10.0}", "{\"u\":\"https:\\/\\/x\",\"fee\":10}"),
    ] {
        let signature = bench.signature("POST", TARGET, signed.as_bytes());
        assert_eq!(bench.diagnose("POST", TARGET, sent.as_bytes(), &signature), Some(Mistake::JsonNumbers), "{sent}");
    }
}

#[test]
fn names_quotes_around_a_signature() {
    let bench = Bench::new();
    let signature = bench.signature("POST", TARGET, BODY.as_bytes());
    for quoted in [format!("\"{signature}\""), format!("'{signature}'")] {
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &quoted), Some(Mistake::SignatureQuoted));
    }
}

/// Signature, mistake: of the request `POST TARGET BODY`, with the private operation of the `rsa` crate, since ours
/// does one thing only.
fn paddings() -> Vec<(Vec<u8>, Mistake)> {
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
fn names_another_padding_and_another_key() {
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

/// Text of the signature, mistake.
fn spellings(right: &str) -> Vec<(String, Mistake)> {
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
fn names_another_spelling_of_the_signature() {
    let bench = Bench::new();
    let right = bench.signature("POST", TARGET, BODY.as_bytes());
    for (signature, mistake) in spellings(&right) {
        assert_eq!(bench.diagnose("POST", TARGET, BODY.as_bytes(), &signature), Some(mistake), "{signature:?}");
    }
}

#[test]
fn a_misspelled_signature_over_another_body_names_the_body() {
    let bench = Bench::new();
    let bytes = BASE64_STANDARD.decode(bench.signature("POST", "/svc/x", b"")).unwrap();
    let signature = BASE64_URL_SAFE.encode(bytes);
    assert_eq!(bench.diagnose("POST", "/svc/x", b"{}", &signature), Some(Mistake::BodyLeftOut));
}

#[test]
fn a_huge_body_is_not_hashed_over_and_over() {
    let bench = Bench::new();
    let body = vec![b' '; LONGEST_BODY + 1];
    let found = |signed: &[u8]| bench.diagnose("POST", "/svc/x", &body, &bench.signature("POST", "/svc/x", signed));
    assert_eq!(found(b""), Some(Mistake::BlankBodyLeftOut));
    assert_eq!(found(b"{}"), Some(Mistake::Unknown));
}

#[test]
fn every_mistake_is_tested_and_says_something_of_its_own() {
    let bench = Bench::new();
    let right = bench.signature("POST", TARGET, BODY.as_bytes());
    let elsewhere = [
        Mistake::AnotherKey,
        Mistake::LineEndAfterTarget,
        Mistake::QueryAndAnother,
        Mistake::JsonNumbers,
        Mistake::SignatureQuoted,
    ];
    let mut tested: HashSet<Mistake> = elsewhere.into();
    tested.extend(bodies().into_iter().map(|(_, _, mistake)| mistake));
    tested.extend(targets().into_iter().map(|(_, _, mistake)| mistake));
    tested.extend(schemes(&bench).into_iter().map(|(_, mistake)| mistake));
    tested.extend(paddings().into_iter().map(|(_, mistake)| mistake));
    tested.extend(spellings(&right).into_iter().map(|(_, mistake)| mistake));
    let untested: Vec<_> = Mistake::ALL.iter().filter(|mistake| !tested.contains(mistake)).collect();
    assert!(untested.is_empty(), "{untested:?}");
    assert_eq!(
        Mistake::LocalTime(Offset(480)).to_string(),
        "the time that was signed is that of the credential at UTC+08:00: one of the two is local time; use UTC for both"
    );
    let sentences: HashSet<_> = Mistake::ALL.iter().map(|mistake| mistake.done()).collect();
    assert_eq!(sentences.len(), Mistake::ALL.len());
    for mistake in Mistake::ALL {
        let text = mistake.to_string();
        assert!(!text.ends_with('.') && text.contains("; ") && !text.contains('\n'), "{text}");
    }
}

#[test]
fn an_ambiguous_body_is_white_space_alone_in_any_chunks() {
    for text in [" ", "\r\n\t", "\u{b}\u{c}", "\u{a0}", "\u{feff}", "\u{3000} \u{2028}"] {
        let bytes = text.as_bytes();
        assert!(message::is_ambiguous(&[bytes]), "{text:?}");
        assert!(message::is_ambiguous(&bytes.chunks(1).collect::<Vec<_>>()), "{text:?} byte by byte");
    }
    for bytes in [&b""[..], b"{}", b" x", b"\0", b"\xc2", b" \xff", b"\xe2\x80", "\u{200b}".as_bytes(), "😀".as_bytes()]
    {
        assert!(!message::is_ambiguous(&[bytes]), "{bytes:?}");
        assert!(!message::is_ambiguous(&bytes.chunks(1).collect::<Vec<_>>()), "{bytes:?} byte by byte");
    }
    assert!(!message::is_ambiguous::<&[u8]>(&[]));
}

#[test]
fn a_stale_time_is_told_from_local_time() {
    let now: RequestTime = TIME.parse().unwrap();
    for (time, expected) in [
        ("20240501120123", Clock::Right),
        ("20240501123123", Clock::Right),
        ("20240501113123", Clock::Right),
        ("20240501123223", Clock::LocalTime(Offset(30))),
        ("20240501200123", Clock::LocalTime(Offset(8 * 60))),
        ("20240501200200", Clock::LocalTime(Offset(8 * 60))),
        ("20240501173123", Clock::LocalTime(Offset(5 * 60 + 30))),
        ("20240501174623", Clock::LocalTime(Offset(5 * 60 + 45))),
        ("20240501050000", Clock::LocalTime(Offset(-7 * 60))),
        ("20240502020123", Clock::LocalTime(Offset(14 * 60))),
        ("20240501000123", Clock::LocalTime(Offset(-12 * 60))),
        ("20240502030123", Clock::Off(15 * 3600)),
        ("20240430230123", Clock::Off(-13 * 3600)),
        ("20240501200623", Clock::Off(8 * 3600 + 300)),
        ("20230501120123", Clock::Off(-366 * 86_400)),
        ("99991231235959", Clock::Off(253_402_300_799 - 1_714_564_883)),
    ] {
        assert_eq!(Clock::judge(time.parse().unwrap(), now), expected, "{time}");
    }
    assert_eq!(
        Clock::LocalTime(Offset(-210)).to_string(),
        "the request time looks like local time (UTC-03:30) in place of UTC; Wonder rejects it"
    );
    assert_eq!(Clock::Off(-5000).to_string(), "the request time is 5000 s behind; Wonder rejects it beyond 1800 s");
}

/// A format with `hh` in place of `HH`: in the afternoon half a day behind, in the hour after midnight half a day ahead.
#[test]
fn a_12_hour_clock_is_told_from_local_time() {
    for (time, now, expected) in [
        ("20240501010123", "20240501130200", Clock::TwelveHours),
        ("20240501110123", "20240501230123", Clock::TwelveHours),
        ("20240501120123", "20240501000123", Clock::TwelveHours),
        ("20240501130123", "20240501010123", Clock::LocalTime(Offset(12 * 60))),
        ("20240430130123", "20240501010123", Clock::LocalTime(Offset(-12 * 60))),
        ("20240501010623", "20240501130123", Clock::Off(-43_200 + 300)),
    ] {
        assert_eq!(Clock::judge(time.parse().unwrap(), now.parse().unwrap()), expected, "{time} at {now}");
    }
}

/// `POST\n/svc/a?q=1\n{"n":1}`: the query begins at byte 11, the body at byte 16.
#[test]
fn names_the_byte_where_the_pre_sign_strings_part() {
    let bench = Bench::new();
    let place = |target: &str, body: &[u8], signed_target: &str, signed_body: &[u8]| {
        let signature = bench.signature("POST", signed_target, signed_body);
        diagnose_with_place(&bench.public, &bench.claim("POST", target, body, &signature)).and_then(|(_, place)| place)
    };
    let (target, body) = ("/svc/a?q=1", &br#"{"n":1}"#[..]);
    assert_eq!(place(target, body, target, b""), Some(15), "the body was left out");
    assert_eq!(place(target, body, "/svc/a", body), Some(11), "the query was left out");
    assert_eq!(place(target, body, "/svc/a", br#"{"n": 1}"#), Some(11), "the query, and the body was signed spaced");
    assert_eq!(place(target, body, target, br#"{"n": 1}"#), Some(21), "the body was signed spaced");
    assert_eq!(place(target, body, target, body), None, "nothing is wrong");
    assert_eq!(place(target, body, target, b"other"), None, "unknown");
}

#[test]
fn keeps_each_step_of_the_chain() {
    let bench = Bench::new();
    let stamp = Stamp { request_time: bench.credential.request_time, nonce: bench.nonce };
    let chain = message::Chain::of(&stamp, "POST", TARGET, &[BODY]);
    let hexed = |value: &[u8; 32]| String::from_utf8(message::hex(value).to_vec()).unwrap();
    let first = hmac(NONCE.as_bytes(), TIME.as_bytes());
    assert_eq!(chain.first, hexed(&first));
    assert_eq!(chain.second, hexed(&hmac(&first, ALGORITHM.as_bytes())));
    assert!(chain.message == signature_message(&stamp, "POST", TARGET, &[BODY]));
}
