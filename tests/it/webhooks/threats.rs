//! The threat table: each attack, sent to the socket, with its exact name in metric and log. The sender gets the same answer for all.

use proptest::prelude::*;
use wonder_signer::signing::SigningKey;

use crate::support::{
    logged::Logged,
    sidecar::{APP_ID, KEY_PEM, until},
    upstream::Recorder,
    webhooks::{Delivery, PAID, WONDER, key_file, now, receiver_of},
    wire::Message,
};

const OTHER_APP: &str = "2f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e12";

/// The delivery's credential with one of its parts replaced.
fn credential(delivery: &Delivery, part: usize, text: &str) -> String {
    let mut parts: Vec<&str> = delivery.value("credential").split('/').collect();
    parts[part] = text;
    parts.join("/")
}

fn threats() -> Vec<(&'static str, Delivery)> {
    let good = Delivery::paid();
    let own = SigningKey::from_pem(KEY_PEM.as_bytes()).unwrap();
    let target = |target: &str| Delivery { target: target.to_owned(), ..good.clone() };
    let body = |body: &[u8]| Delivery { body: body.to_vec(), ..good.clone() };
    let part = |part: usize, text: &str| good.clone().with("Credential", &credential(&good, part, text));
    let long = "a".repeat(2000);
    let mut flipped = good.value("signature").to_owned();
    flipped.replace_range(10..11, if flipped.as_bytes()[10] == b'A' { "B" } else { "A" });
    let mut all = vec![
        ("method", Delivery { method: "PUT".to_owned(), ..good.clone() }),
        ("signature_mismatch", target("/hooks/wonder?src=x")),
        ("signature_mismatch", target("/hooks/wonder")),
        ("signature_mismatch", target("/hooks/wonder?src=w&")),
        ("signature_mismatch", target("/hooks/wonde%72?src=w")),
        ("signature_mismatch", target("/Hooks/wonder?src=w")),
        ("signature_mismatch", body(b"{}")),
        ("signature_mismatch", body(format!("{PAID} ").as_bytes())),
        ("signature_mismatch", body(&PAID.as_bytes()[..PAID.len() - 1])),
        ("signature_mismatch", body(PAID.replace(':', ": ").as_bytes())),
        ("body_empty", body(b"")),
        ("content_encoding", good.clone().and("Content-Encoding", "gzip")),
        ("signature_mismatch", good.clone().with("Signature", &flipped)),
        ("signature_mismatch", good.clone().with("Nonce", "AAAAAAAAAAAAAAAA")),
        ("signature_mismatch", Delivery::signed(&own, APP_ID, now(), "/hooks/wonder?src=w", PAID)),
        ("signature_encoding", good.clone().with("Signature", "not base64")),
        ("nonce_malformed", good.clone().with("Nonce", "short")),
        ("app_id_unknown", Delivery::signed(&WONDER, OTHER_APP, now(), "/", PAID)),
        ("app_id_malformed", part(0, "shop")),
        ("time_malformed", part(1, "yesterday")),
        ("algorithm_mobile", part(2, "Wonder-HMAC-SHA256")),
        ("algorithm", part(2, "none")),
        ("credential_parts", good.clone().with("Credential", &good.value("credential").replacen('/', "-", 1))),
        ("credential_parts", good.clone().with("Credential", &format!("{}/x", good.value("credential")))),
        ("time_too_old", Delivery::at(now() - 24 * 3600 - 31 * 60, "/", PAID)),
        ("time_in_future", Delivery::at(now() + 2400 + 37, "/", PAID)),
        ("time_local", Delivery::at(now() + 8 * 3600, "/", PAID)),
    ];
    for (header, name) in [("Credential", "credential"), ("Nonce", "nonce"), ("Signature", "signature")] {
        let value = good.value(header).to_owned();
        let named = |fault: &str| -> &'static str { format!("{name}_{fault}").leak() };
        all.extend([
            (named("missing"), good.clone().without(header)),
            (named("repeated"), good.clone().and(header, &value)),
            (named("empty"), good.clone().with(header, "")),
            (named("oversized"), good.clone().with(header, &long)),
            (named("not_ascii"), good.clone().with(header, "\u{e4}")),
        ]);
    }
    all.extend([
        ("action_repeated", good.clone().and("X-Action", "order.refunded")),
        ("action_empty", good.clone().with("X-Action", "")),
        ("action_oversized", good.clone().with("X-Action", &long)),
        ("action_not_ascii", good.clone().with("X-Action", "\u{e4}")),
    ]);
    all
}

/// The answer without its request id.
fn seen(answer: &Message) -> (u16, String, Vec<String>) {
    let id = answer.value("x-request-id").unwrap();
    let head = answer.head.lines().filter(|line| !line.starts_with("date:")).map(|line| line.replace(id, "ID"));
    (answer.status(), answer.text().replace(id, "ID"), head.collect())
}

