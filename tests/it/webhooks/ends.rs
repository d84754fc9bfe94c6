//! Limits, floods and drain of the webhook listener, as on the signing listener.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::outcome;
use crate::support::{
    closed::until_refused,
    patience::soon,
    sidecar::{Sidecar, until},
    upstream::{Act, Recorder},
    webhooks::{Delivery, receiver_of},
    wire::{Message, exchange, read_message, request},
};

fn refused(answer: &Message) -> (u16, String) {
    let (status, code, sent) = answer.contract();
    assert_eq!(sent, "no");
    (status, code)
}

#[tokio::test]
async fn oversized_and_slow_webhooks_are_rejected_as_on_the_signing_listener() {
    let application = Recorder::start().await;
    let toml = "limits.webhook_body = \"100B\"\ntimeouts.body = \"500ms\"\ntimeouts.request_head = \"500ms\"";
    let (sidecar, address) = receiver_of(&application, toml).await;
    let large = Delivery::of("/", &"x".repeat(101)).send(address).await;
    assert_eq!(refused(&large), (413, "body_too_large".to_owned()));
    assert!(large.text().contains("limits.webhook_body"), "{}", large.text());
    let chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n";
    let chunked = [&chunked[..], &[b'x'; 101], b"\r\n0\r\n\r\n"].concat();
    assert_eq!(refused(&exchange(address, &chunked).await), (413, "body_too_large".to_owned()));
    let half = request("POST", "/", &[("Content-Length", "9")], b"");
    assert_eq!(refused(&exchange(address, &half).await), (408, "body_timeout".to_owned()));
    assert_eq!(refused(&exchange(address, b"POST / HT").await), (408, "head_timeout".to_owned()));
    for reason in ["body_too_large", "body_timeout", "head_timeout"] {
        let series = format!("wonder_signer_webhook_errors_total{{reason=\"{reason}\"}}");
        assert!(sidecar.metric(&series).await >= 1.0, "{reason}");
    }
    // A failed webhook is not counted as a failed request to Wonder.
    let series = "wonder_signer_proxy_errors_total{reason=\"body_too_large\",sent=\"no\"}";
    assert!(sidecar.metric(series).await.abs() < f64::EPSILON);
    assert_eq!(application.connections(), 0);
}

#[tokio::test]
async fn the_status_page_has_webhooks_by_outcome_and_names_their_problems() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let status = async || exchange(sidecar.admin, &request("GET", "/status.json", &[], b"")).await.text();
    assert!(status().await.contains("\"problems\":[]"));
    assert_eq!(Delivery::paid().send(address).await.status(), 200);
    assert_eq!(Delivery::paid().with("Nonce", "short").send(address).await.status(), 401);
    until(sidecar.admin, "wonder_signer_webhook_errors_total{reason=\"nonce_malformed\"}", 1.0).await;
    let seen = status().await;
    for part in [
        r#""title":"Webhooks""#,
        r#"{"label":"acknowledged","cells":["1","1"]}"#,
        r#"{"label":"rejected","cells":["1","1"]}"#,
        "got 401",
        r#""runbook":"WonderSignerWebhooksRejected""#,
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let without = Sidecar::before("http://127.0.0.1:9").await;
    let page = exchange(without.admin, &request("GET", "/status.json", &[], b"")).await.text();
    assert!(!page.contains("Webhooks"), "{page}");
}

#[tokio::test]
async fn a_chunked_delivery_is_verified_like_any_other() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, "").await;
    let delivery = Delivery::paid().and("Transfer-Encoding", "chunked");
    let (first, second) = delivery.body.split_at(7);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let body = format!("{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", first.len(), text(first), second.len(), text(second));
    let head = Delivery { body: Vec::new(), ..delivery.clone() }.bytes();
    assert_eq!(exchange(address, &[head, body.into_bytes()].concat()).await.status(), 200);
    let received = application.next().await;
    assert_eq!((received.body, received.head.contains("transfer-encoding")), (delivery.body, false));
}

