//! Request bodies that do not end. Each holds a connection, a slot and memory, and must not withhold them from other callers.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::pays;
use crate::support::{
    patience::soon,
    sidecar::{Sidecar, until},
    transport::{Connection, Transport},
    upstream::{Act, Recorder},
    wire::{Message, read_message, request},
};

/// Time-outs so long that no request below ends by itself.
const TIMEOUTS: &str =
    "[timeouts]\nrequest_head = \"1h\"\nidle = \"1h\"\nbody = \"1h\"\nrequest = \"1h\"\nresponse_head = \"1h\"\n";

/// The scarce resource of each case: a limit that 24 unfinished bodies exhaust.
fn shortages() -> [(&'static str, String); 3] {
    [
        ("connections", "[limits]\nconnections = 16\n".to_owned()),
        ("slots", "queue = \"1h\"\n[limits]\nrequests_in_flight = 8\n".to_owned()),
        ("memory", "queue = \"1h\"\n[limits]\nbuffered = \"1MiB\"\n".to_owned()),
    ]
}

/// What a peer sends of a request whose body does not end.
fn unfinished() -> Vec<(&'static str, Vec<u8>)> {
    let of_length = |length: usize, sent: usize| {
        let head = request("POST", "/svc/a", &[("Content-Length", &length.to_string())], b"");
        [head, vec![b'x'; sent]].concat()
    };
    let expecting = request("POST", "/svc/a", &[("Content-Length", "200000"), ("Expect", "100-continue")], b"");
    let chunked = b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n".to_vec();
    vec![
        ("a head", of_length(200_000, 0)),
        ("all but one byte", of_length(200_000, 199_999)),
        ("a head with an expectation", expecting),
        ("a chunk without its end", [chunked.clone(), vec![b'x'; 199_999]].concat()),
        ("a chunk that is not the last", [chunked, vec![b'x'; 200_000], b"\r\n".to_vec()].concat()),
    ]
}

async fn stalled(transport: &Transport, sidecar: &Sidecar, bytes: &[u8], count: usize) -> Vec<Box<dyn Connection>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        // The sidecar may have closed an earlier one by now.
        let mut stream = transport.connect(sidecar.listen).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn stalled_bodies_do_not_lock_others_out() {
    for transport in Transport::all() {
        for (short, toml) in shortages() {
            for (what, bytes) in unfinished() {
                let upstream = Recorder::start().await;
                let sidecar = transport.sidecar(&upstream.origin(), &format!("{TIMEOUTS}{toml}")).await;
                let silent = stalled(&transport, &sidecar, &bytes, 24).await;
                pays(&transport, &sidecar, &upstream, &format!("{short}, {what}")).await;
                drop(silent);
            }
        }
    }
}

/// Bytes arrive without a pause, so that some always have when a body is to be evicted, as on a sidecar with too little processor time.
#[tokio::test]
async fn dripping_bodies_do_not_lock_others_out() {
    for (short, toml) in shortages() {
        let transport = Transport::Plain;
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), &format!("{TIMEOUTS}{toml}")).await;
        let head = request("POST", "/svc/a", &[("Content-Length", "200000")], b"");
        let mut slow = stalled(&transport, &sidecar, &head, 24).await;
        let drips = tokio::spawn(async move {
            loop {
                for stream in &mut slow {
                    let _ = stream.write_all(b"x").await;
                }
                tokio::task::yield_now().await;
            }
        });
        pays(&transport, &sidecar, &upstream, short).await;
        drips.abort();
    }
}

#[tokio::test]
async fn a_stalled_body_is_rejected_when_its_place_is_needed() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let toml = format!("{TIMEOUTS}queue = \"1h\"\n[limits]\nrequests_in_flight = 1\n");
        let sidecar = transport.sidecar(&upstream.origin(), &toml).await;
        let head = request("POST", "/svc/a", &[("Content-Length", "10")], b"");
        let mut first = transport.send(sidecar.listen, &head).await;
        until(sidecar.admin, "wonder_signer_requests_in_flight", 1.0).await;
        pays(&transport, &sidecar, &upstream, "with the only slot taken").await;
        let answer = soon(read_message(&mut first, false)).await.expect("an answer");
        assert_eq!(answer.contract(), (503, "overloaded".to_owned(), "no".to_owned()), "{transport}");
        assert_eq!((answer.value("retry-after"), answer.value("connection")), (Some("1"), Some("close")));
        assert!(answer.text().contains("arrives too slowly"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_slow_body_may_continue_while_there_is_room() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let toml = format!("{TIMEOUTS}[limits]\nrequests_in_flight = 9\nconnections = 64\n");
        let sidecar = transport.sidecar(&upstream.origin(), &toml).await;
        let head = request("POST", "/svc/slow", &[("Content-Length", "10")], b"");
        let mut slow = stalled(&transport, &sidecar, &head, 7).await;
        until(sidecar.admin, "wonder_signer_requests_in_flight", 7.0).await;
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end {
            pays(&transport, &sidecar, &upstream, "in a free slot").await;
        }
        for stream in &mut slow {
            let _ = stream.write_all(b"0123456789").await;
            let _ = stream.flush().await;
            let answer: Message = soon(read_message(stream, false)).await.expect("an answer");
            assert_eq!(answer.status(), 200, "{transport}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_request_with_a_whole_body_keeps_its_slot_and_memory() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    for toml in ["requests_in_flight = 2", "buffered = \"1MiB\""] {
        let sidecar =
            Sidecar::with(&upstream.origin(), &format!("{TIMEOUTS}queue = \"50ms\"\n[limits]\n{toml}\n")).await;
        let transport = Transport::Plain;
        let whole = request("POST", "/svc/a", &[], &vec![b'x'; 400_000]);
        let _held = [transport.send(sidecar.listen, &whole).await, transport.send(sidecar.listen, &whole).await];
        for _ in 0..2 {
            upstream.next().await;
        }
        // One more request has to wait; it must not displace those in flight.
        let answer = transport.exchange(sidecar.listen, &whole).await;
        assert_eq!(answer.contract(), (503, "overloaded".to_owned(), "no".to_owned()), "{toml}");
        assert_eq!(upstream.waiting(), 0);
    }
}
