//! Hostile TLS handshakes. Each fails, is counted once, and does not affect other callers.

use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ClientConnection,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{FAILED, is_served};
use crate::{
    http2::PREFACE,
    support::{
        authority::{Authority, Issued, Mounted, caller, connector, shown},
        logged::Logged,
        patience::HANG,
        sidecar::until,
        upstream::Recorder,
    },
};

/// An invalid certificate of `authority` for `shop`.
fn leaf(authority: &Authority, spoil: impl FnOnce(&mut CertificateParams)) -> Issued {
    let mut leaf = CertificateParams::new(vec!["shop".to_owned()]).unwrap();
    spoil(&mut leaf);
    let key = KeyPair::generate().unwrap();
    Issued { certificate: leaf.signed_by(&key, &authority.issuer).unwrap(), key }
}

#[tokio::test]
async fn every_invalid_certificate_is_rejected() {
    let ((ours, mounted), strangers) = (Mounted::by_one(), Authority::new());
    let upstream = Recorder::start().await;
    let sidecar = mounted.sidecar(&upstream.origin(), "callers = [\"shop\"]\n").await;
    let good = ours.issue(&["shop"], "");
    let expired = leaf(&ours, |leaf| leaf.not_after = date_time_ymd(2021, 1, 1));
    let early = leaf(&ours, |leaf| leaf.not_before = date_time_ymd(2999, 1, 1));
    let server = leaf(&ours, |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let foreign = strangers.issue(&["shop"], "");
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["shop".to_owned()]).unwrap().self_signed(&own_key).unwrap();
    // A caller's certificate acts as an authority.
    let by_good = Issuer::new(CertificateParams::new(vec!["shop".to_owned()]).unwrap(), &good.key);
    let key = KeyPair::generate().unwrap();
    let from_leaf = CertificateParams::new(vec!["shop".to_owned()]).unwrap().signed_by(&key, &by_good).unwrap();
    let rows = [
        ("out of date", shown(&[&expired.certificate], &expired.key)),
        ("not valid yet", shown(&[&early.certificate], &early.key)),
        ("for servers only", shown(&[&server.certificate], &server.key)),
        ("of another authority with the same name", shown(&[&foreign.certificate], &foreign.key)),
        ("another authority's, and ours beside it", shown(&[&foreign.certificate, &ours.certificate], &foreign.key)),
        ("signed by itself", shown(&[&own], &own_key)),
        ("signed by a caller's", shown(&[&from_leaf, &good.certificate], &key)),
        ("another caller's, without the key", shown(&[&good.certificate], &foreign.key)),
        ("the authority's own, without the key", shown(&[&ours.certificate], &good.key)),
    ];
    let mut failed = 0.0;
    for (name, identity) in rows {
        for version in [&TLS12, &TLS13] {
            let caller = connector(&[&ours], Some(identity.clone()), &[], &[version]);
            assert!(!is_served(sidecar.listen, &caller).await, "{name}, {version:?}");
            failed += 1.0;
            until(sidecar.admin, FAILED, failed).await;
        }
    }
    assert_eq!(upstream.connections(), 0);
    assert!(is_served(sidecar.listen, &caller(&[&ours], Some(&good), &[])).await);
}

/// A `ClientHello` record.
pub(crate) fn hello(caller: &TlsConnector) -> Vec<u8> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::clone(caller.config()), name).unwrap().write_tls(&mut bytes).unwrap();
    bytes
}

