//! Every failure gets an answer of the contract: an error code, and whether the request may have reached Wonder.

mod documents;
mod unread;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use wonder_signer::net::drain::Receipt;

use crate::support::{
    closed::Closed,
    sidecar::{Sidecar, assert_signed},
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

fn answer(status: u16, code: &str, sent: &str) -> (u16, String, String) {
    (status, code.to_owned(), sent.to_owned())
}

#[tokio::test]
async fn requests_that_cannot_be_forwarded_are_rejected_and_not_sent() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for (bytes, expected) in [
        (request("GET", "/other", &[], b""), answer(404, "not_wonder", "no")),
        (request("GET", "/svc/../etc/passwd", &[], b""), answer(404, "not_wonder", "no")),
        (request("GET", "/svc/%2e%2e/x", &[], b""), answer(404, "not_wonder", "no")),
        (request("OPTIONS", "*", &[], b""), answer(404, "not_wonder", "no")),
        (request("TRACE", "/svc/a", &[], b""), answer(400, "bad_request", "no")),
        (request("CONNECT", "gateway.wonder.today:443", &[], b""), answer(400, "bad_target", "no")),
        (request("GET", "http://evil.example/svc/a", &[], b""), answer(421, "bad_host", "no")),
        (b"GET /svc/a HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec(), answer(421, "bad_host", "no")),
        (b"GET /svc/a HTTP/1.1\r\n\r\n".to_vec(), answer(400, "bad_request", "no")),
        (request("POST", "/svc/a", &[], b" \r\n"), answer(400, "ambiguous_body", "no")),
        (
            request("GET", "/svc/a", &[("X-Wonder-Signer-Credential", "nobody")], b""),
            answer(400, "unknown_credential", "no"),
        ),
    ] {
        let got = exchange(sidecar.listen, &bytes).await.contract();
        assert_eq!(got, expected, "{}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_declared_body_over_the_limit_is_rejected_before_it_arrives() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nbody = \"1KiB\"").await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[("Content-Length", "1025")], b"")).await.unwrap();
    let got = read_message(&mut stream, false).await.unwrap();
    assert_eq!(got.contract(), answer(413, "body_too_large", "no"));
    assert_eq!(got.value("connection"), Some("close"));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_gets_no_100_continue() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let head = request("POST", "/svc/a", &[("Content-Length", "9999999"), ("Expect", "100-continue")], b"");
    let got = exchange(sidecar.listen, &head).await;
    assert_eq!(got.contract(), answer(413, "body_too_large", "no"));
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_rejected_and_one_below_is_forwarded() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nbody = \"1KiB\"").await;
    let chunked = |size: usize| {
        let head = "POST /svc/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}200\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(512), size - 512, "y".repeat(size - 512))
    };
    let got = exchange(sidecar.listen, chunked(1025).as_bytes()).await;
    assert_eq!(got.contract(), answer(413, "body_too_large", "no"));
    assert_eq!(got.value("connection"), Some("close"));
    assert_eq!(upstream.connections(), 0);
    assert_eq!(exchange(sidecar.listen, chunked(1024).as_bytes()).await.status(), 200);
    assert_eq!(upstream.next().await.body.len(), 1024);
}

#[tokio::test]
async fn a_caller_that_still_sends_a_rejected_body_receives_the_answer() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let body = vec![b'x'; 2 << 20];
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], &body)).await;
    assert_eq!(got.contract(), answer(413, "body_too_large", "no"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_times_out() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[timeouts]\nbody = \"50ms\"").await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[("Content-Length", "5")], b"")).await;
    assert_eq!(got.contract(), answer(408, "body_timeout", "no"));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn sent_is_no_when_the_connection_fails() {
    let closed = Closed::port();
    let sidecar = Sidecar::before(&closed.origin()).await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_connect", "no"));
    assert_metric(&sidecar, "wonder_signer_upstream_connect_retries_total", 1.0).await;
    assert_metric(&sidecar, r#"wonder_signer_proxy_errors_total{reason="upstream_connect",sent="no"}"#, 1.0).await;
}

#[tokio::test]
async fn sent_is_no_when_the_name_is_unknown() {
    let sidecar = Sidecar::before("https://no-such-host.invalid").await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_dns", "no"));
}

#[tokio::test]
async fn sent_is_no_when_tls_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let sidecar = Sidecar::before(&format!("https://{address}")).await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_tls", "no"));
    task.abort();
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_end_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let sidecar = Sidecar::with(&origin, "[timeouts]\ntls_handshake = \"50ms\"").await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_tls", "no"));
}

