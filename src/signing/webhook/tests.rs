//! The threat table: each way to cheat, alone, with the name of its refusal; and each honest delivery that a careless verifier would
//! refuse.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde::Deserialize;

use super::{super::tests::KnownAnswers, *};
use crate::signing::{
    ALGORITHM,
    headers::{Fault, HeaderError},
};

const APP_ID: &str = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11";
const WEBHOOK_KEY: &str = "rsa2048-pkcs1";
const REQUEST_KEY: &str = "rsa2048-pkcs8";
/// `webhook.tolerance` by default.
const TOLERANCE: Duration = Duration::from_mins(24 * 60 + 30);

#[derive(Deserialize)]
struct Vectors {
    deliveries: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    key: String,
    target: String,
    action: Option<String>,
    credential: String,
    nonce: String,
    message_hex: String,
    signature: String,
    body_base64: String,
}

static KNOWN: LazyLock<KnownAnswers> = LazyLock::new(KnownAnswers::load);
static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| KNOWN.key(WEBHOOK_KEY).1);
static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(|| {
    let vectors: Vectors = serde_json::from_str(include_str!("../../../tests/vectors/wonder-webhook.json")).unwrap();
    assert_eq!(vectors.deliveries.len(), 10, "the file is whole");
    vectors.deliveries
});

/// A delivery whose every part can be changed.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl From<&Vector> for Sent {
    fn from(vector: &Vector) -> Self {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let mut headers = vec![
            header("content-type", "application/json"),
            header("credential", &vector.credential),
            header("nonce", &vector.nonce),
            header("signature", &vector.signature),
        ];
        headers.extend(vector.action.as_ref().map(|action| header("x-action", action)));
        Self {
            method: "POST".to_owned(),
            target: vector.target.clone().into_bytes(),
            headers,
            body: BASE64_STANDARD.decode(&vector.body_base64).unwrap(),
        }
    }
}

impl Sent {
    /// The delivery of the reference page.
    fn right() -> Self {
        Self::from(&VECTORS[0])
    }

    fn value(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.headers.iter_mut().find(|(other, _)| other == name).unwrap().1
    }

    fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        *self.value(name) = value.as_ref().to_vec();
        self
    }

    fn add(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Replaces the middle part of the credential.
    fn at(self, time: &str) -> Self {
        self.set("credential", format!("{APP_ID}/{time}/{ALGORITHM}"))
    }

    fn headers(&self) -> Headers<'_> {
        Headers::collect(self.headers.iter().map(|(name, value)| (name.as_bytes(), &value[..])))
    }

    fn verdict_by(&self, key: &VerifyingKey, now: &str, tolerance: Duration) -> Result<(), Refusal> {
        let app_id: AppId = APP_ID.parse().unwrap();
        let body = [&self.body[..]];
        let delivery = Delivery { method: &self.method, target: &self.target, headers: self.headers(), body: &body };
        let accepted = [Accepted { name: "shop", app_id: &app_id, key }];
        verify(&delivery, accepted, now.parse().unwrap(), Window::webhook(tolerance)).map(drop)
    }

    fn verdict_at(&self, now: &str) -> Result<(), Refusal> {
        self.verdict_by(&KEY, now, TOLERANCE)
    }

    fn verdict(&self) -> Result<(), Refusal> {
        self.verdict_at("20260214094511")
    }

    fn refusal(&self) -> &'static str {
        self.verdict().map_or_else(|refusal| refusal.name(), |()| "verified")
    }
}

