//! Shutdown: which requests finish, which are cut, which answer each caller receives, and that the receipt counts each kind.

mod kept;
mod queue;
mod rollout;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use wonder_signer::{
    contract::Sent,
    net::drain::{Cut, Receipt},
};

use crate::support::{
    logged::Logged,
    sidecar::Sidecar,
    upstream::{Act, Recorder},
    wire::{Message, exchange, read_message, request},
};

const GRACE: &str = "[shutdown]\ngrace = \"50ms\"";

async fn send(sidecar: &Sidecar, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

fn named<'a>(id: &'a str, more: &[(&'a str, &'a str)], body: &[u8]) -> Vec<u8> {
    request("POST", "/svc/a", &[&[("X-Request-ID", id)], more].concat(), body)
}

fn cut(id: &str, sent: Sent) -> Cut {
    Cut { request_id: id.to_owned(), sent }
}

/// Status, `sent`, `Retry-After`, `Connection`.
fn outcome(answer: &Message) -> (u16, String, Option<&str>, Option<&str>) {
    let (status, code, sent) = answer.contract();
    assert_eq!(code, "draining");
    (status, sent, answer.value("retry-after"), answer.value("connection"))
}

#[tokio::test]
async fn a_request_that_may_have_been_sent_gets_a_504_that_says_so_and_no_retry_after() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let sidecar = Sidecar::with(&upstream.origin(), GRACE).await;
    let mut stuck = send(&sidecar, &named("paid-or-not", &[], b"{}")).await;
    upstream.next().await;
    assert_eq!(sidecar.stop().await, Receipt { finished: 0, cut: vec![cut("paid-or-not", Sent::Maybe)] });
    let answer = read_message(&mut stuck, false).await.unwrap();
    assert_eq!(outcome(&answer), (504, "maybe".to_owned(), None, Some("close")));
    assert!(read_message(&mut stuck, false).await.is_none(), "the connection is closed");
}

#[tokio::test]
async fn a_request_that_was_not_sent_gets_a_503_with_retry_after_while_its_body_arrives() {
    let waiting = [&named("waits", &[("Content-Length", "9")], b"")[..], b"POST /svc/a HT"];
    not_sent("requests_in_flight = 3", waiting).await;
}

#[tokio::test]
async fn a_request_that_was_not_sent_gets_a_503_with_retry_after_while_it_waits_for_a_slot() {
    let waiting = [&named("waits", &[], b"{}")[..], b"POST /svc/a HT"];
    not_sent("requests_in_flight = 1", waiting).await;
}

/// Drains a sidecar that has sent one request, while the request "waits" and the beginning of another head are not sent.
async fn not_sent(limit: &str, [request, head]: [&[u8]; 2]) {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let toml = format!("[limits]\n{limit}\n[timeouts]\nqueue = \"1m\"\n{GRACE}");
    let sidecar = Sidecar::with(&upstream.origin(), &toml).await;
    let _sent = send(&sidecar, &named("sent", &[], b"{}")).await;
    upstream.next().await;
    let mut request = send(&sidecar, request).await;
    while sidecar.metric("wonder_signer_requests_in_flight").await < 2.0 {}
    // A partial head is not a request yet, but its caller waits for an answer.
    let mut head = send(&sidecar, head).await;
    let mut receipt = sidecar.stop().await;
    for stream in [&mut request, &mut head] {
        let answer = read_message(stream, false).await.unwrap();
        assert_eq!(outcome(&answer), (503, "no".to_owned(), Some("1"), Some("close")));
        assert!(read_message(stream, false).await.is_none(), "the connection is closed");
    }
    receipt.cut.retain(|cut| ["sent", "waits"].contains(&cut.request_id.as_str()));
    receipt.cut.sort_by(|one, other| one.request_id.cmp(&other.request_id));
    assert_eq!(receipt, Receipt { finished: 0, cut: vec![cut("sent", Sent::Maybe), cut("waits", Sent::No)] });
    assert_eq!(upstream.waiting(), 0);
}

