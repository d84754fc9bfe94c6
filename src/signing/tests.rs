//! The scheme against the known-answer vectors, stage by stage, and against everything that must not verify.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::*;

#[path = "../../tests/vectors/known_answers.rs"]
mod known_answers;

pub(super) use self::known_answers::KnownAnswers;
use self::known_answers::Vector;

impl KnownAnswers {
    /// The private and public key `name`.
    pub(super) fn key(&self, name: &str) -> (SigningKey, VerifyingKey) {
        let pems = &self.keys[name];
        let private = SigningKey::from_pem(pems.private_key_pem.as_bytes()).unwrap();
        (private, VerifyingKey::from_pem(pems.public_key_pem.as_bytes()).unwrap())
    }
}

impl Vector {
    fn stamp(&self) -> Stamp {
        Stamp { request_time: self.request_time.parse().unwrap(), nonce: self.nonce.parse().unwrap() }
    }
}

#[test]
fn every_known_answer_vector_holds_at_every_stage() {
    let vectors = KnownAnswers::load();
    assert_eq!(vectors.algorithm, ALGORITHM);
    assert_eq!(vectors.vectors.len(), 21, "the file is whole");
    for vector in &vectors.vectors {
        let name = &vector.name;
        let (private, public) = vectors.key(&vector.key);
        let (stamp, body) = (vector.stamp(), [vector.body()]);
        let app_id: AppId = vector.app_id.parse().unwrap();

        let credential = Credential { app_id: app_id.clone(), request_time: stamp.request_time };
        assert_eq!(credential.to_string(), vector.credential, "{name}: credential");
        assert_eq!(vector.credential.parse(), Ok(credential), "{name}: credential read back");

        let message = signature_message(&stamp, &vector.method, &vector.uri, &body);
        assert_eq!(message.as_str(), vector.message_hex, "{name}: message_hex");

        let signed = sign(&private, &app_id, &stamp, &vector.method, &vector.uri, &body).unwrap();
        assert_eq!(signed.credential, vector.credential, "{name}: signed credential");
        assert_eq!(signed.nonce, vector.nonce, "{name}: nonce");
        assert_eq!(signed.signature, vector.signature, "{name}: signature");

        let verdict = verify(&public, &stamp, &vector.method, &vector.uri, &body, &vector.signature);
        assert_eq!(verdict, Ok(()), "{name}: verification");
        assert_eq!(private.verifying_key().fingerprint(), public.fingerprint(), "{name}: both halves");
    }
}

#[test]
fn gives_the_messages_of_the_reference_page() {
    let stamp = Stamp { request_time: "20260214093005".parse().unwrap(), nonce: "q7Zt1LmX0aRc9KpV".parse().unwrap() };
    let echo = "/svc/payment/api/v1/openapi/echo";
    let customer =
        r#"{"customer":{"name":"Kestrel Tea Room","phone":"55501234","reference_number":"KTR-0042"}}"#.as_bytes();
    let orders = "/svc/payment/api/v1/openapi/orders/list?filter[created_at][_gte]=2026-01-01T00:00:00+08:00\
                  &filter[state][_in]=invoiced,completed&limit=50";
    let cases: [(&str, &str, &[u8], &str); 5] = [
        (
            "POST",
            "/svc/payment/api/v1/openapi/customers",
            customer,
            "e6fc76e980ffc7fc0101fca75d1b74f896ebfdf088035c3834d39d095c41ee1f",
        ),
        (
            "GET",
            "/svc/payment/api/v1/openapi/customers?limit=20&offset=0",
            b"",
            "7288a6cd11cef0ac6ea1ce4ec0eb58ab29e31d8a929f00b7d045391ee8b3153b",
        ),
        ("GET", orders, b"", "e18172d0ca4e5d60fabd69b0eedd13162d075687708d7c75e969c4d67780935e"),
        ("post", echo, b" ", "ed08aeabf349c079963638bd57c0d5df4e0b1ebfb240dfd83c2ed966d7108f3d"),
        ("POST", echo, b"", "8de609d0ea0a12aee3ce61443a0f6f1d378d014685fc67c7ecf5c75cc6c9cd4f"),
    ];
    for (number, (method, target, body, expected)) in (1..).zip(cases) {
        assert_eq!(signature_message(&stamp, method, target, &[body]).as_str(), expected, "case {number}");
    }
}

