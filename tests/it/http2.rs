//! The listeners serve HTTP/1.1 only. A client that starts with HTTP/2 gets an error of the contract, and nothing is signed.

use http::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{
    authority::{Mounted, caller, dial},
    patience::soon,
    sidecar::Sidecar,
    transport::Transport,
    upstream::Recorder,
    wire::{Message, read_message, request},
};

/// The preface of a client, with empty SETTINGS (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn assert_refused(answer: &Message, what: &str) {
    assert_eq!(answer.contract(), (400, "bad_request".to_owned(), "no".to_owned()), "{what}");
    assert_eq!(answer.value("connection"), Some("close"), "{what}");
    assert!(answer.text().contains("this listener accepts only HTTP/1.1"), "{what}: {}", answer.text());
}

#[tokio::test]
async fn the_http2_preface_and_every_part_of_it_get_an_error_and_a_close() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        // Longer than the test: no case may wait for a time-out.
        let sidecar = transport.sidecar(&upstream.origin(), "[timeouts]\nrequest_head = \"1h\"\nidle = \"1h\"").await;
        for length in b"PRI *".len()..=PREFACE.len() {
            for ends in [false, true] {
                let what = format!("{transport}, {length} bytes, then an end: {ends}");
                let mut stream = transport.send(sidecar.listen, &PREFACE[..length]).await;
                if ends {
                    stream.shutdown().await.unwrap();
                }
                assert_refused(&soon(read_message(&mut stream, false)).await.expect(&what), &what);
                assert_eq!(soon(stream.read_to_end(&mut Vec::new())).await.unwrap(), 0, "{what}");
            }
        }
        assert_eq!(upstream.connections(), 0);
    }
}

#[tokio::test]
async fn the_http2_preface_gets_an_error_in_pieces_and_after_a_request() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), "").await;
        let frames = [PREFACE, &vec![0; 20_000]].concat();
        for before in [&b""[..], b"\r\n", &request("POST", "/svc/a", &[], b"{}")] {
            for size in [1, 3, 30_000] {
                let mut stream = transport.send(sidecar.listen, before).await;
                if before.len() > 2 {
                    assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), 200);
                }
                for piece in frames.chunks(size).take(24) {
                    // The listener may have answered and closed by now.
                    if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                        break;
                    }
                }
                let answer = soon(read_message(&mut stream, false)).await.expect("an answer");
                assert_refused(&answer, &format!("{transport}, pieces of {size}"));
            }
        }
    }
}

#[tokio::test]
async fn other_http_versions_are_rejected_by_name() {
    let sidecar = Sidecar::before("http://127.0.0.1:1").await;
    for version in ["HTTP/2.0", "HTTP/2", "HTTP/3.0", "HTTP/1.2", "HTTP/0.9"] {
        let head = format!("GET /svc/a {version}\r\nHost: localhost\r\n\r\n");
        assert_refused(&Transport::Plain.exchange(sidecar.listen, head.as_bytes()).await, version);
    }
}

#[tokio::test]
async fn an_upgrade_header_is_ignored() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let offer = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAoAAA")];
    let answer = Transport::Plain.exchange(sidecar.listen, &request("POST", "/svc/a", &offer, b"{}")).await;
    assert_eq!((answer.status(), answer.value("upgrade")), (200, None));
    assert!(answer.start_line().starts_with("HTTP/1.1 "));
    assert_eq!(upstream.next().await.value("upgrade"), None);
}

#[tokio::test]
async fn alpn_selects_http_1_1_or_the_handshake_fails() {
    let (ours, mounted) = Mounted::by_one();
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), &mounted.toml("")).await;
    let shop = ours.issue(&["shop"], "");
    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some("http/1.1")), (&["http/1.1", "h2"], Some("http/1.1")), (&[], None)]
    {
        let stream = dial(sidecar.listen, &caller(&[&ours], Some(&shop), offered)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes), "{offered:?}");
        let answer = crate::gateway::post(stream).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_11), "{offered:?}");
    }
    let error = dial(sidecar.listen, &caller(&[&ours], Some(&shop), &["h2"])).await.unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}