#[test]
fn every_known_delivery_verifies_and_is_signed_alike() {
    let known = &*KNOWN;
    for vector in &*VECTORS {
        let name = &vector.name;
        let (private, public) = known.key(&vector.key);
        let credential: Credential = vector.credential.parse().unwrap();
        let stamp = Stamp { request_time: credential.request_time, nonce: vector.nonce.parse().unwrap() };
        let sent = Sent::from(vector);

        let message = crate::signing::signature_message(&stamp, METHOD, &vector.target, &[&sent.body]);
        assert_eq!(message.as_str(), vector.message_hex, "{name}");
        let signed = sign(&private, &credential.app_id, &stamp, &vector.target, &[&sent.body]).unwrap();
        assert_eq!((&signed.credential, &signed.nonce), (&vector.credential, &vector.nonce), "{name}");
        assert_eq!(signed.signature, vector.signature, "{name}");

        // In any chunks, empty ones among them.
        for cut in [0, 1, sent.body.len() / 2, sent.body.len()] {
            let (first, rest) = sent.body.split_at(cut);
            let chunks = [first, b"", rest];
            let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &chunks };
            let accepted = [Accepted { name: "shop", app_id: &credential.app_id, key: &public }];
            let window = Window::webhook(TOLERANCE);
            let verified = verify(&delivery, accepted, credential.request_time, window).unwrap();
            assert_eq!(verified.credential_name(), "shop");
            assert_eq!(verified.app_id(), &credential.app_id);
            assert_eq!(verified.request_time(), credential.request_time);
            assert_eq!(verified.nonce(), stamp.nonce);
            assert_eq!(verified.action(), vector.action.as_deref(), "{name}");
        }
    }
}

#[test]
fn each_signed_part_altered_alone_is_refused() {
    let right = Sent::right();
    assert_eq!(right.refusal(), "verified");
    let changed = |change: fn(&mut Sent)| {
        let mut sent = right.clone();
        change(&mut sent);
        sent.refusal()
    };
    assert_eq!(changed(|sent| sent.method = "PUT".to_owned()), "method");
    assert_eq!(changed(|sent| sent.method = "post".to_owned()), "method");
    assert_eq!(changed(|sent| sent.method = "GET".to_owned()), "method");
    assert_eq!(changed(|sent| sent.body[3] ^= 1), "signature_mismatch");
    assert_eq!(changed(|sent| sent.target = b"/hooks/wonder?src=x".to_vec()), "signature_mismatch");
    assert_eq!(right.clone().set("nonce", "B3k0vWn8ZsE1yQ7e").refusal(), "signature_mismatch");
    assert_eq!(right.clone().at("20260214094512").refusal(), "signature_mismatch");
    let other = Sent::from(&VECTORS[1]).headers.remove(3).1;
    assert_eq!(right.clone().set("signature", other).refusal(), "signature_mismatch");
}

#[test]
fn each_header_that_is_missing_repeated_empty_oversized_or_not_ascii_is_refused_by_name() {
    for header in Header::ALL {
        let name = header.name().to_ascii_lowercase();
        let label = if header == Header::Action { "action" } else { &name[..] };
        let right = Sent::right();
        let value = right.clone().value(&name).clone();
        let missing = right.clone().without(&name).refusal();
        if header == Header::Action {
            // The oldest page of Wonder's documents has no such header.
            assert_eq!(missing, "verified");
        } else {
            assert_eq!(missing, format!("{label}_missing"));
        }
        assert_eq!(right.clone().add(&name, &value).refusal(), format!("{label}_repeated"));
        assert_eq!(right.clone().add(header.name(), b"other").refusal(), format!("{label}_repeated"));
        assert_eq!(right.clone().set(&name, b"").refusal(), format!("{label}_empty"));
        assert_eq!(right.clone().set(&name, vec![b'A'; 1025]).refusal(), format!("{label}_oversized"));
        for text in [&b"\xe9"[..], "ä".as_bytes(), b"a\tb", b"a\0", b"\x7f"] {
            assert_eq!(right.clone().set(&name, text).refusal(), format!("{label}_not_ascii"), "{text:?}");
        }
        // Longer than any key's signature, yet not too long to be read.
        if header == Header::Signature {
            let long = BASE64_STANDARD.encode([0x55; 600]);
            assert_eq!(right.clone().set(&name, long).refusal(), "signature_mismatch");
        }
    }
}

#[test]
fn a_header_name_in_any_case_is_the_same_header() {
    let mut sent = Sent::right();
    for (name, _) in &mut sent.headers {
        *name = name.to_ascii_uppercase();
    }
    assert_eq!(sent.refusal(), "verified");
}

