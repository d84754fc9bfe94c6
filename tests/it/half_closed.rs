//! Callers that close their side for sending after the request, as `nc -N` does, and read on.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::support::{
    patience::soon,
    sidecar::Sidecar,
    transport::Transport,
    upstream::{Act, Recorder},
    wire::{read_message, request},
};

fn call() -> Vec<u8> {
    request("POST", "/svc/payment/api/v1/openapi/customers", &[], b"{}")
}

#[tokio::test]
async fn a_caller_that_has_closed_its_side_for_sending_gets_its_answer_and_then_the_end() {
    for transport in Transport::all() {
        let (upstream, go) = Recorder::holding().await;
        let sidecar = transport.sidecar(&upstream.origin(), "").await;
        let mut stream = transport.send(sidecar.listen, &call()).await;
        stream.shutdown().await.unwrap();
        upstream.next().await;
        go.add_permits(1);
        let answer = soon(read_message(&mut stream, false)).await.expect("an answer");
        assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")), "{transport}");
        assert!(soon(read_message(&mut stream, false)).await.is_none(), "{transport}");
    }
}

#[tokio::test]
async fn requests_that_were_sent_without_waiting_are_all_answered_and_a_half_one_is_not() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for rest in [&b""[..], b"POST /svc/pay", b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"] {
        let mut stream = tokio::net::TcpStream::connect(sidecar.listen).await.unwrap();
        stream.write_all(&[&call()[..], &call(), &call(), rest].concat()).await.unwrap();
        stream.shutdown().await.unwrap();
        for _ in 0..3 {
            assert_eq!(soon(read_message(&mut stream, false)).await.expect("an answer").status(), 200);
            upstream.next().await;
        }
        let mut left = String::new();
        let _ = soon(stream.read_to_string(&mut left)).await;
        assert!(!left.starts_with("HTTP/1.1 2"), "{left}");
    }
    assert_eq!(upstream.waiting(), 0);
}

#[tokio::test]
async fn a_large_answer_that_is_read_slowly_arrives_whole() {
    // More than the system holds for the two of them.
    let body = vec![b'a'; 16 << 20];
    let length = body.len();
    let large = [format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes(), body].concat();
    let upstream = Recorder::acting(move |_| Act::Answer(large.clone())).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut stream = tokio::net::TcpStream::connect(sidecar.listen).await.unwrap();
    stream.write_all(&call()).await.unwrap();
    stream.shutdown().await.unwrap();
    upstream.next().await;
    let answer = soon(read_message(&mut stream, false)).await.expect("an answer");
    assert_eq!((answer.status(), answer.body.len()), (200, length));
}

#[tokio::test]
async fn a_caller_on_a_unix_socket_gets_its_answer_too() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("signer.sock");
    let _sidecar = Sidecar::listening(&format!("unix:{}", path.display()), &upstream.origin(), "").await.unwrap();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(&call()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(soon(read_message(&mut stream, false)).await.expect("an answer").status(), 200);
}