#[test]
fn a_body_in_any_chunks_gives_the_same_message() {
    let vectors = KnownAnswers::load();
    for vector in &vectors.vectors {
        let (stamp, body) = (vector.stamp(), vector.body());
        let message = |chunks: &[&[u8]]| {
            let message = signature_message(&stamp, &vector.method, &vector.uri, chunks);
            assert_eq!(message.as_str(), vector.message_hex, "{}: {} chunks", vector.name, chunks.len());
        };
        message(&[&body]);
        for at in 0..=body.len() {
            let (head, tail) = body.split_at(at);
            message(&[head, tail]);
            message(&[b"", head, b"", tail, b""]);
        }
        for size in 1..=body.len() {
            message(&body.chunks(size).collect::<Vec<_>>());
        }
    }
    let stamp = vectors.vectors[3].stamp();
    let empty: [&[u8]; 0] = [];
    let nothing = signature_message(&stamp, "GET", "/svc/x", &empty);
    assert!(nothing == signature_message(&stamp, "GET", "/svc/x", &[b"", b"", b""]), "empty chunks are no body");
}

#[test]
fn a_changed_byte_anywhere_fails_verification() {
    let vectors = KnownAnswers::load();
    for vector in &vectors.vectors {
        let name = &vector.name;
        let (_, public) = vectors.key(&vector.key);
        let (stamp, body) = (vector.stamp(), vector.body());
        let refuses = |stamp: &Stamp, method: &str, target: &str, body: &[u8], what: &str| {
            let verdict = verify(&public, stamp, method, target, &[body], &vector.signature);
            assert_eq!(verdict, Err(VerifyError::Mismatch), "{name}: {what}");
        };

        for at in 0..vector.method.len() {
            refuses(&stamp, &changed(&vector.method, at), &vector.uri, &body, &format!("method byte {at}"));
        }
        for at in 0..vector.uri.len() {
            refuses(&stamp, &vector.method, &changed(&vector.uri, at), &body, &format!("target byte {at}"));
        }
        for at in 0..body.len() {
            let mut body = body.clone();
            body[at] ^= 1;
            refuses(&stamp, &vector.method, &vector.uri, &body, &format!("body byte {at}"));
        }
        for at in 0..16 {
            let stamp = Stamp { nonce: changed(&vector.nonce, at).parse().unwrap(), ..stamp };
            refuses(&stamp, &vector.method, &vector.uri, &body, &format!("nonce byte {at}"));
        }
        for at in 0..14 {
            // Not every digit can change and still make a time.
            if let Ok(request_time) = changed(&vector.request_time, at).parse() {
                let stamp = Stamp { request_time, ..stamp };
                refuses(&stamp, &vector.method, &vector.uri, &body, &format!("time byte {at}"));
            }
        }

        let longer = [&body[..], b" "].concat();
        refuses(&stamp, &vector.method, &vector.uri, &longer, "a byte added to the body");
        if let Some((_, shorter)) = body.split_last() {
            let cut = body.len() - 1;
            refuses(&stamp, &vector.method, &vector.uri, shorter, "the last body byte removed");
            refuses(&stamp, &vector.method, &vector.uri, &body[1..], "the first body byte removed");
            assert_eq!(shorter.len(), cut);
        }
        refuses(&stamp, &vector.method, &format!("{}?", vector.uri), &body, "a question mark added");
    }
}