#[test]
fn a_malformed_credential_is_refused_by_the_part_that_is_wrong() {
    let time = "20260214094511";
    for (credential, expected) in [
        (format!("{APP_ID}/{time}"), "credential_parts"),
        (APP_ID.to_owned(), "credential_parts"),
        (format!("{APP_ID}/{time}/{ALGORITHM}/x"), "credential_parts"),
        (format!("{APP_ID}/{time}/{ALGORITHM}/"), "credential_parts"),
        (format!("/{APP_ID}/{time}/{ALGORITHM}"), "credential_parts"),
        (format!("{APP_ID}/{time}/Wonder-HMAC-SHA256"), "algorithm_mobile"),
        (format!("{APP_ID}/{time}/Wonder-RSA-SHA512"), "algorithm"),
        (format!("{APP_ID}/{time}/wonder-rsa-sha256"), "algorithm"),
        (format!("{APP_ID}/{time}/none"), "algorithm"),
        (format!("{APP_ID}/{time}/"), "algorithm"),
        (format!("shop/{time}/{ALGORITHM}"), "app_id_malformed"),
        (format!(" {APP_ID}/{time}/{ALGORITHM}"), "app_id_malformed"),
        (format!("1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e12/{time}/{ALGORITHM}"), "app_id_unknown"),
        (format!("{}/{time}/{ALGORITHM}", APP_ID.to_uppercase()), "app_id_unknown"),
        (format!("{APP_ID}/2026-02-14T09:45:11Z/{ALGORITHM}"), "time_malformed"),
        (format!("{APP_ID}/1771062311/{ALGORITHM}"), "time_malformed"),
        (format!("{APP_ID}/20260230094511/{ALGORITHM}"), "time_malformed"),
    ] {
        assert_eq!(Sent::right().set("credential", &credential).refusal(), expected, "{credential}");
    }
    for nonce in ["short", "B3k0vWn8ZsE1yQ7dd", "B3k0vWn8ZsE1yQ7-", "B3k0vWn8 sE1yQ7d"] {
        assert_eq!(Sent::right().set("nonce", nonce).refusal(), "nonce_malformed", "{nonce}");
    }
}

#[test]
fn an_app_id_in_another_case_is_named_as_the_cause() {
    let sent = Sent::right().set("credential", format!("{}/20260214094511/{ALGORITHM}", APP_ID.to_uppercase()));
    let refusal = sent.verdict().unwrap_err();
    assert_eq!(refusal, Refusal::AppIdUnknown { only_case: true });
    assert!(refusal.likely_cause().contains("another case"), "{}", refusal.likely_cause());
}

#[test]
fn a_time_outside_the_window_is_refused_in_both_directions() {
    let right = Sent::right(); // 2026-02-14 09:45:11
    for (now, expected) in [
        ("20260214094511", "verified"),
        ("20260215101511", "verified"), // 24 h 30 min later
        ("20260215101512", "time_too_old"),
        ("20270214094511", "time_too_old"),
        ("20260214091511", "verified"), // 30 min before
        ("20260214091310", "time_in_future"),
        ("20260213094511", "time_in_future"),
        ("19700101000000", "time_in_future"),
        ("20260214014511", "time_local"), // 8 h before, as in Hong Kong
        ("20260214014611", "time_local"),
        ("20260214041511", "time_local"), // 5 h 30 min before, as in India
    ] {
        let verdict = right.verdict_at(now).map_or_else(|refusal| refusal.name(), |()| "verified");
        assert_eq!(verdict, expected, "at {now}");
    }
    let verdict = |now, minutes: u64| right.verdict_by(&KEY, now, Duration::from_secs(minutes * 60));
    assert_eq!(verdict("20260214101511", 30), Ok(()));
    let late = verdict("20260214101512", 30).unwrap_err();
    // Local time west of Greenwich is in the past too.
    assert_eq!(late.to_string(), "the request time is 1801 s in the past, which is the offset of UTC-00:30");
    let old = Refusal::TimeTooOld { seconds: 5 * 3600, offset: Some(crate::signing::diagnosis::clock::Offset(-300)) };
    assert_eq!(verdict("20260214144511", 30), Err(old));
    assert!(old.likely_cause().contains("local time"));
    assert_eq!(verdict("20260214094512", 0).unwrap_err().name(), "time_too_old");
}

