//! SIGTERM with deliveries in flight: the last line of the log names those that were cut.

use serde_json::json;
use tempfile::NamedTempFile;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::outcome;
use crate::support::{
    logged::Logged,
    patience::soon,
    sidecar::until,
    upstream::{Act, Recorder},
    webhooks::{Delivery, key_file},
    wire::{exchange, read_message, request},
};

/// The program, and the file of its webhook key.
async fn program(application: &Recorder, more: &[(&str, &str)]) -> (Logged, NamedTempFile) {
    let (file, origin) = (key_file(), application.origin());
    let usual = [
        ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", &origin),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", file.path().to_str().unwrap()),
    ];
    (Logged::before(&application.origin(), &[&usual[..], more].concat()).await, file)
}

async fn open(program: &Logged, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(program.webhook.unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn the_last_line_names_the_webhooks_that_were_cut() {
    let application = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let (program, _key) = program(&application, &[("WONDER_SIGNER_SHUTDOWN__GRACE", "300ms")]).await;
    let delivery = Delivery::paid();
    let mut at_the_application = open(&program, &delivery.bytes()).await;
    let received = application.next().await;
    // A copy that waits for the first, a body that does not arrive, and a sender that has hung up.
    let mut copy = open(&program, &delivery.bytes()).await;
    let half = Delivery { body: Vec::new(), ..Delivery::paid() }.and("Content-Length", "70");
    let mut slow = open(&program, &half.bytes()).await;
    let impatient = open(&program, &Delivery::paid().bytes()).await;
    application.next().await;
    drop(impatient);
    program.signal("TERM");
    let draining = program.line("draining").await;
    assert!(draining["webhooks_in_flight"].as_u64().unwrap() >= 2, "{draining}");
    let mut ids = Vec::new();
    for stream in [&mut at_the_application, &mut copy, &mut slow] {
        let answer = soon(read_message(stream, false)).await.unwrap();
        assert_eq!(answer.contract(), (503, "draining".to_owned(), "no".to_owned()));
        ids.push(answer.value("x-request-id").unwrap().to_owned());
    }
    assert_eq!(received.value("x-request-id"), Some(ids[0].as_str()));
    let last = program.line("stopped; Wonder sends the webhooks that were cut again").await;
    assert_eq!(
        json!([last["level"], last["finished"], last["cut"], last["webhooks_finished"], last["webhooks_cut"]]),
        json!(["warn", 0, 0, 0, 4]),
        "{last}"
    );
    let named = last["webhooks_cut_request_ids"].as_str().unwrap();
    assert!(ids.iter().all(|id| named.contains(id)) && named.split(',').count() == 4, "{last}");
    // No request to Wonder was cut, so the program did what it was to do.
    program.stop().await;
}

#[tokio::test]
async fn the_last_line_counts_the_webhooks_that_a_drain_finished() {
    let (application, permits) = Recorder::holding().await;
    let (program, _key) = program(&application, &[]).await;
    let mut first = open(&program, &Delivery::paid().bytes()).await;
    application.next().await;
    program.signal("TERM");
    program.line("draining").await;
    permits.add_permits(1);
    assert_eq!(soon(read_message(&mut first, false)).await.unwrap().status(), 200);
    let last = program.line("stopped").await;
    assert_eq!(
        json!([last["level"], last["webhooks_finished"], last["webhooks_cut"], last["webhooks_cut_request_ids"]]),
        json!(["info", 1, 0, null]),
        "{last}"
    );
}

#[tokio::test]
async fn requests_and_webhooks_that_were_cut_are_in_one_line() {
    let application = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let (program, _key) = program(&application, &[("WONDER_SIGNER_SHUTDOWN__GRACE", "50ms")]).await;
    let _webhook = open(&program, &Delivery::paid().bytes()).await;
    application.next().await;
    let mut call = TcpStream::connect(program.listen).await.unwrap();
    call.write_all(&request("POST", "/svc/a", &[("X-Request-ID", "paid-or-not")], b"{}")).await.unwrap();
    application.next().await;
    program.signal("TERM");
    let last = program.line("stopped; ask Wonder what became of the requests that may have been sent").await;
    assert_eq!(
        json!([last["level"], last["cut"], last["maybe_sent_request_ids"], last["webhooks_cut"]]),
        json!(["error", 1, "paid-or-not", 1]),
        "{last}"
    );
}

#[tokio::test]
async fn without_a_webhook_listener_the_last_line_has_no_webhooks() {
    let upstream = Recorder::start().await;
    let program = Logged::before(&upstream.origin(), &[]).await;
    program.signal("TERM");
    let last = program.line("stopped").await;
    assert!(last.as_object().unwrap().keys().all(|name| !name.starts_with("webhook")), "{last}");
}

#[tokio::test]
async fn during_the_drain_delay_webhooks_are_accepted_and_then_their_connections_close() {
    let application = Recorder::start().await;
    let delay = [("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "10m")];
    let (program, _key) = program(&application, &delay).await;
    let mut kept = open(&program, &Delivery::paid().bytes()).await;
    assert_eq!(soon(read_message(&mut kept, false)).await.unwrap().value("connection"), None);
    program.signal("TERM");
    program.line("draining").await;
    kept.write_all(&Delivery::paid().bytes()).await.unwrap();
    let answer = soon(read_message(&mut kept, false)).await.unwrap();
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
    let new = exchange(program.webhook.unwrap(), &Delivery::paid().bytes()).await;
    assert_eq!((new.status(), new.value("connection")), (200, Some("close")));
    until(program.admin, &outcome("order.paid", "acknowledged"), 3.0).await;
}