/// Two deliveries use up the limit in `toml`; the next one is rejected, and signing goes on.
async fn flooded(toml: &str) {
    let (application, permits) = Recorder::holding().await;
    let (sidecar, address) = receiver_of(&application, toml).await;
    let held: Vec<_> =
        (0..2).map(|_| tokio::spawn(async move { Delivery::paid().send(address).await.status() })).collect();
    application.next().await;
    application.next().await;
    let rejected = Delivery::paid().send(address).await;
    assert_eq!(refused(&rejected), (503, "overloaded".to_owned()));
    assert_eq!(rejected.value("retry-after"), Some("1"));
    // This answer comes from behind the limits of the signing listener.
    let answer = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(answer.contract().1, "upstream_connect");
    permits.add_permits(2);
    for delivery in held {
        assert_eq!(soon(delivery).await.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_flood_of_webhooks_is_rejected_with_retry_after_and_takes_no_slot_of_signing() {
    flooded("limits.requests_in_flight = 2\ntimeouts.queue = \"0s\"").await;
}

#[tokio::test]
async fn connections_of_webhooks_take_no_place_of_connections_to_wonder() {
    flooded("limits.connections = 2").await;
}

#[tokio::test]
async fn a_drain_finishes_the_deliveries_in_flight() {
    let (application, permits) = Recorder::holding().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let delivery = tokio::spawn(async move { Delivery::paid().send(address).await });
    let impatient = tokio::spawn(async move { Delivery::paid().send(address).await });
    application.next().await;
    application.next().await;
    impatient.abort();
    let _ = impatient.await;
    sidecar.ask_to_stop();
    until_refused(address).await;
    permits.add_permits(2);
    let answer = soon(delivery).await.unwrap();
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
    soon(sidecar.stop()).await;
}

#[tokio::test]
async fn a_delivery_that_outlasts_the_grace_period_gets_a_503_that_wonder_repeats() {
    let application = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let (sidecar, address) = receiver_of(&application, "shutdown.grace = \"50ms\"").await;
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck.write_all(&Delivery::paid().bytes()).await.unwrap();
    application.next().await;
    soon(sidecar.stop()).await;
    let answer = read_message(&mut stuck, false).await.unwrap();
    assert_eq!(refused(&answer), (503, "draining".to_owned()));
    assert_eq!(answer.value("connection"), Some("close"));
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_webhook_after_a_rejected_one() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (delivery, status) in
        [(Delivery::paid().with("Nonce", "x"), 401), (Delivery::paid(), 200), (Delivery::paid(), 200)]
    {
        stream.write_all(&delivery.bytes()).await.unwrap();
        assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), status);
    }
    until(sidecar.admin, &outcome("order.paid", "acknowledged"), 2.0).await;
    assert_eq!(application.connections(), 1);
}

#[tokio::test]
async fn an_acknowledgement_does_not_wait_for_the_end_of_the_applications_answer() {
    for begun in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nreceived",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n",
        "HTTP/1.0 200 OK\r\n\r\nreceived",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let application = Recorder::acting(|_| Act::Stall(begun.as_bytes().to_vec())).await;
        let (_sidecar, webhook) = receiver_of(&application, "webhook.forward_timeout = \"10m\"").await;
        let delivery = Delivery::paid();
        assert_eq!(soon(delivery.send(webhook)).await.status(), 200, "{begun}");
        application.next().await;
        assert_eq!(delivery.send(webhook).await.status(), 200, "a repeat of {begun}");
        assert_eq!(application.waiting(), 0, "{begun}");
    }
}

#[tokio::test]
async fn senders_that_stall_lock_no_webhook_out() {
    let application = Recorder::start().await;
    let toml = "limits.connections = 8\nlimits.requests_in_flight = 4";
    let (_sidecar, address) = receiver_of(&application, toml).await;
    let half = Delivery { body: Vec::new(), ..Delivery::paid() }.and("Content-Length", "70").bytes();
    let mut stalled = Vec::new();
    for bytes in [&half[..], &half[..half.len() - 9], b"POST /ho"].into_iter().cycle().take(30) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        stalled.push(stream);
    }
    for _ in 0..3 {
        assert_eq!(soon(Delivery::paid().send(address)).await.status(), 200);
    }
}

#[tokio::test]
async fn bodies_over_the_shared_memory_limit_are_shed_and_requests_to_wonder_have_their_own() {
    let (application, permits) = Recorder::holding().await;
    let (sidecar, address) = receiver_of(&application, "limits.buffered = \"1MiB\"").await;
    let large = Delivery::of("/", &"x".repeat(700_000));
    let held = tokio::spawn(async move { large.send(address).await.status() });
    application.next().await;
    let second = Delivery::of("/", &"y".repeat(700_000)).send(address).await;
    assert_eq!(refused(&second), (503, "overloaded".to_owned()));
    let answer = exchange(sidecar.listen, &request("POST", "/svc/a", &[], &vec![b'x'; 700_000])).await;
    assert_eq!(answer.contract().1, "upstream_connect");
    permits.add_permits(1);
    assert_eq!(soon(held).await.unwrap(), 200);
}