#[test]
fn a_body_that_is_not_the_one_signed_is_refused() {
    let right = Sent::right();
    let with = |body: &[u8]| Sent { body: body.to_vec(), ..right.clone() };
    let text = String::from_utf8(right.body.clone()).unwrap();
    for (what, body) in [
        ("truncated", &right.body[..right.body.len() - 1]),
        ("cut in the middle", &right.body[..100]),
        ("its first byte lost", &right.body[1..]),
        ("a line end added", format!("{text}\n").as_bytes()),
        ("a byte order mark added", format!("\u{feff}{text}").as_bytes()),
        ("re-serialised", text.replace(':', ": ").as_bytes()),
        ("chunk framing left in", format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).as_bytes()),
        ("another order", text.replace("INV-7781", "INV-7782").as_bytes()),
    ] {
        assert_eq!(with(body).refusal(), "signature_mismatch", "{what}");
    }
    assert_eq!(with(b"").refusal(), "body_empty");
    let gzip = with(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).add("content-encoding", "gzip");
    assert_eq!(gzip.refusal(), "content_encoding");
    assert_eq!(right.clone().add("content-encoding", "br").refusal(), "content_encoding");
    assert_eq!(right.clone().add("content-encoding", "Identity").refusal(), "verified");
}

#[test]
fn an_empty_body_is_refused_though_it_was_signed() {
    let (private, public) = KNOWN.key(WEBHOOK_KEY);
    let stamp = Stamp { request_time: "20260214094511".parse().unwrap(), nonce: "B3k0vWn8ZsE1yQ7d".parse().unwrap() };
    let empty: [&[u8]; 0] = [];
    let signed = sign(&private, &APP_ID.parse().unwrap(), &stamp, "/hooks/wonder?src=w", &empty).unwrap();
    let sent = Sent { body: Vec::new(), ..Sent::right().set("signature", signed.signature) };
    assert_eq!(sent.verdict_by(&public, "20260214094511", TOLERANCE), Err(Refusal::BodyEmpty));
}

#[test]
fn a_target_that_is_not_the_one_signed_is_refused() {
    let refusal = |at: usize, target: &[u8]| Sent { target: target.to_vec(), ..Sent::from(&VECTORS[at]) }.refusal();
    for (at, target, what) in [
        (0, "/hooks/wonder", "the query left out"),
        (0, "/hooks/wonder?", "the query's value left out"),
        (0, "/hooks/wonder?src=w&x=1", "a parameter added"),
        (0, "/wonder?src=w", "a prefix stripped"),
        (0, "/shop/hooks/wonder?src=w", "a prefix added"),
        (0, "//hooks/wonder?src=w", "a slash doubled"),
        (0, "/hooks/wonder/?src=w", "a slash added"),
        (0, "/hooks/./wonder?src=w", "a dot segment"),
        (0, "/Hooks/wonder?src=w", "another case"),
        (1, "/hooks/wonder?", "a question mark added"),
        (1, "/hooks/wonder?src=w", "a query added"),
        (4, "/hooks/caf%c3%a9/%2f?next=%2Fshop%3Fa%3D1&x=+", "escapes in lower case"),
        (4, "/hooks/caf%C3%A9//?next=/shop?a=1&x=+", "escapes decoded"),
        (4, "/hooks/caf%C3%A9/%2f?next=%2Fshop%3Fa%3D1&x=%20", "a plus rewritten"),
        (4, "/hooks/caf%25C3%25A9/%252f?next=%252Fshop%253Fa%253D1&x=+", "escapes encoded twice"),
        (5, "/hooks/wonder", "a bare question mark dropped"),
    ] {
        assert_eq!(refusal(at, target.as_bytes()), "signature_mismatch", "{what}");
    }
    for (target, what) in [
        (&b""[..], "no path"),
        (b"?src=w", "no path but a query"),
        (b"hooks/wonder?src=w", "no slash"),
        (b"https://shop.example/hooks/wonder?src=w", "a whole URL"),
        (b"*", "an asterisk"),
        (b"/hooks/wonder?src=w#a", "a fragment"),
        (b"/hooks/wonder ?src=w", "a space"),
        ("/hooks/café".as_bytes(), "raw UTF-8"),
        (b"/hooks/\xff", "a raw byte"),
        (b"/hooks/wonder\n?src=w", "a line end"),
    ] {
        assert_eq!(refusal(0, target), "target", "{what}");
    }
}

