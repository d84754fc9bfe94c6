//! Every failure is answered in the contract: which error, and whether the request may have reached Wonder.

mod documents;
mod unread;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use wonder_signer::proxy::Receipt;

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
async fn refuses_what_it_will_not_forward_and_sends_nothing() {
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
async fn refuses_a_declared_body_over_the_limit_before_it_is_sent() {
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
async fn does_not_ask_for_a_body_that_it_will_refuse() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let head = request("POST", "/svc/a", &[("Content-Length", "9999999"), ("Expect", "100-continue")], b"");
    let got = exchange(sidecar.listen, &head).await;
    assert_eq!(got.contract(), answer(413, "body_too_large", "no"));
}

#[tokio::test]
async fn refuses_a_chunked_body_at_the_limit_and_takes_one_just_below() {
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
async fn lets_a_caller_who_sends_too_much_see_the_answer() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let body = vec![b'x'; 2 << 20];
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], &body)).await;
    assert_eq!(got.contract(), answer(413, "body_too_large", "no"));
}

#[tokio::test]
async fn gives_up_on_a_body_that_does_not_come() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[timeouts]\nbody = \"50ms\"").await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[("Content-Length", "5")], b"")).await;
    assert_eq!(got.contract(), answer(408, "body_timeout", "no"));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn says_that_nothing_was_sent_when_there_is_no_connection() {
    let closed = Closed::port();
    let sidecar = Sidecar::before(&closed.origin()).await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_connect", "no"));
    assert_metric(&sidecar, "wonder_signer_upstream_connect_retries_total", 1.0).await;
    assert_metric(&sidecar, r#"wonder_signer_proxy_errors_total{reason="upstream_connect",sent="no"}"#, 1.0).await;
}

#[tokio::test]
async fn says_that_nothing_was_sent_when_the_name_is_unknown() {
    let sidecar = Sidecar::before("https://no-such-host.invalid").await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_dns", "no"));
}

#[tokio::test]
async fn says_that_nothing_was_sent_when_tls_cannot_be_agreed_on() {
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
async fn gives_up_on_a_tls_handshake_that_does_not_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let sidecar = Sidecar::with(&origin, "[timeouts]\ntls_handshake = \"50ms\"").await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_tls", "no"));
}

#[tokio::test]
async fn says_maybe_when_the_connection_breaks_after_the_request() {
    let upstream = Recorder::acting(|_| Act::AnswerAndClose(Vec::new())).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_reset", "maybe"));
    assert_signed(&upstream.next().await);
    assert_eq!((upstream.waiting(), upstream.connections()), (0, 1), "it must not be sent again");
    assert_metric(&sidecar, r#"wonder_signer_proxy_errors_total{reason="upstream_reset",sent="maybe"}"#, 1.0).await;
}

#[tokio::test]
async fn says_maybe_when_the_answer_is_not_http() {
    let upstream = Recorder::acting(|_| Act::AnswerAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!(got.contract(), answer(502, "upstream_bad_response", "maybe"));
}

#[tokio::test]
async fn says_maybe_when_no_answer_comes_in_time() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    for limit in ["response_head", "request"] {
        let sidecar = Sidecar::with(&upstream.origin(), &format!("[timeouts]\n{limit} = \"1s\"")).await;
        let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
        assert_eq!(got.contract(), answer(504, "upstream_timeout", "maybe"), "{limit}");
    }
}

#[tokio::test]
async fn cuts_an_answer_that_breaks_off_so_that_the_caller_sees_it() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let upstream = Recorder::acting(|_| Act::AnswerAndClose(head.to_vec())).await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nresponse_held = \"0B\"").await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    let mut seen = Vec::new();
    // A reset is as good an end as any; what matters is that the announced length does not come.
    let _ = stream.read_to_end(&mut seen).await;
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.to_lowercase().contains("content-length: 100\r\n") && !seen.contains("\r\n0\r\n"), "{seen}");
    assert_metric(&sidecar, r#"wonder_signer_proxy_errors_total{reason="upstream_reset",sent="maybe"}"#, 1.0).await;
}

#[tokio::test]
async fn cuts_an_answer_that_stops_for_too_long() {
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
async fn leaves_other_requests_unharmed_when_one_fails() {
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
async fn sheds_what_is_over_the_limit_of_requests_in_flight() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let sidecar =
        Sidecar::with(&upstream.origin(), "[limits]\nrequests_in_flight = 1\n[timeouts]\nqueue = \"20ms\"").await;
    let mut stuck = TcpStream::connect(sidecar.listen).await.unwrap();
    stuck.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    // To open a connection costs more than to refuse a request, so it is kept where the body is soon read.
    for (body, kept) in [(&b"{}"[..], None), (&"x".repeat(100_000).into_bytes()[..], Some("close"))] {
        let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], body)).await;
        assert_eq!(got.contract(), answer(503, "overloaded", "no"));
        assert_eq!(got.value("retry-after"), Some("1"));
        assert_eq!(got.value("connection"), kept);
    }
    // A body that is announced and does not come, and one that waits to be asked for, hold nothing up.
    let headers = [("Content-Length", "5"), ("Expect", "100-continue")];
    for headers in [&headers[..1], &headers] {
        let got = exchange(sidecar.listen, &request("POST", "/svc/a", headers, b"")).await;
        assert_eq!(got.contract(), answer(503, "overloaded", "no"));
        assert_eq!(got.value("connection"), Some("close"));
    }
}

#[tokio::test]
async fn frees_the_slot_of_a_caller_who_hangs_up() {
    let upstream = Recorder::acting(|number| if number == 0 { Act::Stall(Vec::new()) } else { Act::ok() }).await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nrequests_in_flight = 1").await;
    let mut stuck = TcpStream::connect(sidecar.listen).await.unwrap();
    stuck.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    drop(stuck);
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    assert_metric(&sidecar, r#"wonder_signer_cancelled_requests_total{sent="maybe"}"#, 1.0).await;
}

#[tokio::test]
async fn lets_a_request_finish_while_draining_and_takes_no_new_connection() {
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
