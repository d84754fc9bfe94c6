//! Webhooks: only signed deliveries verify. The input is a request head and a body. The fuzzer has no private key, so a delivery that
//! verifies must equal one of the known deliveries in every signed byte.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wonder_signer::signing::{
    AppId, RequestTime, VerifyingKey,
    headers::{Header, Headers},
    webhook::{Accepted, Delivery, DeliveryError, verify},
    window::Window,
};

/// Target, credential, nonce, signature and body of a signed delivery.
type Signed = (String, String, String, String, Vec<u8>);

struct Known {
    app_id: AppId,
    key: VerifyingKey,
    now: RequestTime,
    signed: Vec<Signed>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let keys: Value = serde_json::from_str(include_str!("../../vectors/wonder-rsa-sha256.json")).unwrap();
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/wonder-webhook.json")).unwrap();
    let pem = keys["keys"]["rsa2048-pkcs1"]["public_key_pem"].as_str().unwrap();
    let signed = vectors["deliveries"].as_array().unwrap().iter().map(|vector| {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        (text("target"), text("credential"), text("nonce"), text("signature"), BASE64_STANDARD.decode(text("body_base64")).unwrap())
    });
    Known {
        app_id: "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11".parse().unwrap(),
        key: VerifyingKey::from_pem(pem.as_bytes()).unwrap(),
        now: "20260214094511".parse().unwrap(),
        signed: signed.collect(),
    }
});

fuzz_target!(|input: &[u8]| {
    let end = input.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(input.len());
    let body = input.get(end + 4..).unwrap_or_default();
    let mut lines = input[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut words = lines.next().unwrap_or_default().splitn(3, |byte| *byte == b' ');
    let Ok(method) = std::str::from_utf8(words.next().unwrap_or_default()) else { return };
    let target = words.next().unwrap_or_default();
    let headers = Headers::collect(lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    }));

    let Known { app_id, key, now, signed } = &*KNOWN;
    let accepted = [Accepted { name: "shop", app_id, key }];
    let delivery = Delivery { method, target, headers, body: &[body] };
    match verify(&delivery, accepted, *now, Window::webhook(Duration::from_secs(88_200))) {
        Ok(verified) => {
            let header = |header| headers.one(header).unwrap();
            let known = signed.iter().any(|(to, credential, nonce, signature, sent)| {
                (to.as_bytes(), &sent[..]) == (target, body)
                    && credential == header(Header::Credential)
                    && nonce == header(Header::Nonce)
                    && signature == header(Header::Signature)
            });
            assert!(known && method == "POST");
            assert_eq!(verified.app_id(), app_id);
        }
        Err(refusal) => {
            assert!(DeliveryError::names().contains(&refusal.name()));
            assert!(refusal.to_string().len() < 200 && refusal.likely_cause().len() < 400);
        }
    }
});
