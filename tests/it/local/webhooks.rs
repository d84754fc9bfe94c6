//! `dev --webhook-to` and `send-webhook` as processes.

use std::{fs, net::SocketAddr};

use serde_json::Value;
use tempfile::TempDir;

use super::{FREE, address, ready};
use crate::support::{
    program::Program,
    sidecar::APP_ID,
    upstream::Recorder,
    wire::{exchange, request},
};

#[test]
fn dev_with_a_webhook_listener_needs_a_handler() {
    let address = ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0");
    let forward_to = ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", "http://127.0.0.1:4321");
    let start = "usage: webhook.address (from environment variable WONDER_SIGNER_WEBHOOK__ADDRESS) needs --webhook-to with the URL of your handler";
    for (variables, example) in
        [(&[address][..], "http://127.0.0.1:3000/hook"), (&[address, forward_to], "http://127.0.0.1:4321/hook")]
    {
        let ended = Program::run(&["dev"], variables, b"");
        assert_eq!(ended.refused(64), format!("{start}, such as {example}"));
    }
}

/// Creates an order by an unsigned call to the sidecar.
async fn order(listen: SocketAddr) -> Value {
    let body = br#"{"order":{"reference_number":"INV-1","charge_fee":"120.00","currency":"HKD"}}"#;
    let target = "/svc/payment/api/v1/openapi/orders";
    let answer = exchange(listen, &request("POST", target, &[("Content-Type", "application/json")], body)).await;
    serde_json::from_slice::<Value>(&answer.body).unwrap()["data"]["order"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_sends_webhooks_to_a_handler_in_one_step() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (ready_file, key) = (path("ready.json"), path("webhook_key.pem"));
    let handler = Recorder::start().await;
    let url = format!("{}/hook?src=w", handler.origin());
    let mut dev = Program::start(
        &["dev", "--webhook-to", &url, "--webhook-public-key-out", &key, "--ready-file", &ready_file],
        &FREE,
        b"",
    );
    dev.line_with("\"message\":\"ready\"");
    let ready = ready(&ready_file);
    let created = order(address(&ready, "listen")).await;
    let webhook = handler.next().await;
    assert_eq!(webhook.start_line(), "POST /hook?src=w HTTP/1.1");
    assert_eq!(webhook.value("x-action"), Some("order.created"));
    assert_eq!(webhook.value("x-wonder-signer-verified"), Some("default"), "it went through the webhook listener");
    assert_eq!(webhook.value("signature"), None);
    let body: Value = serde_json::from_slice(&webhook.body).unwrap();
    assert_eq!(body["number"], created["number"]);

    // The listener does not forward a delivery without the key's signature to the handler.
    let listener = address(&ready, "webhook");
    let forged = Program::run(&["send-webhook", "--to", &format!("http://{listener}/hook?src=w"), "--probe"], &[], b"");
    assert!(!forged.out.contains("accepted a forged webhook"), "{forged:?}");
    assert_eq!(handler.waiting(), 0);
    assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
    dev.signal("TERM");
    assert_eq!(dev.end().code(), Some(0));
}

#[test]
fn invalid_webhook_options_stop_the_start() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (out, twice) = (path("a.pem"), path("b.pem"));
    for (arguments, line) in [
        (
            &["--webhook-url", "https://shop.example/hook"][..],
            "usage: --webhook-url: shop.example is not loopback; allow it with --webhook-allow shop.example",
        ),
        (
            &["--webhook-to", "http://shop:3000/hook"],
            "usage: --webhook-to: shop is not loopback; allow it with --webhook-allow shop",
        ),
        (
            &["--webhook-public-key-out", &out, "--webhook-public-key-out", &twice],
            "usage: --webhook-public-key-out is given 2 times for 1 AppIDs; give it once for each, in the same order",
        ),
        (
            &["--time-scale", "0"],
            "usage: --time-scale <FACTOR>: must be a number such as 60, which makes an hour a minute; try --help",
        ),
        (
            &["--webhook-to", "https://127.0.0.1:3000/hook"],
            "usage: --webhook-to: the sidecar forwards webhooks over plain HTTP; write http://, or use --webhook-url",
        ),
        (
            &["--webhook-url", "shop.example"],
            "usage: --webhook-url <URL>: not an origin; write for example \"https://127.0.0.1:4443\"; try --help",
        ),
    ] {
        let ended = Program::run(&[&["dev"], arguments].concat(), &FREE, b"");
        assert_eq!(ended.refused(64), line);
    }
    assert!(!fs::exists(&out).unwrap());
}

/// The simulator with TLS serves as an https endpoint that has no webhook handler.
#[test]
fn send_webhook_uses_https_and_trusts_the_given_authority() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (ready_file, ca, keys) = (path("ready.json"), path("ca.pem"), path("keys"));
    assert_eq!(Program::run(&["keygen", "--out", &keys], &[], b"").code(), Some(0));
    let public = format!("{keys}/public_key.pem");
    let arguments =
        ["simulate", "--app-id", APP_ID, "--public-key-file", &public, "--ca-out", &ca, "--ready-file", &ready_file];
    let mut simulator = Program::start(&arguments, &[("WONDER_SIGNER_LISTEN__ADDRESS", "127.0.0.1:0")], b"");
    simulator.line_with("simulator ready");
    let url = format!("https://{}/hook", address(&ready(&ready_file), "listen"));
    let trusting = Program::run(&["send-webhook", "--to", &url, "--ca-file", &ca], &[], b"");
    assert!(trusting.err.contains("your endpoint rejected a valid webhook (HTTP 404)"), "{trusting:?}");
    assert!(trusting.out.contains("404 Not Found in "), "{trusting:?}");
    let careful = Program::run(&["send-webhook", "--to", &url], &[], b"");
    assert!(careful.err.contains("cannot agree on TLS"), "{careful:?}");
    assert_eq!(careful.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_callback_is_the_handler_of_dev_sends_each_webhook_once() {
    let directory = TempDir::new().unwrap();
    let ready_file = directory.path().join("ready.json").to_str().unwrap().to_owned();
    let handler = Recorder::start().await;
    let url = format!("{}/hook", handler.origin());
    let mut dev = Program::start(&["dev", "--webhook-to", &url, "--ready-file", &ready_file], &FREE, b"");
    dev.line_with("\"message\":\"ready\"");
    let listen = address(&ready(&ready_file), "listen");
    for (callback, expected) in [(url.clone(), "/hook"), (format!("{}/own?a=1", handler.origin()), "/own?a=1")] {
        let body = format!(
            "{{\"order\":{{\"reference_number\":\"r\",\"charge_fee\":\"1\",\"currency\":\"HKD\",\"callback_url\":\"{callback}\"}}}}"
        );
        let target = "/svc/payment/api/v1/openapi/orders";
        exchange(listen, &request("POST", target, &[("Content-Type", "application/json")], body.as_bytes())).await;
        let mut targets = Vec::new();
        for _ in 0..if callback == url { 1 } else { 2 } {
            let webhook = handler.next().await;
            assert_eq!(webhook.value("x-wonder-signer-verified"), Some("default"));
            targets.push(webhook.start_line().to_owned());
        }
        assert!(targets.contains(&format!("POST {expected} HTTP/1.1")), "{targets:?}");
    }
    assert_eq!(handler.waiting(), 0);
    dev.signal("TERM");
    assert_eq!(dev.end().code(), Some(0));
}