#[test]
fn another_key_is_refused_even_that_of_the_merchant() {
    let known = &*KNOWN;
    for name in known.keys.keys().filter(|name| *name != WEBHOOK_KEY) {
        let verdict = Sent::right().verdict_by(&known.key(name).1, "20260214094511", TOLERANCE);
        assert_eq!(verdict, Err(Refusal::SignatureMismatch), "{name}");
    }
}

#[test]
fn a_delivery_of_one_app_id_is_not_accepted_for_another() {
    let known = &*KNOWN;
    let (ours, theirs) = (known.key(WEBHOOK_KEY).1, known.key(REQUEST_KEY).1);
    let other: AppId = "2f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11".parse().unwrap();
    let app_id: AppId = APP_ID.parse().unwrap();
    let accepted =
        [Accepted { name: "a", app_id: &app_id, key: &ours }, Accepted { name: "b", app_id: &other, key: &theirs }];
    let sent = Sent::right().set("credential", format!("{other}/20260214094511/{ALGORITHM}"));
    let body = [&sent.body[..]];
    let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
    let verdict = verify(&delivery, accepted, "20260214094511".parse().unwrap(), Window::webhook(TOLERANCE));
    assert_eq!(verdict.unwrap_err(), Refusal::SignatureMismatch);
}

#[test]
fn an_app_id_with_two_keys_verifies_with_either() {
    let known = &*KNOWN;
    let (old, new) = (known.key(WEBHOOK_KEY).1, known.key("rsa4096-pkcs8").1);
    let app_id: AppId = APP_ID.parse().unwrap();
    let accepted =
        [Accepted { name: "old", app_id: &app_id, key: &old }, Accepted { name: "new", app_id: &app_id, key: &new }];
    for (vector, expected) in [(0, "old"), (8, "new")] {
        let sent = Sent::from(&VECTORS[vector]);
        let body = [&sent.body[..]];
        let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
        let now = "20260214094511".parse().unwrap();
        let verified = verify(&delivery, accepted, now, Window::webhook(TOLERANCE)).unwrap();
        assert_eq!(verified.credential_name(), expected);
    }
}

#[test]
fn no_accepted_key_verifies_nothing() {
    let sent = Sent::right();
    let body = [&sent.body[..]];
    let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
    let verdict = verify(&delivery, [], "20260214094511".parse().unwrap(), Window::webhook(TOLERANCE));
    assert_eq!(verdict.unwrap_err().name(), "app_id_unknown");
}

#[test]
fn a_signature_in_another_spelling_is_refused() {
    let right = String::from_utf8(Sent::right().value("signature").clone()).unwrap();
    for (what, text) in [
        ("unpadded", right.trim_end_matches('=').to_owned()),
        ("URL-safe", right.replace('+', "-").replace('/', "_")),
        ("quoted", format!("\"{right}\"")),
        ("two in one header", format!("{right}, {right}")),
        ("percent-encoded", right.replace('=', "%3D")),
    ] {
        if text != right {
            assert_eq!(Sent::right().set("signature", text).refusal(), "signature_encoding", "{what}");
        }
    }
    for text in ["AAAA", &"A".repeat(344)] {
        assert_eq!(Sent::right().set("signature", text).refusal(), "signature_mismatch", "{text}");
    }
}

#[test]
fn every_copy_of_a_delivery_has_one_identity_and_no_other_delivery_has_it() {
    let app_id: AppId = APP_ID.parse().unwrap();
    let identity = |sent: &Sent| {
        let body = [&sent.body[..]];
        let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
        let accepted = [Accepted { name: "shop", app_id: &app_id, key: &KEY }];
        let now = "20260214094511".parse().unwrap();
        verify(&delivery, accepted, now, Window::webhook(TOLERANCE)).unwrap().identity()
    };
    let first = identity(&Sent::right());
    assert_eq!(identity(&Sent::right()), first);
    // What is not signed changes nothing: a replay under another action is a copy.
    assert_eq!(identity(&Sent::right().set("x-action", "order.refunded").add("x-request-id", "1")), first);
    assert_ne!(identity(&Sent::from(&VECTORS[1])), first);
    assert_ne!(identity(&Sent::from(&VECTORS[2])), first);
}

