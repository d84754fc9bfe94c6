//! Kept connections in a drain: the next answer on each has `Connection: close`, and no request sent in time is lost.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{named, send};
use crate::support::{
    closed::until_refused,
    sidecar::{Sidecar, until},
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

const LONG_DELAY: &str = "[shutdown]\ndrain_delay = \"10m\"";
const SHORT_DELAY: &str = "[shutdown]\ndrain_delay = \"50ms\"";
const DRAINING: &str = "wonder_signer_draining";

#[tokio::test]
async fn from_the_start_of_a_drain_the_next_answer_closes_its_connection() {
    let upstream = Recorder::acting(|number| match number % 2 {
        0 => Act::ok(),
        _ => Act::Answer(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
    })
    .await;
    let sidecar = Sidecar::with(&upstream.origin(), LONG_DELAY).await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut stream = send(&sidecar, &request("POST", "/svc/a", &[], b"{}")).await;
        assert_eq!(read_message(&mut stream, false).await.unwrap().value("connection"), None);
        kept.push(stream);
    }
    sidecar.terminate();
    until(sidecar.admin, DRAINING, 1.0).await;
    let refused = request("GET", "/other", &[], b"");
    let before = [&request("POST", "/svc/a", &[], b"{}")[..], &refused].concat();
    for (stream, bytes) in kept.iter_mut().zip([&request("POST", "/svc/a", &[], b"{}"), &before, &refused, &before]) {
        stream.write_all(bytes).await.unwrap();
        // Pipelined requests are served too, and only the last answer has `Connection: close`.
        let answers = if bytes.len() > 100 { 2 } else { 1 };
        for left in (0..answers).rev() {
            let answer = read_message(stream, false).await.unwrap();
            assert_eq!(answer.value("connection"), (left == 0).then_some("close"), "{answer:?}");
        }
        assert!(read_message(stream, false).await.is_none(), "the connection is closed");
    }
    // New connections are served, and their first answer has `Connection: close`.
    let answer = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
}

#[tokio::test]
async fn an_http_1_0_caller_gets_no_keep_alive_during_a_drain() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), LONG_DELAY).await;
    let old = b"GET /svc/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let mut stream = send(&sidecar, old).await;
    assert_eq!(read_message(&mut stream, false).await.unwrap().value("connection"), Some("keep-alive"));
    sidecar.terminate();
    until(sidecar.admin, DRAINING, 1.0).await;
    stream.write_all(old).await.unwrap();
    assert_eq!(read_message(&mut stream, false).await.unwrap().value("connection"), Some("close"));
    assert!(read_message(&mut stream, false).await.is_none());
}

#[tokio::test]
async fn an_answer_begun_before_the_drain_is_whole_and_its_connection_serves_the_next_request() {
    let (upstream, go) = Recorder::holding().await;
    let sidecar = Sidecar::with(&upstream.origin(), LONG_DELAY).await;
    let mut stream = send(&sidecar, &named("slow", &[], b"{}")).await;
    upstream.next().await;
    sidecar.terminate();
    until(sidecar.admin, DRAINING, 1.0).await;
    go.add_permits(1);
    let answer = read_message(&mut stream, false).await.unwrap();
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
}

#[tokio::test]
async fn a_request_whose_first_bytes_arrived_before_the_end_of_the_delay_is_served() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), SHORT_DELAY).await;
    let whole = request("POST", "/svc/a", &[], b"{}");
    let mut idle = send(&sidecar, &whole).await;
    assert_eq!(read_message(&mut idle, false).await.unwrap().status(), 200);
    let mut never_used = TcpStream::connect(sidecar.listen).await.unwrap();
    let mut begun = send(&sidecar, &whole).await;
    assert_eq!(read_message(&mut begun, false).await.unwrap().status(), 200);
    begun.write_all(&whole[..10]).await.unwrap();
    let mut fresh = send(&sidecar, &whole[..1]).await;
    sidecar.terminate();
    // Idle ones are closed when no more connections are accepted.
    for stream in [&mut idle, &mut never_used] {
        assert!(read_message(stream, false).await.is_none());
    }
    until_refused(sidecar.listen).await;
    for (stream, rest) in [(&mut begun, &whole[10..]), (&mut fresh, &whole[1..])] {
        stream.write_all(rest).await.unwrap();
        let answer = read_message(stream, false).await.unwrap();
        assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
        assert!(read_message(stream, false).await.is_none());
    }
    let receipt = sidecar.stop().await;
    assert_eq!((receipt.finished, receipt.cut.len()), (2, 0));
}