/// The same handshake message in records of so many bytes (RFC 8446 §5.1 lets it be cut anywhere).
fn in_records_of(bytes: usize, hello: &[u8]) -> Vec<u8> {
    let record = |part: &[u8]| [&hello[..3], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
    hello[5..].chunks(bytes).flat_map(record).collect()
}

/// Faulty first bytes, by name.
fn first_bytes(hello: &[u8]) -> Vec<(String, Vec<u8>)> {
    let but = |place: usize, byte: u8| {
        let mut bytes = hello.to_vec();
        bytes[place] = byte;
        bytes
    };
    let mut rows = vec![
        ("HTTP/1.1".to_owned(), b"POST /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
        ("HTTP/2".to_owned(), PREFACE.to_vec()),
        ("SSH".to_owned(), b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("SSLv2".to_owned(), b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10\x01\0\x80".to_vec()),
        ("the PROXY protocol".to_owned(), [b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", hello].concat()),
        ("application data".to_owned(), b"\x17\x03\x03\0\x10GET /svc/a HTTP/".to_vec()),
        ("a fatal alert".to_owned(), b"\x15\x03\x03\0\x02\x02\x28".to_vec()),
        ("close_notify".to_owned(), b"\x15\x03\x03\0\x02\x01\0".to_vec()),
        ("warnings without end".to_owned(), b"\x15\x03\x03\0\x02\x01\x5a".repeat(2000)),
        ("ChangeCipherSpec without end".to_owned(), b"\x14\x03\x03\0\x01\x01".repeat(2000)),
        ("empty records without end".to_owned(), b"\x16\x03\x03\0\0".repeat(2000)),
        ("a record over the limit".to_owned(), [&b"\x16\x03\x01\xff\xff"[..], &[1; 70_000]].concat()),
        (
            "a message of 16 MiB".to_owned(),
            [&b"\x16\x03\x01\x40\0\x01\xff\xff\xff"[..], &[0; 0x3ffc]].concat().repeat(8),
        ),
        ("a hello, then application data".to_owned(), [hello, b"\x17\x03\x03\0\x10GET /svc/a HTTP/"].concat()),
        ("two hellos".to_owned(), hello.repeat(2)),
        ("a hello of another type".to_owned(), but(5, 2)),
        ("a hello whose length lies".to_owned(), but(8, hello[8] ^ 1)),
        ("a hello with a session id out of bounds".to_owned(), but(43, 0xff)),
        ("a hello in records of 1 byte, then nothing".to_owned(), in_records_of(1, hello)),
        ("a hello, then nothing".to_owned(), hello.to_vec()),
    ];
    rows.extend(
        (0..hello.len()).step_by(7).map(|bytes| (format!("{bytes} bytes of a hello"), hello[..bytes].to_vec())),
    );
    rows
}

#[tokio::test]
async fn faulty_first_bytes_end_the_connection() {
    let (ours, mounted) = Mounted::by_one();
    let upstream = Recorder::start().await;
    let sidecar = mounted.sidecar(&upstream.origin(), "").await;
    let shop = caller(&[&ours], Some(&ours.issue(&["shop"], "")), &["http/1.1"]);
    let mut failed = 0.0;
    for (name, bytes) in first_bytes(&hello(&shop)) {
        let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
        // The listener may close while the client is still sending.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = timeout(HANG, stream.read_to_end(&mut answer)).await.expect(&name);
        assert!(!answer.windows(5).any(|five| five == b"HTTP/"), "{name}");
        failed += 1.0;
        timeout(HANG, until(sidecar.admin, FAILED, failed)).await.expect(&name);
    }
    assert_eq!(upstream.connections(), 0);
    assert!(is_served(sidecar.listen, &shop).await);
}

#[tokio::test]
async fn a_hello_in_single_bytes_is_accepted() {
    let (ours, mounted) = Mounted::by_one();
    let sidecar = mounted.sidecar("http://127.0.0.1:1", "").await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    let shop = caller(&[&ours], Some(&ours.issue(&["shop"], "")), &[]);
    stream.write_all(&in_records_of(1, &hello(&shop))).await.unwrap();
    // A ServerHello. The test above shows that the handshake fails unless the client continues it.
    let mut head = [0; 6];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!((head[0], head[5]), (22, 2));
}

#[tokio::test]
async fn a_stalled_handshake_times_out() {
    let (ours, mounted) = Mounted::by_one();
    let sidecar = mounted.sidecar("http://127.0.0.1:1", "[timeouts]\nrequest_head = \"2s\"\n").await;
    let hello = hello(&caller(&[&ours], Some(&ours.issue(&["shop"], "")), &[]));
    let mut silent = Vec::new();
    // After the whole hello the server has answered, and waits for the certificate.
    for bytes in [0, 1, 5, 6, hello.len() / 2, hello.len() - 1, hello.len()] {
        let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
        stream.write_all(&hello[..bytes]).await.unwrap();
        silent.push((bytes, stream));
    }
    for (bytes, mut stream) in silent {
        let mut answer = Vec::new();
        timeout(HANG, stream.read_to_end(&mut answer)).await.expect("ends").unwrap();
        assert_eq!(answer.is_empty(), bytes < hello.len());
    }
    until(sidecar.admin, FAILED, 7.0).await;
}

#[tokio::test]
async fn alpn_accepts_http_1_1_only() {
    let (ours, mounted) = Mounted::by_one();
    let sidecar = mounted.sidecar("http://127.0.0.1:1", "").await;
    let shop = ours.issue(&["shop"], "");
    for (failed, alpn) in [(1.0, &["http/1.0"][..]), (2.0, &["h2c"]), (3.0, &["h3", "ftp"])] {
        assert!(!is_served(sidecar.listen, &caller(&[&ours], Some(&shop), alpn)).await, "{alpn:?}");
        until(sidecar.admin, FAILED, failed).await;
    }
}

#[tokio::test]
async fn the_log_names_a_handshakes_fault_and_the_remedy() {
    let ((ours, mounted), strangers) = (Mounted::by_one(), Authority::new());
    let upstream = Recorder::start().await;
    let [certificate, key, ca] = ["tls.crt", "tls.key", "ca.crt"].map(|name| mounted.path(name).display().to_string());
    let program = Logged::before(
        &upstream.origin(),
        &[
            ("WONDER_SIGNER_LISTEN__TLS__CERTIFICATE_FILE", &certificate),
            ("WONDER_SIGNER_LISTEN__TLS__KEY_FILE", &key),
            ("WONDER_SIGNER_LISTEN__TLS__CLIENT_CA_FILE", &ca),
            ("WONDER_SIGNER_LOG__LEVEL", "debug"),
        ],
    )
    .await;
    let good = ours.issue(&["shop"], "");
    let expired = leaf(&ours, |leaf| leaf.not_after = date_time_ymd(2021, 1, 1));
    let foreign_key = KeyPair::generate().unwrap();
    let foreign = CertificateParams::new(vec!["shop".to_owned()]).unwrap().self_signed(&foreign_key).unwrap();
    for (trusted, identity, reason) in [
        (
            &ours,
            None,
            "the caller showed no certificate; it must show one of an authority in listen.tls.client_ca_file",
        ),
        (
            &ours,
            Some(shown(&[&expired.certificate], &expired.key)),
            "the certificate of the caller expired at 2021-01-01T00:00:00Z; the clock here says 2",
        ),
        (
            &ours,
            Some(shown(&[&foreign], &foreign_key)),
            "; the caller needs a certificate of an authority in listen.tls.client_ca_file",
        ),
        (
            &strangers,
            Some(shown(&[&good.certificate], &good.key)),
            "; the caller does not accept the certificate in listen.tls.certificate_file",
        ),
    ] {
        let _ = is_served(program.listen, &connector(&[trusted], identity, &[], &[&TLS13])).await;
        let line = program.line("TLS handshake failed").await;
        assert!(line["error"].as_str().unwrap().contains(reason), "{line}");
    }
    let mut plain = TcpStream::connect(program.listen).await.unwrap();
    plain.write_all(b"GET /svc/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let line = program.line("TLS handshake failed").await;
    assert!(line["error"].as_str().unwrap().ends_with("; the caller must use TLS here"), "{line}");
}
