//! Until when a caller has its answer: `timeouts.request`, or earlier with `X-Wonder-Signer-Timeout`.

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

/// Status, code, sent, and what of the two the message names.
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
    let sidecar = Sidecar::with(&upstream.origin(), "[timeouts]\nrequest = \"300ms\"").await;
    for (timeout, by) in [("50ms", "header"), ("300ms", "key"), ("1h", "key"), ("100years", "key")] {
        assert_eq!(timed_out(&exchange(sidecar.listen, &post(timeout)).await), late("maybe", by), "{timeout}");
    }
    assert_eq!(timed_out(&exchange(sidecar.listen, &request("GET", "/svc/a", &[], b"")).await), late("maybe", "key"));
}

#[tokio::test]
async fn the_deadline_of_a_caller_is_not_forwarded_and_harms_nothing_that_is_quick() {
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
async fn a_deadline_that_is_no_duration_is_refused_by_name_and_nothing_is_sent() {
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
async fn every_wait_before_the_answer_counts() {
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

/// With a connection at hand, a request is written before any timer is looked at.
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
async fn a_long_body_is_not_cut_by_the_deadline_but_by_its_own_silence() {
    // Longer than what is held, so that its head is forwarded.
    let begun = [b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n".to_vec(), vec![b'x'; 500_000]].concat();
    let upstream = Recorder::acting(move |_| Act::Stall(begun.clone())).await;
    let variables = [("WONDER_SIGNER_TIMEOUTS__REQUEST", "200ms"), ("WONDER_SIGNER_TIMEOUTS__RESPONSE_IDLE", "300ms")];
    let program = Logged::before(&upstream.origin(), &variables).await;
    let mut stream = TcpStream::connect(program.listen).await.unwrap();
    stream.write_all(&post("150ms")).await.unwrap();
    assert!(read_message(&mut stream, false).await.is_none());
    let line = program.line("request").await;
    assert!(line["cause"].as_str().unwrap().contains("timeouts.response_idle"), "{line}");
    assert!(line["response_ms"].as_f64().unwrap() >= 300.0, "{line}");
}