#[test]
fn names_are_distinct_and_each_refusal_says_what_and_why() {
    let names = Refusal::names();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    for name in &names {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    }
    let header = HeaderError { header: Header::Nonce, fault: Fault::Repeated };
    for refusal in [Refusal::Header(header), Refusal::SignatureMismatch, Refusal::TimeInFuture(9)] {
        assert!(names.contains(&refusal.name()));
        assert!(!refusal.to_string().ends_with('.') && !refusal.likely_cause().ends_with('.'));
    }
}

#[test]
fn debug_of_a_verified_delivery_shows_neither_nonce_nor_signature() {
    let (sent, app_id) = (Sent::right(), APP_ID.parse().unwrap());
    let body = [&sent.body[..]];
    let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
    let accepted = [Accepted { name: "shop", app_id: &app_id, key: &KEY }];
    let verified = verify(&delivery, accepted, "20260214094511".parse().unwrap(), Window::REQUEST).unwrap();
    let text = format!("{verified:?}");
    let vector = &VECTORS[0];
    assert!(text.contains("shop") && !text.contains(&vector.nonce) && !text.contains(&vector.signature[..20]));
}

#[test]
fn a_webhook_key_is_read_in_every_encoding_of_the_field() {
    let known = &*KNOWN;
    let key = known.key(WEBHOOK_KEY).1;
    let pem = key.to_pem().unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(&base64).unwrap();
    let hex = der.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let pkcs1_der = &der[24..];
    let pkcs1 = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        BASE64_STANDARD.encode(pkcs1_der)
    );
    for (what, text) in [
        ("PEM", pem.clone()),
        ("PEM, PKCS#1", pkcs1.clone()),
        ("PEM with CRLF", pem.replace('\n', "\r\n")),
        ("PEM with literal \\n", pem.replace('\n', "\\n")),
        ("PEM on one line", pem.replace('\n', " ")),
        ("base64 of a PEM", BASE64_STANDARD.encode(&pem)),
        ("base64 of a PEM in PKCS#1", BASE64_STANDARD.encode(&pkcs1)),
        ("base64 DER", base64.clone()),
        ("base64 DER in lines", pem.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n")),
        ("hex DER", hex.clone()),
        ("hex DER in upper case", hex.to_uppercase()),
    ] {
        assert_eq!(public_key(text.as_bytes(), []), Ok(key.clone()), "{what}");
        assert_eq!(
            public_key(format!("  {text}\n").as_bytes(), []),
            Ok(key.clone()),
            "{what}, with white space around"
        );
    }
    assert_eq!(public_key(&der, []), Ok(key));
}

#[test]
fn the_wrong_key_of_the_two_is_refused_and_the_right_one_named() {
    let known = &*KNOWN;
    let request = known.key(REQUEST_KEY).1;
    let pems = &known.keys[REQUEST_KEY];
    let hidden = "Webhook Public Key";
    for text in [pems.private_key_pem.clone(), BASE64_STANDARD.encode(&pems.private_key_pem)] {
        let error = public_key(text.as_bytes(), []).unwrap_err();
        assert_eq!(error, WebhookKeyError::Private);
        assert!(error.to_string().contains(hidden));
    }
    for text in [pems.public_key_pem.clone(), BASE64_STANDARD.encode(&pems.public_key_pem)] {
        let error = public_key(text.as_bytes(), [&request]).unwrap_err();
        assert_eq!(error, WebhookKeyError::RequestKey { fingerprint: request.fingerprint().to_owned() });
        assert!(error.to_string().contains(hidden), "{error}");
        assert!(public_key(text.as_bytes(), [&known.key(WEBHOOK_KEY).1]).is_ok(), "another key's half is no reason");
    }
    for (text, said) in [("", "is empty"), ("secret", "holds no PEM block"), ("aGVsbG8=", "holds no PEM block")] {
        assert!(public_key(text.as_bytes(), []).unwrap_err().to_string().starts_with(said), "{text}");
    }
    let small = &known.refused_keys["rsa2047-pkcs1"].public_key_pem;
    assert!(public_key(small.as_bytes(), []).unwrap_err().to_string().contains("2047 bits"));
}