#[tokio::test]
async fn a_cut_request_is_logged_as_draining_and_not_as_cancelled_by_the_service() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let program = Logged::before(&upstream.origin(), &[("WONDER_SIGNER_SHUTDOWN__GRACE", "50ms")]).await;
    let mut streams = Vec::new();
    for bytes in [named("sent", &[], b"{}"), named("body", &[("Content-Length", "9")], b"")] {
        let mut stream = TcpStream::connect(program.listen).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        streams.push(stream);
    }
    upstream.next().await;
    // Both requests must be in flight; otherwise the drain would close the second connection before its first byte.
    let ask = request("GET", "/metrics", &[("Connection", "close")], b"");
    while !exchange(program.admin, &ask).await.text().contains("wonder_signer_requests_in_flight 2\n") {}
    program.signal("TERM");
    let mut lines = [program.line("request").await, program.line("request").await];
    lines.sort_by_key(|line| line["request_id"].to_string());
    let written = lines.map(|line| {
        json!([line["request_id"], line["error"], line["sent"], line["level"], line["status"], line["cancelled"]])
    });
    assert_eq!(
        written,
        [
            json!(["body", "draining", "no", "warn", 503, null]),
            json!(["sent", "draining", "maybe", "error", 504, null])
        ]
    );
    let last = program.line("stopped; ask Wonder what became of the requests that may have been sent").await;
    assert_eq!((&last["cut"], &last["maybe_sent_request_ids"]), (&json!(2), &json!("sent")));
}

#[tokio::test]
async fn an_answer_still_streaming_is_visibly_cut_and_its_outcome_is_unknown() {
    // Longer than `limits.response_held` and the buffers of two connections.
    let long = [b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n".to_vec(), vec![b'x'; 500_000]].concat();
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n".to_vec();
    let upstream = Recorder::acting(move |number| match number {
        0 => Act::Stall(long.clone()),
        _ => Act::Stall([endless.clone(), vec![b'x'; 89_000_000]].concat()),
    })
    .await;
    let program = Logged::before(&upstream.origin(), &[("WONDER_SIGNER_SHUTDOWN__GRACE", "50ms")]).await;
    let mut reading = TcpStream::connect(program.listen).await.unwrap();
    reading.write_all(&named("reading", &[], b"{}")).await.unwrap();
    assert_eq!(read_message(&mut reading, true).await.unwrap().status(), 200);
    let mut not_reading = TcpStream::connect(program.listen).await.unwrap();
    not_reading.write_all(&named("not-reading", &[], b"{}")).await.unwrap();
    assert_eq!(read_message(&mut not_reading, true).await.unwrap().status(), 200);
    program.signal("TERM");
    let mut seen = Vec::new();
    let _ = reading.read_to_end(&mut seen).await;
    assert!(seen.len() < 1_000_000, "{} bytes", seen.len());
    let mut lines = [program.line("request").await, program.line("request").await];
    lines.sort_by_key(|line| line["request_id"].to_string());
    for (line, id) in lines.iter().zip(["not-reading", "reading"]) {
        let written = json!([line["request_id"], line["error"], line["sent"], line["level"], line["status"]]);
        assert_eq!(written, json!([id, "draining", "maybe", "error", 200]), "{line}");
        assert!(line.get("cancelled").is_none(), "{line}");
    }
    let last = program.line("stopped; ask Wonder what became of the requests that may have been sent").await;
    assert_eq!(last["maybe_sent"], 2);
}

#[tokio::test]
async fn during_the_drain_delay_connections_are_accepted_and_readyz_fails() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[shutdown]\ndrain_delay = \"10m\"").await;
    let ready = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(sidecar.admin, ready).await.status(), 200);
    sidecar.terminate();
    while exchange(sidecar.admin, ready).await.status() == 200 {}
    assert_eq!(exchange(sidecar.admin, ready).await.text(), "draining\n");
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
}

#[tokio::test]
async fn a_drain_ends_at_once_when_no_request_is_in_flight() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[shutdown]\ndrain_delay = \"10m\"").await;
    let mut idle = send(&sidecar, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(read_message(&mut idle, false).await.unwrap().status(), 200);
    let _never_used = TcpStream::connect(sidecar.listen).await.unwrap();
    assert_eq!(sidecar.stop().await, Receipt { finished: 0, cut: vec![] });
}
