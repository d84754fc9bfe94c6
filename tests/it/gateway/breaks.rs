//! Connections that end, or carry garbage, in the middle of a request. A request that has not arrived whole is never signed.
//!
//! TLS distinguishes an intended end, `close_notify`, from one that an attacker on the path made (RFC 8446 §6.1). Neither completes
//! half a request, because no accepted framing treats the end of the connection as the end of a body.

use rustls::version::{TLS12, TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::support::{
    authority::{Mounted, caller, connector, dial, shown},
    patience::HANG,
    sidecar::{assert_signed, until},
    upstream::Recorder,
    wire::{exchange, read_message, request},
};

/// How the connection ends.
enum End {
    /// With `close_notify`.
    Notify,
    /// With a FIN and without `close_notify`, as an attacker without the keys can cause.
    Fin,
    /// With a reset.
    Reset,
    /// With an encrypted fatal alert.
    Alert,
    /// Not at all: these bytes are sent on the socket outside TLS.
    Raw(Vec<u8>),
}

fn ends() -> Vec<(&'static str, End)> {
    let record = |kind: u8, length: usize| {
        let size = u16::try_from(length).unwrap().to_be_bytes();
        [&[kind, 3, 3][..], &size, &vec![7; length]].concat()
    };
    let raw = |name, bytes: &[&[u8]]| (name, End::Raw(bytes.concat()));
    vec![
        ("close_notify", End::Notify),
        ("a FIN alone", End::Fin),
        ("a reset", End::Reset),
        ("a fatal alert", End::Alert),
        raw("a record made without the keys", &[&record(23, 64)]),
        raw("a record cut down to its head", &[&record(23, 0)]),
        raw("a record over the limit", &[&record(23, 20_000)]),
        raw("a record of no known type", &[&record(99, 64)]),
        raw("a handshake in the clear", &[b"\x16\x03\x03\0\x04\x01\0\0\0", &record(22, 64)]),
        raw("close_notify in the clear, then the rest", &[b"\x15\x03\x03\0\x02\x01\0", b"{}"]),
        raw("the rest of the request in the clear", &[b"\"}\r\n0\r\n\r\n"]),
    ]
}

impl End {
    async fn come(&self, mut stream: TlsStream<TcpStream>) {
        match self {
            Self::Notify => stream.shutdown().await.unwrap(),
            Self::Fin => stream.get_mut().0.shutdown().await.unwrap(),
            Self::Reset => return stream.get_mut().0.set_zero_linger().unwrap(),
            Self::Alert => {
                let (socket, session) = stream.get_mut();
                // The client receives bytes that the server cannot have sent, so it sends an alert and closes.
                session.read_tls(&mut &b"\x17\x03\x03\0\x20rubbish rubbish rubbish rubbish "[..]).unwrap();
                session.process_new_packets().unwrap_err();
                let mut alert = Vec::new();
                session.write_tls(&mut alert).unwrap();
                socket.write_all(&alert).await.unwrap();
            }
            Self::Raw(bytes) => stream.get_mut().0.write_all(bytes).await.unwrap(),
        }
        // Until the sidecar has closed its side, which it must do by itself.
        let _ = stream.get_mut().0.read_to_end(&mut Vec::new()).await;
    }
}

fn halves() -> Vec<(&'static str, Vec<u8>)> {
    let head = |lines: &str| format!("POST /svc/a HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let chunked = head("Transfer-Encoding: chunked\r\n");
    vec![
        ("half a head", b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Le".to_vec()),
        ("a head and no body", head("Content-Length: 8\r\n").into_bytes()),
        ("half a body", format!("{}{{\"a\":", head("Content-Length: 8\r\n")).into_bytes()),
        ("half a body that is whole JSON", format!("{}{{}}", head("Content-Length: 8\r\n")).into_bytes()),
        ("chunks that stop within one", format!("{chunked}8\r\n{{}}").into_bytes()),
        ("chunks that stop after one", format!("{chunked}2\r\n{{}}\r\n").into_bytes()),
        ("chunks that stop before the last line", format!("{chunked}2\r\n{{}}\r\n0\r\n").into_bytes()),
    ]
}

#[tokio::test]
async fn half_a_request_is_never_signed() {
    let (ours, mounted) = Mounted::by_one();
    let shop = ours.issue(&["shop"], "");
    for version in [&TLS12, &TLS13] {
        let upstream = Recorder::start().await;
        // Each connection must end by itself.
        let patient = "[timeouts]\nrequest_head = \"1h\"\nbody = \"1h\"\nidle = \"1h\"\n";
        let sidecar = mounted.sidecar(&upstream.origin(), patient).await;
        let identity = shown(&[&shop.certificate], &shop.key);
        let caller = connector(&[&ours], Some(identity), &["http/1.1"], &[version]);
        for (half, bytes) in halves() {
            for (name, end) in ends() {
                let mut stream = dial(sidecar.listen, &caller).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                stream.flush().await.unwrap();
                timeout(HANG, end.come(stream)).await.unwrap_or_else(|_| panic!("{half}, {name}: hangs"));
            }
        }
        timeout(HANG, until(sidecar.admin, "wonder_signer_requests_in_flight", 0.0)).await.expect("all have ended");
        assert_eq!(upstream.connections(), 0);
        let text = exchange(sidecar.admin, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.text();
        let errors = text.lines().filter(|line| line.starts_with("wonder_signer_proxy_errors_total"));
        let wrong: Vec<_> = errors.filter(|line| line.contains("sent=\"maybe\"") && !line.ends_with(" 0")).collect();
        assert_eq!(wrong, [""; 0]);
        // The next request contains no byte of any of them.
        let mut stream = dial(sidecar.listen, &caller).await.unwrap();
        stream.write_all(&request("POST", "/svc/next", &[], b"{}")).await.unwrap();
        assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200);
        let seen = upstream.next().await;
        assert_signed(&seen);
        assert_eq!((seen.start_line(), &seen.body[..]), ("POST /svc/next HTTP/1.1", &b"{}"[..]));
        assert_eq!(upstream.waiting(), 0);
    }
}

#[tokio::test]
async fn endless_key_updates_do_not_delay_others() {
    // RFC 8446 §4.6.3: each side may request a key update at any time, and the other must answer.
    let (ours, mounted) = Mounted::by_one();
    let upstream = Recorder::start().await;
    let sidecar = mounted.sidecar(&upstream.origin(), "").await;
    let shop = caller(&[&ours], Some(&ours.issue(&["shop"], "")), &[]);
    let mut stream = dial(sidecar.listen, &shop).await.unwrap();
    stream.write_all(b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{").await.unwrap();
    let (socket, session) = stream.get_mut();
    for _ in 0..1000 {
        session.refresh_traffic_keys().unwrap();
        let mut update = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut update).unwrap();
        }
        if socket.write_all(&update).await.is_err() {
            break;
        }
    }
    let mut another = dial(sidecar.listen, &shop).await.unwrap();
    another.write_all(&request("POST", "/svc/another", &[], b"{}")).await.unwrap();
    assert_eq!(read_message(&mut another, false).await.unwrap().status(), 200);
    assert_eq!(upstream.next().await.start_line(), "POST /svc/another HTTP/1.1");
    // And its own request is served whole or not at all.
    let _ = stream.write_all(b"}").await;
    if let Ok(Some(answer)) = timeout(HANG, read_message(&mut stream, false)).await {
        assert_eq!(answer.status(), 200);
        assert_eq!(upstream.next().await.body, b"{}");
    }
}
