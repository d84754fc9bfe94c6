//! The verification of webhooks: the known deliveries, and deliveries for the tests of each area.

mod forgeries;
mod keys;
mod mutations;

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
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

/// A delivery with changeable parts.
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
    /// The valid delivery of the reference page.
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

    fn verdict_by(&self, key: &VerifyingKey, now: &str, tolerance: Duration) -> Result<(), DeliveryError> {
        let app_id: AppId = APP_ID.parse().unwrap();
        let body = [&self.body[..]];
        let delivery = Delivery { method: &self.method, target: &self.target, headers: self.headers(), body: &body };
        let accepted = [Accepted { name: "shop", app_id: &app_id, key }];
        verify(&delivery, accepted, now.parse().unwrap(), Window::webhook(tolerance)).map(drop)
    }

    fn verdict_at(&self, now: &str) -> Result<(), DeliveryError> {
        self.verdict_by(&KEY, now, TOLERANCE)
    }

    fn verdict(&self) -> Result<(), DeliveryError> {
        self.verdict_at("20260214094511")
    }

    fn refusal(&self) -> &'static str {
        self.verdict().map_or_else(|refusal| refusal.name(), |()| "verified")
    }
}

#[test]
fn every_known_delivery_verifies_and_signing_repeats_it() {
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

        // In any chunks, including empty ones.
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
fn copies_of_a_delivery_share_an_identity_and_other_deliveries_differ() {
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
    // Unsigned headers do not matter: a replay with another action is a copy.
    assert_eq!(identity(&Sent::right().set("x-action", "order.refunded").add("x-request-id", "1")), first);
    assert_ne!(identity(&Sent::from(&VECTORS[1])), first);
    assert_ne!(identity(&Sent::from(&VECTORS[2])), first);
}

#[test]
fn names_are_distinct_and_each_refusal_has_fault_and_cause() {
    let names = DeliveryError::names();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    for name in &names {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    }
    let header = HeaderError { header: Header::Nonce, fault: Fault::Repeated };
    for refusal in [DeliveryError::Header(header), DeliveryError::SignatureMismatch, DeliveryError::TimeInFuture(9)] {
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
