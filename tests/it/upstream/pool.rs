//! The connection pool: which connection carries a request, and which connections are kept.

use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::http2::Server;
use wonder_signer::net::upstream::Handover;

use crate::support::{
    client::Client,
    closed::Closed,
    patience::soon,
    sidecar::Sidecar,
    upstream::Recorder,
    wire::{exchange, read_message, request},
};

const OPENED: &str = "wonder_signer_upstream_connections_opened_total";
const OPEN: &str = "wonder_signer_upstream_connections{state=\"open\"}";
const HTTP2: &str = "upstream.http_version = \"http2\"";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    (listener, origin)
}

/// Accepts the next connection and reads the request on it.
async fn take(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    read_message(&mut stream, false).await.unwrap();
    stream
}

/// Sends another request, which must use another connection and get its own answer.
async fn another_over_a_new_connection(client: &Client, listener: &TcpListener) {
    let answer = tokio::spawn(client.start("/svc/b", b"{}"));
    let mut stream = take(listener).await;
    stream.write_all(ANSWER).await.unwrap();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.into_body().collect().await.unwrap().to_bytes()[..]),
        (200, &b"{}"[..])
    );
}

#[tokio::test]
async fn idle_connections_over_the_limit_are_closed() {
    for (kept, count) in [(2, 2.0), (0, 0.0)] {
        let (listener, origin) = listen().await;
        let client = Client::of(&origin, &format!("upstream.pool_max_idle = {kept}"));
        let mut answers = JoinSet::new();
        let mut streams = Vec::new();
        for _ in 0..4 {
            answers.spawn(client.start("/svc/a", b"{}"));
            streams.push(take(&listener).await);
        }
        for stream in &mut streams {
            stream.write_all(ANSWER).await.unwrap();
            let answer = answers.join_next().await.unwrap().unwrap().unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{}");
        }
        client.until(OPEN, count).await;
    }
}

#[tokio::test]
async fn an_unsolicited_answer_is_discarded() {
    let (listener, origin) = listen().await;
    let client = Client::of(&origin, "");
    let first = tokio::spawn(client.start("/svc/a", b"{}"));
    let mut stream = take(&listener).await;
    stream.write_all(&[ANSWER, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"].concat()).await.unwrap();
    let answer = first.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{}");
    another_over_a_new_connection(&client, &listener).await;
    client.until(OPENED, 2.0).await;
}

/// RFC 9112 §6.3: these answers have no body. If an origin sends one, it must not become the answer of the next request.
#[tokio::test]
async fn a_connection_after_204_or_304_is_not_used_again() {
    let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for status in ["204 No Content", "304 Not Modified"] {
        for line in ["", "Content-Length: 42\r\n", "Transfer-Encoding: chunked\r\n"] {
            let (listener, origin) = listen().await;
            let client = Client::of(&origin, "");
            let first = tokio::spawn(client.start("/svc/a", b"{}"));
            let mut stream = take(&listener).await;
            stream.write_all(format!("HTTP/1.1 {status}\r\n{line}\r\n").as_bytes()).await.unwrap();
            assert!(first.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes().is_empty());
            another_over_a_new_connection(&client, &listener).await;
            // It may be closed already.
            let _ = stream.write_all(evil).await;
        }
    }
    let (listener, origin) = listen().await;
    let sidecar = Sidecar::before(&origin).await;
    for _ in 0..2 {
        let head = request("HEAD", "/svc/a", &[], b"");
        let call = tokio::spawn(async move { exchange(sidecar.listen, &head).await });
        let mut stream = soon(take(&listener)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n").await.unwrap();
        assert_eq!(soon(call).await.unwrap().status(), 200);
    }
}

/// The answer is whole, the request is not: the origin would read the next request as the rest of this body.
#[tokio::test]
async fn a_connection_with_an_unfinished_request_is_not_used_again() {
    let (listener, origin) = listen().await;
    let client = Client::of(&origin, "");
    let first = tokio::spawn(client.start("/svc/a", &vec![b'x'; 64 << 20]));
    let (mut early, _) = listener.accept().await.unwrap();
    early.read_exact(&mut [0; 1024]).await.unwrap();
    early.write_all(ANSWER).await.unwrap();
    let answer = first.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{}");
    another_over_a_new_connection(&client, &listener).await;
}

#[tokio::test]
async fn a_connection_with_an_unread_answer_is_not_used_again() {
    let (listener, origin) = listen().await;
    let client = Client::of(&origin, "");
    let first = tokio::spawn(client.start("/svc/a", b"{}"));
    let mut stream = take(&listener).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{").await.unwrap();
    drop(first.await.unwrap().unwrap());
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "it is closed");
    another_over_a_new_connection(&client, &listener).await;
}

#[tokio::test]
async fn concurrent_http2_requests_share_one_connection() {
    let server = Server::start(|_| false).await;
    let client = Client::of(&server.origin(), HTTP2);
    let mut answers = JoinSet::new();
    for _ in 0..50 {
        answers.spawn(client.start("/svc/a", b"{}"));
    }
    while let Some(answer) = answers.join_next().await {
        assert_eq!(answer.unwrap().unwrap().status(), 200);
    }
    client.until(OPENED, 1.0).await;
}

#[tokio::test]
async fn requests_waiting_for_a_failed_http2_connection_fail_and_the_next_one_connects_again() {
    let closed = Closed::port();
    let client = Client::of(&closed.origin(), HTTP2);
    let mut answers = JoinSet::new();
    for _ in 0..50 {
        answers.spawn(client.start("/svc/a", b"{}"));
    }
    while let Some(answer) = answers.join_next().await {
        assert_eq!(answer.unwrap().unwrap_err().sent().as_str(), "no");
    }
    let listener = closed.open();
    let next = tokio::spawn(client.start("/svc/a", b"{}"));
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut preface = [0; 14];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0");
    next.abort();
}

/// Another kept connection may be about to end like that of the first attempt.
#[tokio::test]
async fn a_second_attempt_gets_a_new_connection_although_another_is_kept() {
    let server = Server::start(|_| false).await;
    let recorder = Recorder::start().await;
    for (origin, version) in [(server.origin(), "http2"), (recorder.origin(), "http1")] {
        let client = Client::of(&origin, &format!("upstream.http_version = \"{version}\""));
        let handover = Handover::default();
        for (opened, handover) in [(1.0, &Handover::default()), (1.0, &handover), (2.0, &handover)] {
            let answer = client.attempt("/svc/a", b"{}", handover).await.unwrap();
            answer.into_body().collect().await.unwrap();
            client.until(OPENED, opened).await;
        }
    }
}
