//! Requests that are too many, too large or too slow get an error of the contract, and nothing of them reaches Wonder. Tests that
//! depend on how bytes arrive run over each transport.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    patience::soon,
    sidecar::{Sidecar, until},
    transport::Transport,
    upstream::{Act, Recorder},
    wire::{Message, exchange, read_message, request},
};

fn answer(status: u16, code: &str) -> (u16, String, String) {
    (status, code.to_owned(), "no".to_owned())
}

async fn counted(sidecar: &Sidecar, reason: &str) -> f64 {
    sidecar.metric(&format!(r#"wonder_signer_proxy_errors_total{{reason="{reason}",sent="no"}}"#)).await
}

#[tokio::test]
async fn a_head_with_too_many_bytes_or_lines_is_rejected() {
    let lines: Vec<(String, &str)> = (0..10).map(|number| (format!("X-{number}"), "1")).collect();
    let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let long = "x".repeat(9000);
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let limits = "[limits]\nheaders = 10\nheader_bytes = \"8KiB\"";
        let sidecar = transport.sidecar(&upstream.origin(), limits).await;
        for headers in [&lines[..], &[("X-Long", &long)]] {
            let got = transport.exchange(sidecar.listen, &request("GET", "/svc/a", headers, b"")).await;
            assert_eq!(got.contract(), answer(431, "headers_too_large"), "{transport}");
            assert_eq!(got.value("connection"), Some("close"));
        }
        assert!((counted(&sidecar, "headers_too_large").await - 2.0).abs() < f64::EPSILON);
        let got = transport.exchange(sidecar.listen, &request("GET", "/svc/a", &lines[..9], b"")).await;
        assert_eq!(got.status(), 200);
        assert_eq!(upstream.connections(), 1);
    }
}

#[tokio::test]
async fn an_unfinished_head_gets_a_time_out_answer() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), "[timeouts]\nrequest_head = \"2s\"").await;
        let got = transport.exchange(sidecar.listen, b"GET /svc/a HTTP/1.1\r\nHost: localhost\r\nX-").await;
        assert_eq!(got.contract(), answer(408, "head_timeout"), "{transport}");
        assert!((counted(&sidecar, "head_timeout").await - 1.0).abs() < f64::EPSILON);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    for transport in Transport::all() {
        let sidecar = transport.sidecar("http://127.0.0.1:1", "[timeouts]\nrequest_head = \"2s\"").await;
        for silent in [&b""[..], b"\r\n", b"\r\n\r\n"] {
            let mut stream = transport.send(sidecar.listen, silent).await;
            assert!(soon(read_message(&mut stream, false)).await.is_none(), "{transport}");
        }
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answer_is_disconnected() {
    // More than the socket buffers of both sides hold.
    let body = vec![b'a'; 32 << 20];
    let large = [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat();
    for transport in Transport::all() {
        let large = large.clone();
        let upstream = Recorder::acting(move |_| Act::Answer(large.clone())).await;
        let sidecar = transport.sidecar(&upstream.origin(), "[timeouts]\nidle = \"500ms\"").await;
        let stuck = transport.send(sidecar.listen, &request("GET", "/svc/a", &[], b"")).await;
        upstream.next().await;
        until(sidecar.admin, r#"wonder_signer_cancelled_requests_total{sent="maybe"}"#, 1.0).await;
        assert_eq!(
            sidecar.metric("wonder_signer_requests_in_flight").await.to_bits(),
            0.0_f64.to_bits(),
            "{transport}"
        );
        drop(stuck);
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_rejected() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nconnections = 1").await;
    let mut first = TcpStream::connect(sidecar.listen).await.unwrap();
    first.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    let mut second = TcpStream::connect(sidecar.listen).await.unwrap();
    let got = read_message(&mut second, false).await.unwrap();
    assert_eq!(got.contract(), answer(503, "overloaded"));
    assert_eq!(got.value("retry-after"), Some("1"));
}

#[tokio::test]
async fn bodies_over_the_shared_memory_limit_are_shed() {
    let upstream = Recorder::acting(|number| if number == 0 { Act::Stall(Vec::new()) } else { Act::ok() }).await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nbuffered = \"1MiB\"").await;
    let body = vec![b'x'; 700_000];
    let mut first = TcpStream::connect(sidecar.listen).await.unwrap();
    first.write_all(&request("POST", "/svc/a", &[], &body)).await.unwrap();
    upstream.next().await;
    let buffered = sidecar.metric("wonder_signer_buffered_bytes").await;
    assert!((buffered - 700_000.0).abs() < f64::EPSILON, "{buffered}");
    let declared = exchange(sidecar.listen, &request("POST", "/svc/a", &[], &body)).await;
    assert_eq!(declared.contract(), answer(503, "overloaded"));
    let chunked = b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\naae60\r\n".to_vec();
    let chunked = exchange(sidecar.listen, &[chunked, body.clone(), b"\r\n0\r\n\r\n".to_vec()].concat()).await;
    assert_eq!(chunked.contract(), answer(503, "overloaded"));
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], &body[..300_000])).await.status(), 200);
    drop(first);
    let mut last: Option<Message> = None;
    // Until the sidecar has noticed that the first caller disconnected.
    while last.as_ref().is_none_or(|answer| answer.status() == 503) {
        last = Some(exchange(sidecar.listen, &request("POST", "/svc/a", &[], &body)).await);
    }
    assert_eq!(last.map(|answer| answer.status()), Some(200));
}

#[tokio::test]
async fn slow_senders_do_not_delay_others() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), "").await;
        let mut slow = Vec::new();
        for number in 0..128 {
            let bytes: &[u8] = if number % 2 == 0 {
                b"GET /svc/a HTTP/1.1\r\nHost: local"
            } else {
                b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nstuck"
            };
            slow.push(transport.send(sidecar.listen, bytes).await);
        }
        let got = transport.exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
        assert_eq!(got.status(), 200, "{transport}");
        assert_eq!(exchange(sidecar.admin, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.status(), 200);
    }
}

#[tokio::test]
async fn pipelined_requests_are_served_in_order() {
    let ahead: Vec<u8> = (0..5).flat_map(|number| request("POST", &format!("/svc/{number}"), &[], b"{}")).collect();
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), "").await;
        let mut stream = transport.send(sidecar.listen, &ahead).await;
        for number in 0..5 {
            assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200, "{transport}");
            assert_eq!(upstream.next().await.start_line(), format!("POST /svc/{number} HTTP/1.1"));
        }
    }
}

#[tokio::test]
async fn a_request_not_signed_in_time_is_rejected_and_its_connection_is_kept() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[timeouts]\nsign = \"10ms\"").await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let listen = sidecar.listen;
        callers.spawn(async move {
            let mut stream = TcpStream::connect(listen).await.unwrap();
            loop {
                stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
                let got = read_message(&mut stream, false).await.unwrap();
                if got.status() != 200 {
                    // The same connection stays open, and its next request is answered.
                    stream.write_all(&request("GET", "/elsewhere", &[], b"")).await.unwrap();
                    return (got, read_message(&mut stream, false).await.unwrap());
                }
            }
        });
    }
    let (refused, next) = callers.join_next().await.unwrap().unwrap();
    assert_eq!(refused.contract(), answer(503, "overloaded"));
    assert_eq!(refused.value("retry-after"), Some("1"));
    assert_eq!(refused.value("connection"), None);
    assert_eq!(next.contract(), answer(404, "not_wonder"));
    assert!(counted(&sidecar, "overloaded").await >= 1.0);
}
