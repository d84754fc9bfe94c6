//! More HTTP/2 frames than anyone needs. The connection may end; memory stays small, and others are served.

use tokio::io::AsyncReadExt as _;

use super::frames::{DATA, END_HEADERS, HEADERS, PING, POST, PREFACE, block, frame, post};
use crate::support::{
    process::Process,
    transport::{Connection, Transport},
    upstream::{Act, Recorder},
};

/// Sends these frames and waits until they have been looked at: an acknowledgement, or the end of the connection.
async fn look_at(process: &Process, frames: &[u8]) -> Box<dyn Connection> {
    let bytes = [PREFACE, frames, &frame(PING, 0, 0, b"are you ")].concat();
    let mut stream = Transport::Plain.send(process.listen, &bytes).await;
    let mut seen = Vec::new();
    while !seen.windows(8).any(|eight| eight == b"are you ") {
        if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            break;
        }
    }
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
