//! HTTP/2 with prior knowledge from the service.

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use crate::support::{
    frames::{ACK, DATA, END_STREAM, Frame, GOAWAY, PING, POST, PREFACE, frame, post as post_frames, read_frame},
    patience::soon,
    sidecar::{Sidecar, assert_signed},
    transport::{Connection, Transport},
    upstream::{Act, Recorder},
};

async fn client(sidecar: &Sidecar) -> SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(sidecar.listen).await.unwrap());
    let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn post(target: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("http://localhost{target}")).body(Full::new(body.into())).unwrap()
}

#[tokio::test]
async fn signs_and_forwards_what_comes_over_http_2() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut client = client(&sidecar).await;
    let answer = client.send_request(post("/svc/a?x=[1]&y=%2f", "{}")).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
    let seen = upstream.next().await;
    assert_eq!(seen.start_line(), "POST /svc/a?x=[1]&y=%2f HTTP/1.1");
    assert_eq!(seen.value("host"), Some(upstream.address().to_string().as_str()));
    assert_signed(&seen);
}

#[tokio::test]
async fn refuses_another_servers_authority_over_http_2_too() {
    let sidecar = Sidecar::before("http://127.0.0.1:1").await;
    let mut client = client(&sidecar).await;
    let request = Request::get("http://evil.example/svc/a").body(Full::default()).unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["x-wonder-signer-error"], "bad_host");
}

#[tokio::test]
async fn carries_many_streams_with_big_bodies_both_ways() {
    let big = "y".repeat(700_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{big}", big.len());
    let upstream = Recorder::acting(move |_| Act::Answer(answer.clone().into_bytes())).await;
    // They all come to sign at about the same time, which takes an unoptimised build on a busy machine more than a second.
    let sidecar = Sidecar::with(&upstream.origin(), "[timeouts]\nsign = \"1m\"\nbody = \"1m\"").await;
    let client = client(&sidecar).await;
    let mut streams = JoinSet::new();
    for number in 0..64 {
        let mut client = client.clone();
        streams.spawn(async move {
            let body = vec![b'x'; 700_000];
            let answer = client.send_request(post(&format!("/svc/{number}"), body)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.into_body().collect().await.unwrap().to_bytes().len()
        });
    }
    assert_eq!(streams.join_all().await, [700_000; 64]);
}

#[tokio::test]
async fn resets_the_stream_of_an_answer_that_breaks_off() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let upstream = Recorder::acting(|_| Act::AnswerAndClose(head.to_vec())).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut client = client(&sidecar).await;
    let answer = client.send_request(post("/svc/a", "{}")).await.unwrap();
    assert!(answer.into_body().collect().await.is_err());
    // The connection and other streams live on.
    assert!(client.send_request(post("/svc/a", "{}")).await.is_ok());
}

/// Reads to the end, and gives the last streams that were named as taken; acknowledges a PING unless `silent`.
async fn goodbyes(mut stream: Box<dyn Connection>, silent: bool) -> Vec<u32> {
    let mut last_streams = Vec::new();
    while let Some(Frame { kind, flags, payload, .. }) = soon(read_frame(&mut stream)).await {
        match kind {
            GOAWAY => {
                assert_eq!(payload[4..8], [0; 4], "NO_ERROR");
                last_streams.push(u32::from_be_bytes(payload[..4].try_into().unwrap()));
            }
            PING if flags & ACK == 0 && !silent => stream.write_all(&frame(PING, ACK, 0, &payload)).await.unwrap(),
            _ => {}
        }
    }
    last_streams
}

/// Before any connection ends that may have streams, all of them are said to be taken (RFC 9113 §6.8).
const EVERY_STREAM: u32 = u32::MAX >> 1;

#[tokio::test]
async fn says_goodbye_to_who_has_nothing_to_say() {
    let upstream = Recorder::start().await;
    // Side by side: who is silent is waited for.
    join_all(Transport::all().into_iter().map(async |transport| {
        let sidecar = transport.sidecar(&upstream.origin(), "[timeouts]\nidle = \"50ms\"").await;
        for (silent, expected) in [(false, &[EVERY_STREAM, 0][..]), (true, &[EVERY_STREAM])] {
            let stream = transport.send(sidecar.listen, PREFACE).await;
            assert_eq!(goodbyes(stream, silent).await, expected, "{transport}, silent: {silent}");
        }
    }))
    .await;
}

#[tokio::test]
async fn says_goodbye_after_the_last_answer_when_it_drains() {
    let upstream = Recorder::start().await;
    for (silent, expected) in [(false, &[EVERY_STREAM, 1][..]), (true, &[EVERY_STREAM])] {
        let sidecar = Sidecar::with(&upstream.origin(), "[shutdown]\ngrace = \"1h\"").await;
        let bytes = [PREFACE, &post_frames(&POST, b"{}")].concat();
        let mut stream = Transport::Plain.send(sidecar.listen, &bytes).await;
        let mut answered = false;
        while !answered {
            let frame = soon(read_frame(&mut stream)).await.expect("an answer");
            answered = frame.kind == DATA && frame.flags & END_STREAM != 0;
        }
        let reading = tokio::spawn(goodbyes(stream, silent));
        assert!(soon(sidecar.stop()).await.cut.is_empty());
        assert_eq!(reading.await.unwrap(), expected, "silent: {silent}");
    }
}
