//! More connections than `limits.connections`: a caller with a request to sign is served at once, whatever the other connections do.

mod bodies;
mod descriptors;

use std::{io::ErrorKind, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};
use wonder_signer::config::ListenAddress;

use crate::{
    gateway::handshakes::hello,
    http2::PREFACE,
    support::{
        patience::soon,
        sidecar::{Sidecar, assert_signed},
        transport::{Connection, Transport},
        upstream::{Act, Recorder},
        wire::{read_message, request},
    },
};

/// Time-outs so long that no test here can reach one.
const PATIENT: &str = "[timeouts]\nrequest_head = \"1h\"\nidle = \"1h\"\nbody = \"1h\"\nqueue = \"1h\"\nrequest = \"1h\"\n\
                       response_head = \"1h\"\n[limits]\nconnections = 16\n";

/// The bytes that a peer sends before it falls silent, and how many answers it reads first.
fn silences() -> Vec<(&'static str, Vec<u8>, usize)> {
    let elsewhere = request("GET", "/elsewhere", &[], b"");
    let old = b"GET /elsewhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec();
    vec![
        ("nothing", Vec::new(), 0),
        ("one byte", b"G".to_vec(), 0),
        ("one CRLF", b"\r\n".to_vec(), 0),
        ("many CRLF", b"\r\n".repeat(1000), 0),
        ("half a head", b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nX-".to_vec(), 0),
        ("a large half of a head", [&b"POST /svc/a HTTP/1.1\r\nX-A: "[..], &[b'a'; 60_000]].concat(), 0),
        ("four bytes of a preface", PREFACE[..4].to_vec(), 0),
        ("a preface", PREFACE.to_vec(), 1),
        ("one answered 404", elsewhere.clone(), 1),
        ("one answered 404 in HTTP/1.0", old, 1),
        ("answered 404s that it does not read", elsewhere.repeat(2000), 0),
    ]
}

/// Fails after a minute, long before any time-out of [`PATIENT`].
async fn pays(transport: &Transport, sidecar: &Sidecar, upstream: &Recorder, what: &str) -> Box<dyn Connection> {
    let mut stream = transport.send(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    let answer = soon(read_message(&mut stream, false)).await.expect(what);
    assert_eq!(answer.status(), 200, "{transport}, {what}: {:?}", answer.contract());
    assert_signed(&upstream.next().await);
    stream
}

#[tokio::test]
async fn silent_peers_do_not_lock_others_out() {
    for transport in Transport::all() {
        for (what, bytes, answers) in silences() {
            let upstream = Recorder::start().await;
            let sidecar = transport.sidecar(&upstream.origin(), PATIENT).await;
            let mut silent = Vec::new();
            for _ in 0..40 {
                // The sidecar may have closed some earlier connections by now.
                let mut stream = transport.connect(sidecar.listen).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                for _ in 0..answers {
                    let _ = soon(read_message(&mut stream, false)).await;
                }
                silent.push(stream);
            }
            pays(&transport, &sidecar, &upstream, what).await;
        }
    }
}

#[tokio::test]
async fn stopped_handshakes_do_not_lock_others_out() {
    let transport = Transport::tls();
    let Transport::Tls { caller, .. } = &transport else { panic!("TLS") };
    let hello = hello(caller);
    for (what, bytes) in [("nothing", &hello[..0]), ("a part of a hello", &hello[..20]), ("a hello", &hello[..])] {
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), PATIENT).await;
        let mut silent = Vec::new();
        for number in 0..100 {
            let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
            let _ = stream.write_all(bytes).await;
            if number % 2 == 0 {
                // Half-closed, as a port scan leaves it.
                let _ = stream.shutdown().await;
            }
            silent.push(stream);
        }
        pays(&transport, &sidecar, &upstream, what).await;
    }
}

/// Retries until the backlog has room, because `connect` on a Unix socket fails at once where TCP waits.
async fn connected(path: &Path) -> UnixStream {
    let connecting = async {
        loop {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::task::yield_now().await,
                connected => return connected.unwrap(),
            }
        }
    };
    soon(connecting).await
}

#[tokio::test]
async fn silent_peers_of_a_unix_socket_do_not_lock_others_out() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("signer.sock").display());
    let sidecar = Sidecar::listening(&listen, &upstream.origin(), PATIENT).await.unwrap();
    let ListenAddress::Unix(path) = &sidecar.all[0] else { panic!("a Unix socket") };
    for bytes in [&b""[..], b"\r\n", b"GET /"] {
        let mut silent = Vec::new();
        for _ in 0..40 {
            let mut stream = connected(path).await;
            let _ = stream.write_all(bytes).await;
            silent.push(stream);
        }
        let mut stream = connected(path).await;
        stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
        assert_eq!(soon(read_message(&mut stream, false)).await.expect("an answer").status(), 200);
    }
}

#[tokio::test]
async fn connections_without_a_signed_request_are_evicted_first_then_the_longest_idle() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), PATIENT).await;
        let mut paying = Vec::new();
        for _ in 0..12 {
            paying.push(pays(&transport, &sidecar, &upstream, "one of 12").await);
        }
        let mut refused = Vec::new();
        for _ in 0..10 {
            let mut stream = transport.send(sidecar.listen, &request("GET", "/elsewhere", &[], b"")).await;
            assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), 404);
            refused.push(stream);
        }
        // 12 connections without a signed request and 4 with one are left; each of the 12 is still served.
        for stream in &mut paying {
            stream.write_all(&request("POST", "/svc/b", &[], b"{}")).await.unwrap();
            stream.flush().await.unwrap();
            assert_eq!(soon(read_message(stream, false)).await.expect("it is kept").status(), 200);
            upstream.next().await;
        }
        // From here on the sidecar evicts connections with a signed request, the one idle longest first.
        for _ in 0..8 {
            paying.push(pays(&transport, &sidecar, &upstream, "one more").await);
        }
        let (ended, kept) = paying.split_at_mut(4);
        for stream in ended {
            assert!(!matches!(soon(stream.read(&mut [0])).await, Ok(1..)), "{transport}: it is evicted");
        }
        for stream in kept {
            stream.write_all(&request("POST", "/svc/c", &[], b"{}")).await.unwrap();
            stream.flush().await.unwrap();
            assert_eq!(soon(read_message(stream, false)).await.expect("it is kept").status(), 200, "{transport}");
        }
        // 30 connections had 16 places.
        assert!(sidecar.metric("wonder_signer_listener_connections_evicted_total").await >= 14.0, "{transport}");
    }
}

#[tokio::test]
async fn a_request_in_flight_is_never_evicted() {
    for transport in Transport::all() {
        let upstream = Recorder::acting(|number| if number < 15 { Act::Stall(Vec::new()) } else { Act::ok() }).await;
        let sidecar = transport.sidecar(&upstream.origin(), PATIENT).await;
        let hold = request("POST", "/svc/hold", &[], b"{}");
        let mut holding = Vec::new();
        for _ in 0..15 {
            // In sequence: 15 connections opened together would evict one another before their requests are in flight.
            holding.push(transport.send(sidecar.listen, &hold).await);
            upstream.next().await;
        }
        let mut silent = Vec::new();
        for _ in 0..25 {
            silent.push(transport.send(sidecar.listen, b"GET /").await);
        }
        drop(pays(&transport, &sidecar, &upstream, "with 15 in flight").await);
        for stream in &mut holding {
            let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut [0])).await;
            assert!(read.is_err(), "{transport}: it is still in flight");
        }
    }
}