#[tokio::test]
async fn sent_is_maybe_when_the_connection_breaks_after_the_request() {
    let upstream = Recorder::acting(|_| Act::AnswerAndClose(Vec::new())).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_reset", "maybe"));
    assert_signed(&upstream.next().await);
    assert_eq!((upstream.waiting(), upstream.connections()), (0, 1), "it must not be sent again");
    assert_metric(&sidecar, r#"wonder_signer_proxy_errors_total{reason="upstream_reset",sent="maybe"}"#, 1.0).await;
}

#[tokio::test]
async fn sent_is_maybe_when_the_answer_is_not_http() {
    let upstream = Recorder::acting(|_| Act::AnswerAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_bad_response", "maybe"));
}

#[tokio::test]
async fn sent_is_maybe_when_no_answer_arrives_in_time() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    for limit in ["response_head", "request"] {
        let sidecar = Sidecar::with(&upstream.origin(), &format!("[timeouts]\n{limit} = \"1s\"")).await;
        let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
        assert_eq!(got.contract(), answer(504, "upstream_timeout", "maybe"), "{limit}");
    }
}

#[tokio::test]
async fn a_broken_answer_reaches_the_caller_visibly_cut() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let upstream = Recorder::acting(|_| Act::AnswerAndClose(head.to_vec())).await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nresponse_held = \"0B\"").await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    let mut seen = Vec::new();
    // The connection may end with a reset; the announced length must not arrive.
    let _ = stream.read_to_end(&mut seen).await;
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.to_lowercase().contains("content-length: 100\r\n") && !seen.contains("\r\n0\r\n"), "{seen}");
    assert_metric(&sidecar, r#"wonder_signer_proxy_errors_total{reason="upstream_reset",sent="maybe"}"#, 1.0).await;
}

#[tokio::test]
async fn an_answer_that_stalls_reaches_the_caller_visibly_cut() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let upstream = Recorder::acting(|_| Act::Stall(head.to_vec())).await;
    let settings = "[timeouts]\nresponse_idle = \"50ms\"\n[limits]\nresponse_held = \"0B\"";
    let sidecar = Sidecar::with(&upstream.origin(), settings).await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    let mut seen = Vec::new();
    let _ = stream.read_to_end(&mut seen).await;
    assert!(!String::from_utf8(seen).unwrap().contains("\r\n0\r\n"), "the last chunk must not come");
    assert_metric(&sidecar, r#"wonder_signer_proxy_errors_total{reason="upstream_timeout",sent="maybe"}"#, 1.0).await;
}

#[tokio::test]
async fn other_requests_are_served_when_one_fails() {
    let upstream = Recorder::acting(|number| if number == 0 { Act::Stall(Vec::new()) } else { Act::ok() }).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut stuck = TcpStream::connect(sidecar.listen).await.unwrap();
    stuck.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    for _ in 0..3 {
        assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    }
}

#[tokio::test]
async fn requests_over_the_limit_in_flight_are_shed() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let sidecar =
        Sidecar::with(&upstream.origin(), "[limits]\nrequests_in_flight = 1\n[timeouts]\nqueue = \"20ms\"").await;
    let mut stuck = TcpStream::connect(sidecar.listen).await.unwrap();
    stuck.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    // A new connection costs more than a rejection, so the connection is kept where the body is soon read.
    for (body, kept) in [(&b"{}"[..], None), (&"x".repeat(100_000).into_bytes()[..], Some("close"))] {
        let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], body)).await;
        assert_eq!(got.contract(), answer(503, "overloaded", "no"));
        assert_eq!(got.value("retry-after"), Some("1"));
        assert_eq!(got.value("connection"), kept);
    }
    // A body that does not arrive, and one that waits for `100 Continue`, do not delay the rejection.
    let headers = [("Content-Length", "5"), ("Expect", "100-continue")];
    for headers in [&headers[..1], &headers] {
        let got = exchange(sidecar.listen, &request("POST", "/svc/a", headers, b"")).await;
        assert_eq!(got.contract(), answer(503, "overloaded", "no"));
        assert_eq!(got.value("connection"), Some("close"));
    }
}

#[tokio::test]
async fn the_slot_of_a_disconnected_caller_is_freed() {
    let upstream = Recorder::acting(|number| if number == 0 { Act::Stall(Vec::new()) } else { Act::ok() }).await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nrequests_in_flight = 1").await;
    let mut stuck = TcpStream::connect(sidecar.listen).await.unwrap();
    stuck.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    // A FIN so early could also come from a caller that only closes its side for sending.
    stuck.set_zero_linger().unwrap();
    drop(stuck);
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    assert_metric(&sidecar, r#"wonder_signer_cancelled_requests_total{sent="maybe"}"#, 1.0).await;
}

#[tokio::test]
async fn a_drain_finishes_requests_and_accepts_no_connection() {
    let (upstream, go) = Recorder::holding().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    sidecar.ask_to_stop();
    while TcpStream::connect(sidecar.listen).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.add_permits(1);
    assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200);
    assert_eq!(sidecar.stop().await, Receipt { finished: 1, cut: vec![] });
}

async fn assert_metric(sidecar: &Sidecar, series: &str, value: f64) {
    let seen = sidecar.metric(series).await;
    assert!((seen - value).abs() < f64::EPSILON, "{series} is {seen}");
}
