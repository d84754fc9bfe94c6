//! Each mistake is made on purpose, and the diagnosis must name it.

mod request;
mod signature;
mod time;

use std::collections::HashSet;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};

use super::{clock::Offset, *};
use crate::signing::{ALGORITHM, AppId, RequestTime, SigningKey, message, sign, tests::KnownAnswers, verify};

const TARGET: &str = "/svc/payment/api/v1/openapi/orders/list?filter[state][_in]=paid&limit=20&at=%2f8:00";
const BODY: &str = "{\"b\": \"汉/<x>\",\r\n \"a\": [1.50, true]}\r\n";
const TIME: &str = "20240501120123";
const NONCE: &str = "bHcqqXjLsl0gfkhH";

/// A key, and requests with one credential and nonce.
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

    /// Signs these bytes.
    fn raw(&self, message: &[u8]) -> String {
        BASE64_STANDARD.encode(&*self.private.sign(message).unwrap())
    }

    /// Signs the hex text of this HMAC.
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

#[test]
fn a_valid_request_has_no_mistake() {
    let bench = Bench::new();
    for (method, target, body) in [("POST", TARGET, BODY), ("get", "/", ""), ("PUT", "/svc/x?", " ")] {
        let signature = bench.signature(method, target, body.as_bytes());
        assert_eq!(bench.diagnose(method, target, body.as_bytes(), &signature), None);
    }
}

#[test]
fn every_mistake_is_tested_and_has_texts_of_its_own() {
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
    tested.extend(request::bodies().into_iter().map(|(_, _, mistake)| mistake));
    tested.extend(request::targets().into_iter().map(|(_, _, mistake)| mistake));
    tested.extend(signature::schemes(&bench).into_iter().map(|(_, mistake)| mistake));
    tested.extend(signature::paddings().into_iter().map(|(_, mistake)| mistake));
    tested.extend(signature::spellings(&right).into_iter().map(|(_, mistake)| mistake));
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
fn a_body_of_white_space_is_ambiguous_in_any_chunks() {
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

/// In `POST\n/svc/a?q=1\n{"n":1}` the query begins at byte 11, the body at byte 16.
#[test]
fn the_first_different_byte_of_the_pre_sign_strings_is_returned() {
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
fn every_step_of_the_hmac_chain_is_returned() {
    let bench = Bench::new();
    let stamp = Stamp { request_time: bench.credential.request_time, nonce: bench.nonce };
    let chain = message::Chain::of(&stamp, "POST", TARGET, &[BODY]);
    let hexed = |value: &[u8; 32]| String::from_utf8(message::hex(value).to_vec()).unwrap();
    let first = hmac(NONCE.as_bytes(), TIME.as_bytes());
    assert_eq!(chain.first, hexed(&first));
    assert_eq!(chain.second, hexed(&hmac(&first, ALGORITHM.as_bytes())));
    assert!(chain.message == signature_message(&stamp, "POST", TARGET, &[BODY]));
}