/// The signed bytes of a delivery and the places that a mutation can reach: method, target, three headers, body.
fn mutate(sent: &mut Sent, part: usize, at: usize, byte: u8) -> bool {
    let name = ["credential", "nonce", "signature"];
    let bytes: &mut Vec<u8> = match part {
        0 => {
            // A method is ASCII, else the parser of the request has refused it.
            let at = at % sent.method.len();
            let mut method = sent.method.clone().into_bytes();
            let old = std::mem::replace(&mut method[at], byte & 0x7f);
            let same = old == method[at];
            sent.method = String::from_utf8(method).unwrap();
            return !same;
        }
        1 => &mut sent.target,
        2..=4 => sent.value(name[part - 2]),
        _ => &mut sent.body,
    };
    let at = at % bytes.len();
    std::mem::replace(&mut bytes[at], byte) != byte
}

#[test]
fn no_bit_of_a_delivery_can_be_flipped() {
    let right = Sent::right();
    let lengths = [right.method.len(), right.target.len(), 69, 16, 344, right.body.len()];
    let mut flipped = 0;
    for (part, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            for bit in 0..8 {
                let mut sent = right.clone();
                let bytes = match part {
                    0 => sent.method.as_bytes(),
                    1 => &sent.target[..],
                    2 => sent.value("credential"),
                    3 => sent.value("nonce"),
                    4 => sent.value("signature"),
                    _ => &sent.body[..],
                };
                assert_eq!(bytes.len(), length, "part {part}");
                let byte = bytes[at] ^ (1 << bit);
                if !mutate(&mut sent, part, at, byte) {
                    continue;
                }
                let verdict = sent.verdict_by(&KEY, "20260214094511", TOLERANCE);
                assert!(verdict.is_err(), "part {part}, byte {at}, bit {bit}");
                flipped += 1;
            }
        }
    }
    assert!(flipped > 6000, "{flipped}");
}

proptest! {
    #[test]
    fn a_mutated_delivery_never_verifies(
        changes in prop::collection::vec((0..6_usize, 0..4096_usize, any::<u8>()), 1..4),
        vector in 0..10_usize,
    ) {
        let vector = &VECTORS[vector];
        let key = if vector.key == WEBHOOK_KEY { KEY.clone() } else { KNOWN.key(&vector.key).1 };
        let right = Sent::from(vector);
        let mut sent = right.clone();
        for (part, at, byte) in changes {
            mutate(&mut sent, part, at, byte);
        }
        let same = sent.method == right.method && sent.target == right.target && sent.headers == right.headers
            && sent.body == right.body;
        let now = vector.credential.split('/').nth(1).unwrap();
        prop_assert_eq!(sent.verdict_by(&key, now, TOLERANCE).is_ok(), same);
    }

    #[test]
    fn bytes_cannot_move_between_target_and_body(cut in 0..19_usize, joint in prop::sample::select(vec!["", "\n", "\r\n"])) {
        let mut sent = Sent::right();
        let moved = sent.target.split_off(cut.max(1));
        sent.body = [&moved[..], joint.as_bytes(), &sent.body].concat();
        prop_assert_eq!(sent.refusal(), if moved.is_empty() && joint.is_empty() { "verified" } else { "signature_mismatch" });
    }

    #[test]
    fn whatever_is_signed_verifies(target in "/[!-\"$-~]{0,80}", body in prop::collection::vec(any::<u8>(), 1..200), nonce in "[0-9A-Za-z]{16}") {
        let (private, public) = KNOWN.key(WEBHOOK_KEY);
        let stamp = Stamp { request_time: "20260214094511".parse().unwrap(), nonce: nonce.parse().unwrap() };
        let signed = sign(&private, &APP_ID.parse().unwrap(), &stamp, &target, &[&body]).unwrap();
        let sent = Sent { target: target.into_bytes(), body, ..Sent::right() };
        let sent = sent.set("nonce", &signed.nonce).set("signature", &signed.signature);
        prop_assert_eq!(sent.verdict_by(&public, "20260214094511", TOLERANCE), Ok(()));
    }
}
