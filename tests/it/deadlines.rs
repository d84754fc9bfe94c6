//! The deadline of an answer: `timeouts.request`, or earlier with `X-Wonder-Signer-Timeout`.

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use crate::support::{
    logged::Logged,
    sidecar::{Sidecar, assert_signed},
    upstream::{Act, Recorder},
    wire::{Message, exchange, read_message, request},
};

const TIMEOUT: &str = "X-Wonder-Signer-Timeout";

fn post(timeout: &str) -> Vec<u8> {
    request("POST", "/svc/a", &[(TIMEOUT, timeout)], b"{}")
}

/// Status, code and `sent`, and whether the message names the header or the key.
fn timed_out(answer: &Message) -> (u16, String, String, &'static str) {
    let text = answer.text();
    let named = match (text.contains(TIMEOUT), text.contains("timeouts.request")) {
        (true, false) => "header",
        (false, true) => "key",
        _ => "neither",
    };
    let (status, code, sent) = answer.contract();
    (status, code, sent, named)
}

fn late(sent: &str, by: &'static str) -> (u16, String, String, &'static str) {
    (504, "upstream_timeout".to_owned(), sent.to_owned(), by)
}

#[tokio::test]
async fn a_caller_may_shorten_its_deadline_but_not_lengthen_it() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    // Each request is sent long before its deadline, also on a busy machine.
    let sidecar = Sidecar::with(&upstream.origin(), "[timeouts]\nrequest = \"4s\"\nsign = \"1m\"").await;
    let own = [("2s", "header"), ("4s", "key"), ("1h", "key"), ("100years", "key")];
    let without = (request("GET", "/svc/a", &[], b""), "key");
    let calls = own.map(|(timeout, by)| (post(timeout), by)).into_iter().chain([without]);
    let answers = calls.map(|(call, by)| async move { (timed_out(&exchange(sidecar.listen, &call).await), by) });
    for (answer, by) in futures_util::future::join_all(answers).await {
        assert_eq!(answer, late("maybe", by));
    }
}

#[tokio::test]
async fn a_callers_deadline_is_not_forwarded_and_does_not_affect_a_quick_request() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for name in [TIMEOUT, "x-wonder-signer-timeout", "X-WONDER-SIGNER-TIMEOUT"] {
        let answer = exchange(sidecar.listen, &request("POST", "/svc/a", &[(name, "1m")], b"{}")).await;
        assert_eq!((answer.status(), answer.value("x-wonder-signer-error")), (200, None));
        let seen = upstream.next().await;
        assert!(seen.values(TIMEOUT).is_empty(), "{seen:?}");
        assert_signed(&seen);
    }
}

#[tokio::test]
async fn an_invalid_deadline_is_rejected_by_name_and_nothing_is_sent() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let wrong: &[&[&str]] =
        &[&[""], &["10"], &["0"], &["0s"], &["-1s"], &["ten"], &["10 s s"], &["5s, 6s"], &["5s", "5s"], &["5s", ""]];
    for values in wrong {
        let headers: Vec<_> = values.iter().map(|value| (TIMEOUT, *value)).collect();
        let answer = exchange(sidecar.listen, &request("POST", "/svc/a", &headers, b"{}")).await;
        assert_eq!(answer.contract(), (400, "bad_request".to_owned(), "no".to_owned()), "{values:?}");
        assert!(answer.text().contains(TIMEOUT), "{}", answer.text());
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn every_wait_counts_towards_the_deadline() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let toml = "[limits]\nrequests_in_flight = 1\n[timeouts]\nqueue = \"1m\"";
    let sidecar = Sidecar::with(&upstream.origin(), toml).await;
    let body_missing = request("POST", "/svc/a", &[(TIMEOUT, "50ms"), ("Content-Length", "5")], b"");
    let answer = exchange(sidecar.listen, &body_missing).await;
    assert_eq!(timed_out(&answer), late("no", "header"), "the body");
    assert_eq!(answer.value("connection"), Some("close"));
    let mut working = TcpStream::connect(sidecar.listen).await.unwrap();
    working.write_all(&post("1h")).await.unwrap();
    upstream.next().await;
    assert_eq!(timed_out(&exchange(sidecar.listen, &post("50ms")).await), late("no", "header"), "the place");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sidecar = Sidecar::before(&format!("https://{}", silent.local_addr().unwrap())).await;
    assert_eq!(timed_out(&exchange(sidecar.listen, &post("50ms")).await), late("no", "header"), "the TLS handshake");
}

/// On an idle pooled connection a request is written before any timer is polled.
#[tokio::test]
async fn a_request_whose_deadline_has_passed_is_never_sent() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for _ in 0..10 {
        assert_eq!(exchange(sidecar.listen, &post("1m")).await.status(), 200);
        upstream.next().await;
        assert_eq!(timed_out(&exchange(sidecar.listen, &post("1ns")).await), late("no", "header"));
    }
    assert_eq!(upstream.waiting(), 0);
}

#[tokio::test]
async fn a_streamed_body_is_cut_by_response_idle_and_not_by_the_deadline() {
    // Longer than `limits.response_held`, so its head is forwarded before its end arrives.
    let begun = [b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n".to_vec(), vec![b'x'; 500_000]].concat();
    let upstream = Recorder::acting(move |_| Act::Stall(begun.clone())).await;
    let variables = [("WONDER_SIGNER_TIMEOUTS__REQUEST", "2s"), ("WONDER_SIGNER_TIMEOUTS__RESPONSE_IDLE", "3s")];
    let program = Logged::before(&upstream.origin(), &variables).await;
    let mut stream = TcpStream::connect(program.listen).await.unwrap();
    stream.write_all(&post("1500ms")).await.unwrap();
    assert!(read_message(&mut stream, false).await.is_none());
    let line = program.line("request").await;
    assert!(line["cause"].as_str().unwrap().contains("timeouts.response_idle"), "{line}");
    assert!(line["response_ms"].as_f64().unwrap() >= 3000.0, "{line}");
}