#[tokio::test]
async fn each_attack_has_a_name_and_all_get_the_same_answer() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let mut counts = std::collections::BTreeMap::new();
    let mut answers = Vec::new();
    for (name, delivery) in threats() {
        let answer = delivery.send(address).await;
        assert_eq!(answer.contract(), (401, "webhook_rejected".to_owned(), "no".to_owned()), "{name}");
        answers.push(seen(&answer));
        *counts.entry(name).or_insert(0) += 1;
        let series = format!("wonder_signer_webhook_errors_total{{reason=\"{name}\"}}");
        until(sidecar.admin, &series, f64::from(counts[name])).await;
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(application.waiting(), 0);
    assert_eq!(application.connections(), 0);
    // The delivery from which all of them were made is accepted.
    assert_eq!(Delivery::paid().send(address).await.status(), 200);
}

#[tokio::test]
async fn the_log_names_the_reason_and_repeats_no_value_of_the_sender() {
    let application = Recorder::start().await;
    let file = key_file();
    let variables = [
        ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", &application.origin()),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", file.path().to_str().unwrap()),
        ("WONDER_SIGNER_LOG__LEVEL", "trace"),
    ];
    let program = Logged::before("http://127.0.0.1:9", &variables).await;
    let address = program.webhook.unwrap();
    for (name, delivery) in threats() {
        assert_eq!(delivery.and("X-Marker", "MARKER-header").send(address).await.status(), 401);
        let line = program.line("webhook").await;
        assert_eq!((line["reason"].as_str(), line["outcome"].as_str()), (Some(name), Some("rejected")), "{line}");
        assert!(line["likely_cause"].as_str().unwrap().len() > 20 && line["level"] == "info", "{line}");
        assert!(line["request_id"].as_str().unwrap().len() == 36 && line["peer"] == "127.0.0.1", "{line}");
    }
    let secret = format!(
        r#"{{"otp":"MARKER-otp","card":"4929770000031337","correspondence_state":"paid","x":"{}"}}"#,
        "y".repeat(9000)
    );
    let delivery = Delivery::of("/hooks/MARKER-path?token=MARKER-query", &secret).with("X-Action", "MARKER-action");
    assert_eq!(delivery.send(address).await.status(), 200);
    let line = program.line("webhook").await;
    assert_eq!(line["outcome"], "acknowledged");
    assert_eq!((line["action"].as_str(), line["paid"].as_str()), (Some("other"), Some("yes")));
    assert_eq!(line["body_bytes"], secret.len());
    let (credential, signature) = (delivery.value("credential").to_owned(), delivery.value("signature").to_owned());
    let everything = program.stop().await;
    for secret in ["MARKER", "4929770000031337", &credential, &signature, delivery.value("nonce")] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[tokio::test]
async fn a_delivery_with_one_changed_byte_is_rejected() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, "").await;
    let good = Delivery::paid();
    // Every byte of the request target, of the three headers and of the body, with one bit flipped.
    let (target, body) = (good.target.len(), good.body.len());
    for at in 0..body {
        let mut changed = good.clone();
        changed.body[at] ^= 1;
        assert_eq!(changed.send(address).await.status(), 401, "body {at}");
    }
    for at in 1..target {
        let mut bytes = good.target.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = Delivery { target: String::from_utf8(bytes).unwrap(), ..good.clone() };
        assert_eq!(changed.send(address).await.status(), 401, "target {at}");
    }
    for header in ["Credential", "Nonce", "Signature"] {
        let value = good.value(header).to_owned();
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = good.clone().with(header, std::str::from_utf8(&bytes).unwrap());
            assert_eq!(changed.send(address).await.status(), 401, "{header} {at}");
        }
    }
    assert_eq!(application.connections(), 0);
    assert_eq!(good.send(address).await.status(), 200);
}

#[test]
fn arbitrary_changes_of_a_delivery_never_verify() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (application, (_sidecar, address)) = runtime.block_on(async {
        let application = Recorder::start().await;
        let receiver = receiver_of(&application, "").await;
        (application, receiver)
    });
    let change = (0..5_usize, any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..6));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 300, ..ProptestConfig::default() });
    runner
        .run(&change, |(part, at, bytes)| {
            let good = Delivery::paid();
            let mut changed = good.clone();
            let splice = |text: &[u8]| {
                let at = at.index(text.len() + 1);
                let until = (at + bytes.len() / 2).min(text.len());
                [&text[..at], &bytes, &text[until..]].concat()
            };
            match part {
                0 => changed.body = splice(&good.body),
                1 => changed.target = String::from_utf8_lossy(&splice(good.target.as_bytes())).into_owned(),
                part => {
                    let header = ["Credential", "Nonce", "Signature"][part - 2];
                    let value = splice(good.value(header).as_bytes());
                    let visible = value.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte));
                    changed = changed.with(header, &visible.collect::<String>());
                }
            }
            let same = changed.body == good.body && changed.target == good.target && changed.headers == good.headers;
            let header = changed.headers == good.headers;
            prop_assume!(
                !same
                    && (header
                        || changed.value("Signature") != good.value("Signature")
                        || changed.value("Credential") != good.value("Credential")
                        || changed.value("Nonce") != good.value("Nonce"))
            );
            let status = runtime.block_on(changed.send(address)).status();
            prop_assert_eq!(status, 401);
            Ok(())
        })
        .unwrap();
    assert_eq!(application.connections(), 0);
}
