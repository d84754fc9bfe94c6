//! Connections of the admin listener: floods, evictions, malformed requests.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{admin, admin_on};
use crate::{
    http2::PREFACE,
    support::{patience::soon, wire::read_message},
};

/// Any program that can reach the pod can connect here, and each connection costs the process a descriptor.
#[tokio::test]
async fn a_client_that_hoards_connections_evicts_its_own() {
    let admin = admin().await;
    let mut held = Vec::new();
    for number in 0..500 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        // Half a request, or nothing.
        if number % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        }
        held.push(stream);
    }
    assert_eq!(admin.get("/livez").await.status_and_body(), (200, "ok\n"));
    // The connection of the probe was the last of 64.
    let kept = held.split_off(500 - 63);
    for mut stream in held {
        let ended = soon(stream.read(&mut [0])).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    for (number, mut stream) in (500 - 63..).zip(kept) {
        let rest = if number % 2 == 0 { "Host: a\r\n\r\n" } else { "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" };
        stream.write_all(rest.as_bytes()).await.unwrap();
        assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_request_that_has_arrived_is_answered_before_its_connection_is_evicted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..120 {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        waiting.push(stream);
    }
    let _admin = admin_on("staging", listener);
    for mut stream in waiting {
        assert_eq!(soon(read_message(&mut stream, false)).await.expect("an answer").status(), 200);
    }
}

#[tokio::test]
async fn an_oversized_head_is_rejected() {
    let admin = admin().await;
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    stream.write_all(format!("GET /livez HTTP/1.1\r\nX: {}", "x".repeat(20_000)).as_bytes()).await.unwrap();
    assert_eq!(soon(read_message(&mut stream, false)).await.expect("an answer").status(), 431);
    assert_eq!(admin.get("/livez").await.status_and_body(), (200, "ok\n"));
}

/// Each connection of the flood sends 200 pipelined requests for one target. A probe waits for its turn and no longer, whatever the
/// machine's speed: the kubelet gives up after a second.
#[tokio::test]
async fn a_probe_is_answered_during_a_flood() {
    /// Four rounds of the flood, and the connections that the listener may hold.
    const TURN: usize = 4 * 24 + 64;
    let admin = admin().await;
    admin.readiness.set_ready();
    let (mut flood, ended) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for target in ["/metrics", "/", "/status.json", "/config", "/runbook", "/nothing"] {
        let (address, bytes) = (admin.address, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(200));
        for _ in 0..4 {
            let (bytes, ended) = (bytes.clone(), Arc::clone(&ended));
            flood.spawn(async move {
                loop {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let _ = stream.write_all(bytes.as_bytes()).await;
                    let mut answers = Vec::new();
                    // The listener may evict the connection, or reset it with requests unread.
                    let _ = stream.read_to_end(&mut answers).await;
                    let answers = answers.windows(9).filter(|nine| nine == b"HTTP/1.1 ").count();
                    assert!(answers <= 1, "{answers} answers on one connection");
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    }
    let mut most = 0;
    for _ in 0..200 {
        let before = ended.load(Ordering::Relaxed);
        assert_eq!(soon(admin.get("/livez")).await.status_and_body(), (200, "ok\n"));
        most = most.max(ended.load(Ordering::Relaxed) - before);
    }
    eprintln!("at most {most} connections of the flood ended during a probe");
    assert!(most <= TURN, "{most} connections of the flood ended during one probe");
    assert!(flood.try_join_next().is_none(), "the flood goes on");
}

#[tokio::test]
async fn each_connection_gets_one_answer_and_is_closed() {
    let admin = admin().await;
    for target in ["/livez", "/metrics"] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(bytes.repeat(200).as_bytes()).await.unwrap();
        let answer = soon(read_message(&mut stream, false)).await.unwrap();
        assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
        assert!(soon(read_message(&mut stream, false)).await.is_none());
    }
}

#[tokio::test]
async fn malformed_heads_get_the_error_contract() {
    let admin = admin().await;
    let long = [&b"GET /livez HTTP/1.1\r\nX-A: "[..], &vec![b'a'; 20_000]].concat();
    for (bytes, status, code) in [
        (PREFACE, 400, "bad_request"),
        (&PREFACE[..6], 400, "bad_request"),
        (b"GET /livez\r\n", 400, "bad_request"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
        (&long, 431, "headers_too_large"),
    ] {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let answer = soon(read_message(&mut stream, false)).await.unwrap();
        assert_eq!(answer.contract(), (status, code.to_owned(), "no".to_owned()));
    }
}