/// `text` with another character of the same kind at `at`, upper-case letters staying so.
fn changed(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'z' => b'y',
        b'Z' => b'Y',
        b'9' => b'8',
        byte => byte + 1,
    };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_end_cannot_move_between_target_and_body() {
    let stamp = KnownAnswers::load().vectors[0].stamp();
    let joined = signature_message(&stamp, "POST", "/svc/a", &[b"b"]);
    assert!(joined != signature_message(&stamp, "POST", "/svc/ab", &[b""]));
    assert!(joined != signature_message(&stamp, "POST", "/svc/", &[b"ab"]));
}

#[test]
fn another_key_does_not_verify() {
    let vectors = KnownAnswers::load();
    for vector in &vectors.vectors {
        for other in vectors.keys.keys().filter(|other| **other != vector.key) {
            let (_, public) = vectors.key(other);
            let verdict =
                verify(&public, &vector.stamp(), &vector.method, &vector.uri, &[vector.body()], &vector.signature);
            assert_eq!(verdict, Err(VerifyError::Mismatch), "{} under {other}", vector.name);
        }
    }
}

#[test]
fn a_changed_signature_does_not_verify() {
    let vectors = KnownAnswers::load();
    let vector = &vectors.vectors[0];
    let (_, public) = vectors.key(&vector.key);
    let verdict =
        |text: &str| verify(&public, &vector.stamp(), &vector.method, &vector.uri, &[vector.body()], text).unwrap_err();
    let right = BASE64_STANDARD.decode(&vector.signature).unwrap();
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 0x10;
        assert_eq!(verdict(&BASE64_STANDARD.encode(wrong)), VerifyError::Mismatch, "byte {at}");
    }
    let zero_before = [&[0], &right[..]].concat();
    for (what, wrong) in [
        ("empty", &[][..]),
        ("a byte short", &right[..255]),
        ("a zero byte before", &zero_before),
        ("all zero", &[0; 256]),
        ("the largest number", &[0xff; 256]),
        ("one", &[&[0; 255][..], &[1]].concat()),
    ] {
        assert_eq!(verdict(&BASE64_STANDARD.encode(wrong)), VerifyError::Mismatch, "{what}");
    }
}

#[test]
fn only_padded_standard_base64_in_one_line_is_a_signature() {
    let vectors = KnownAnswers::load();
    let vector = &vectors.vectors[0];
    let (_, public) = vectors.key(&vector.key);
    let right = &vector.signature;
    assert!(right.contains(['+', '/']) && right.ends_with('='), "the vector shows the difference");
    for (what, wrong) in [
        ("URL-safe", right.replace('+', "-").replace('/', "_")),
        ("unpadded", right.trim_end_matches('=').to_owned()),
        ("a space before", format!(" {right}")),
        ("a line end after", format!("{right}\n")),
        ("wrapped", format!("{}\n{}", &right[..64], &right[64..])),
        ("not ASCII", format!("é{}", &right[1..])),
        (
            "spare bits set",
            right.replace("A==", "B==").replace("g==", "h==").replace("Q==", "R==").replace("w==", "x=="),
        ),
    ] {
        let verdict = verify(&public, &vector.stamp(), &vector.method, &vector.uri, &[vector.body()], &wrong);
        assert_eq!(verdict, Err(VerifyError::Encoding), "{what}");
    }
}

#[test]
fn debug_of_what_was_signed_shows_neither_nonce_nor_signature() {
    let vectors = KnownAnswers::load();
    let vector = &vectors.vectors[0];
    let (private, _) = vectors.key(&vector.key);
    let app_id = vector.app_id.parse().unwrap();
    let signed = sign(&private, &app_id, &vector.stamp(), &vector.method, &vector.uri, &[vector.body()]).unwrap();
    assert_eq!(format!("{signed:?}"), format!("Signed {{ credential: {:?}, .. }}", vector.credential));
    let message = signature_message(&vector.stamp(), &vector.method, &vector.uri, &[vector.body()]);
    assert_eq!(format!("{message:?}"), "SignatureMessage(..)");
    assert!(!format!("{:?}", vector.stamp()).contains(&vector.nonce));
}
