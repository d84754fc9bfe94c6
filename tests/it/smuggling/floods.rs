//! More HTTP/2 frames than anyone needs. The connection may end; memory stays small, and others are served.

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{Range, frames::fate, parts};
use crate::support::{
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, POST, PREFACE, SETTINGS, WINDOW_UPDATE, block, but,
        frame, post,
    },
    patience::HANG,
    process::Process,
    sidecar::until,
    transport::{Connection, Transport},
    upstream::{Act, Recorder},
};

/// A field of 4000 bytes once, then 16,000 times by its index: 16 kB that say 64 MB (RFC 9113 §10.5.1).
fn bomb() -> Vec<u8> {
    // Not for Wonder, but it does fill the table.
    let elsewhere = block(&but(":path", "/x"));
    let long = [&b"\x40\x03x-a\x7f\xa1\x1e"[..], &[b'b'; 4000]].concat();
    let first = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[elsewhere, long].concat());
    [first, frame(HEADERS, END_HEADERS | END_STREAM, 3, &[block(&POST), vec![0xbe; 16_000]].concat())].concat()
}

/// By name; nothing in any of them is a request that may be sent on.
fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let open = |stream: u32| frame(HEADERS, END_HEADERS, stream, &block(&POST));
    let streams =
        |more: &dyn Fn(u32) -> Vec<u8>| (0..5000).flat_map(|number| more(2 * number + 1)).collect::<Vec<u8>>();
    let unended = frame(HEADERS, 0, 1, &block(&POST));
    vec![
        // RFC 9113 §10.5: legitimate frames, and too many of them.
        ("empty CONTINUATION", [unended, frame(CONTINUATION, 0, 1, b"").repeat(50_000)].concat()),
        ("empty DATA", [open(1), frame(DATA, 0, 1, b"").repeat(50_000)].concat()),
        ("DATA of padding", [open(1), frame(DATA, 8, 1, b"\0").repeat(50_000)].concat()),
        ("empty SETTINGS", frame(SETTINGS, 0, 0, b"").repeat(50_000)),
        ("SETTINGS of one window and another", {
            let window = |size: u8| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, size]);
            [window(1), window(2)].concat().repeat(20_000)
        }),
        // §6.9: an increment of 0 is an error of the stream, which the server then resets itself.
        ("streams that make it reset them", {
            streams(&|stream| [open(stream), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat())
        }),
        // §8.2.2: malformed, so reset by the server too.
        ("streams of malformed heads", {
            let fields = [&POST[..], &[("connection", "close")]].concat();
            streams(&|stream| frame(HEADERS, END_HEADERS, stream, &block(&fields)))
        }),
        ("an HPACK bomb", bomb()),
        ("5000 streams that wait for a body", streams(&open)),
    ]
}

#[tokio::test]
async fn floods_reach_nobody_and_harm_nobody() {
    for range in Range::patient().await {
        for (name, frames) in floods() {
            for reads in [true, false] {
                let stream = range.transport.send(range.sidecar.listen, PREFACE).await;
                let (mut reading, mut writing) = tokio::io::split(stream);
                let flood = tokio::spawn({
                    let frames = [&frames[..], &seen()].concat();
                    // It may be hung up on at any point, or not be listened to any more.
                    async move { writing.write_all(&frames).await.is_ok() && writing.flush().await.is_ok() }
                });
                if reads {
                    timeout(HANG, read_until_seen(&mut reading)).await.expect(name);
                }
                assert_eq!(fate(&range, &post(&POST, b"{}")).await, "200", "{}, {name}", range.transport);
                flood.abort();
                let reached: Vec<_> = range.upstream.take().iter().map(parts).collect();
                let honest = ("POST".to_owned(), "/svc/a".to_owned(), b"{}".to_vec());
                assert_eq!(reached, [honest], "{}, {name}", range.transport);
            }
        }
        until(range.sidecar.admin, "wonder_signer_requests_in_flight", 0.0).await;
        assert_eq!(fate(&range, &post(&POST, b"{}")).await, "200");
    }
}

/// A frame whose acknowledgement says that all before it has been looked at.
fn seen() -> Vec<u8> {
    frame(PING, 0, 0, b"are you ")
}

/// Reads up to that acknowledgement, or to the end of the connection.
async fn read_until_seen(reading: &mut (impl AsyncRead + Unpin)) {
    let mut read = Vec::new();
    while !read.windows(8).any(|eight| eight == b"are you ") {
        read.drain(..read.len().saturating_sub(7));
        if reading.read_buf(&mut read).await.unwrap_or(0) == 0 {
            break;
        }
    }
}

/// Sends these frames and waits until they have been looked at.
async fn look_at(process: &Process, frames: &[u8]) -> Box<dyn Connection> {
    let mut stream = Transport::Plain.send(process.listen, &[PREFACE, frames, &seen()].concat()).await;
    read_until_seen(&mut stream).await;
    stream
}

#[tokio::test]
async fn holds_little_of_bodies_that_wait_for_a_place() {
    // RFC 9113 §5.2: what a window allows is held until it is read, which is not before there is a place; and a frame of
    // one byte takes the memory of a frame.
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let settings = "[limits]\nrequests_in_flight = 1\n[timeouts]\nqueue = \"1h\"\n";
    let process = Process::start(&upstream.origin(), settings).await;
    let mut held = vec![look_at(&process, &post(&POST, b"{}")).await];
    upstream.next().await;
    let before = process.held().memory;
    for frames in [2000, 8000].repeat(32) {
        let open = frame(HEADERS, END_HEADERS, 1, &block(&POST));
        held.push(look_at(&process, &[open, frame(DATA, 0, 1, b"x").repeat(frames)].concat()).await);
    }
    let grown = process.held().peak.saturating_sub(before) / 1024;
    eprintln!("64 connections with bodies that wait: {grown} MiB more");
    assert!(grown < 48, "{grown} MiB for 64 connections");
}
