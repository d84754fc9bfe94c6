//! A low limit of open files: silent connections to one listener lock out no caller of any listener, although no listener is at its own
//! limit of connections.

use std::net::SocketAddr;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    logged::Logged,
    patience::soon,
    sidecar::assert_signed,
    upstream::Recorder,
    webhooks::{Delivery, PAID, key_file},
    wire::{exchange, request},
};

/// The bytes that a peer sends before it falls silent.
fn silences() -> [(&'static str, Vec<u8>); 4] {
    let half = |target: &str| [&request("POST", target, &[("Content-Length", "70")], b"")[..], b"{"].concat();
    [
        ("nothing", Vec::new()),
        ("half a head", b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nX-".to_vec()),
        ("half a body of a webhook", half("/hooks")),
        ("half a body of a call", half("/svc/a")),
    ]
}

async fn crowd(address: SocketAddr, bytes: &[u8]) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..200 {
        let mut stream = soon(TcpStream::connect(address)).await.unwrap();
        // The sidecar may have evicted it by now.
        let _ = stream.write_all(bytes).await;
        crowd.push(stream);
    }
    crowd
}

#[tokio::test]
async fn silent_connections_take_no_descriptor_that_a_request_needs() {
    let (upstream, key) = (Recorder::start().await, key_file());
    let origin = upstream.origin();
    let variables = [
        ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", &*origin),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", key.path().to_str().unwrap()),
        // No time-out ends a silent connection.
        ("WONDER_SIGNER_TIMEOUTS__REQUEST_HEAD", "1h"),
        ("WONDER_SIGNER_TIMEOUTS__BODY", "1h"),
        ("WONDER_SIGNER_TIMEOUTS__IDLE", "1h"),
    ];
    let program = Logged::with_open_files(64, &origin, &variables).await;
    let webhook = program.webhook.unwrap();
    for (what, bytes) in silences() {
        for (name, crowded) in [("webhook", webhook), ("listen", program.listen), ("admin", program.admin)] {
            let silent = crowd(crowded, &bytes).await;
            for _ in 0..3 {
                let answer = Delivery::paid().send(webhook).await;
                assert_eq!(answer.status(), 200, "{what}, {name}: {answer:?}");
                assert_eq!(upstream.next().await.body, PAID.as_bytes());
                let answer = exchange(program.listen, &request("POST", "/svc/a", &[], b"{}")).await;
                assert_eq!(answer.status(), 200, "{what}, {name}: {answer:?}");
                assert_signed(&upstream.next().await);
                let probe = exchange(program.admin, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
                assert_eq!(probe.status(), 200, "{what}, {name}");
            }
            drop(silent);
        }
    }
    let log = program.stop().await;
    assert!(log.contains("idle connections closed because few file descriptors are left"), "{log}");
}
