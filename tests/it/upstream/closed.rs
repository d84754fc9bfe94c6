//! A connection that ends between or during requests, and its metrics.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener},
    sync::mpsc,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    client::Client,
    sidecar::{Sidecar, assert_signed},
    upstream::{Act, Recorder},
    wire::{Message, exchange, read_message, request},
};

const RETRIES: &str = "wonder_signer_upstream_connect_retries_total";

fn closed(reason: &str) -> String {
    format!("wonder_signer_upstream_connections_closed_total{{reason=\"{reason}\"}}")
}

/// Reads one request with a body of two bytes, with blocking I/O.
fn read_blocking(stream: &mut std::net::TcpStream) -> Message {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n{}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes[..bytes.len() - 2].to_vec()).unwrap();
    Message { head, body: b"{}".to_vec() }
}

/// The sidecar runs on this thread and the upstream on another, so the test controls the order: while this thread waits for the
/// upstream, the sidecar cannot run. Then the sidecar receives the rest of the request and the close of the connection together.
/// It may notice the close before it writes the request, or make a second attempt; both are correct.
#[tokio::test]
async fn a_connection_closed_between_requests_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (close, closing) = mpsc::channel::<()>();
    let (has_closed, closed) = mpsc::channel::<()>();
    let upstream = std::thread::spawn(move || {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let (mut stream, _) = listener.accept().unwrap();
        let first = read_blocking(&mut stream);
        stream.write_all(answer).unwrap();
        closing.recv().unwrap();
        // A child that another test is starting may have a copy of the descriptor, so dropping it might not send the FIN.
        stream.shutdown(Shutdown::Both).unwrap();
        has_closed.send(()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let second = read_blocking(&mut stream);
        stream.write_all(answer).unwrap();
        [first, second]
    });
    let sidecar = Sidecar::before(&origin).await;
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);

    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    let asks = request("POST", "/svc/b", &[("Content-Length", "2"), ("Expect", "100-continue")], b"");
    stream.write_all(&asks).await.unwrap();
    let goes_on = read_message(&mut stream, true).await.unwrap();
    assert_eq!(goes_on.status(), 100, "from here on the sidecar waits for the body");
    assert_eq!(stream.try_write(b"{}").unwrap(), 2);
    close.send(()).unwrap();
    closed.recv().unwrap();

    assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200);
    let [first, second] = upstream.join().unwrap();
    assert_eq!(second.start_line(), "POST /svc/b HTTP/1.1");
    assert_ne!(assert_signed(&first).nonce.as_str(), assert_signed(&second).nonce.as_str());
}

#[tokio::test]
async fn a_request_that_was_read_is_never_sent_again() {
    let upstream =
        Recorder::acting(|number| if number == 0 { Act::ok() } else { Act::AnswerAndClose(Vec::new()) }).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    let got = exchange(sidecar.listen, &request("POST", "/svc/b", &[], b"{}")).await;
    assert_eq!(got.contract(), (502, "upstream_reset".to_owned(), "maybe".to_owned()));
    upstream.next().await;
    assert_eq!(upstream.next().await.start_line(), "POST /svc/b HTTP/1.1");
    assert_eq!((upstream.waiting(), upstream.connections()), (0, 1), "it must not be sent again");
    assert!(sidecar.metric(RETRIES).await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_connection_that_upstream_ends_is_counted_as_ended_by_the_peer() {
    let Act::Answer(bytes) = Act::ok() else { unreachable!() };
    let upstream = Recorder::acting(move |_| Act::AnswerAndClose(bytes.clone())).await;
    let client = Client::of(&upstream.origin(), "");
    let opened = "wonder_signer_upstream_connections_opened_total";
    let open = "wonder_signer_upstream_connections{state=\"open\"}";
    assert!(client.metric(opened).abs() < f64::EPSILON);
    drop(client.send("/svc/a").await.unwrap());
    client.until(&closed("peer"), 1.0).await;
    client.until(open, 0.0).await;
    client.until(opened, 1.0).await;
}

#[tokio::test]
async fn a_connection_that_is_reset_is_counted_as_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::of(&format!("http://{}", listener.local_addr().unwrap()), "");
    let answers = tokio::spawn(client.start("/svc/a", b"{}"));
    let (mut stream, _) = listener.accept().await.unwrap();
    // What is left unread when a socket is closed makes it a reset.
    stream.read_exact(&mut [0; 1]).await.unwrap();
    drop(stream);
    answers.await.unwrap().unwrap_err();
    client.until(&closed("error"), 1.0).await;
}

#[tokio::test]
async fn the_clock_is_compared_with_the_upstreams_date() {
    let hour = std::time::Duration::from_hours(1);
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() - hour);
    let upstream = Recorder::acting(move |_| {
        Act::Answer(format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    })
    .await;
    let client = Client::of(&upstream.origin(), "");
    client.send("/svc/a").await.unwrap();
    let skew = client.metric("wonder_signer_clock_skew_seconds");
    assert!((3500.0..4000.0).contains(&skew), "{skew}");
}
