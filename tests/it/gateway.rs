//! The signing listener as a gateway for other pods: TLS, and callers with client certificates.

mod breaks;
pub(crate) mod handshakes;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::TokioIo;
use rustls::{
    pki_types::CertificateDer,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    authority::{Authority, Issued, Mounted, caller, connector, dial, shown},
    logged::Logged,
    patience::soon,
    sidecar::{Sidecar, assert_signed, until},
    upstream::Recorder,
    wire::{read_message, request},
};

const FAILED: &str = "wonder_signer_listener_handshakes_failed_total";

impl Mounted {
    async fn sidecar(&self, origin: &str, more: &str) -> Sidecar {
        Sidecar::with(origin, &self.toml(more)).await
    }

    async fn program(&self, origin: &str) -> Logged {
        let [certificate, key, ca] = ["tls.crt", "tls.key", "ca.crt"].map(|name| self.path(name));
        let variables = [
            ("WONDER_SIGNER_LISTEN__TLS__CERTIFICATE_FILE", certificate.to_str().unwrap()),
            ("WONDER_SIGNER_LISTEN__TLS__KEY_FILE", key.to_str().unwrap()),
            ("WONDER_SIGNER_LISTEN__TLS__CLIENT_CA_FILE", ca.to_str().unwrap()),
            ("WONDER_SIGNER_LISTEN__TLS__CALLERS", "shop, refunds"),
        ];
        Logged::before(origin, &variables).await
    }
}

/// Posts `{}` to `/svc/a`.
pub(crate) async fn post(stream: TlsStream<TcpStream>) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = Full::new(Bytes::from("{}"));
    sender.send_request(Request::post("/svc/a").header("host", "localhost").body(body).unwrap()).await
}

/// Whether a caller gets an answer at all. Under TLS 1.3 a rejected caller may see the alert only when it reads.
async fn is_served(address: SocketAddr, caller: &TlsConnector) -> bool {
    match dial(address, caller).await {
        Ok(stream) => match post(stream).await {
            Ok(answer) => answer.into_body().collect().await.is_ok(),
            Err(_) => false,
        },
        Err(_) => false,
    }
}

/// Sends the bytes unchanged, and returns everything up to the end of the connection.
async fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // The connection may end with a reset.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// Dials until another certificate than `old` is presented.
async fn renewed(address: SocketAddr, caller: &TlsConnector, old: &Issued) -> CertificateDer<'static> {
    let another = async {
        loop {
            let stream = dial(address, caller).await.unwrap();
            let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
            if shown != *old.certificate.der() {
                return shown.into_owned();
            }
        }
    };
    timeout(Duration::from_mins(1), another).await.expect("the renewed files are used")
}

#[tokio::test]
async fn a_caller_without_a_certificate_of_the_authority_is_rejected() {
    let ((ours, mounted), strangers) = (Mounted::by_one(), Authority::new());
    let upstream = Recorder::start().await;
    let sidecar = mounted.sidecar(&upstream.origin(), "").await;
    assert!(!is_served(sidecar.listen, &caller(&[&ours], None, &[])).await);
    until(sidecar.admin, FAILED, 1.0).await;
    let stranger = strangers.issue(&["shop"], "");
    assert!(!is_served(sidecar.listen, &caller(&[&ours], Some(&stranger), &[])).await);
    until(sidecar.admin, FAILED, 2.0).await;
    // Plain HTTP gets no answer either.
    let plain = raw(sidecar.listen, b"GET /svc/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!plain.starts_with(b"HTTP"), "{plain:?}");
    until(sidecar.admin, FAILED, 3.0).await;
    assert_eq!(upstream.waiting(), 0);
}

#[tokio::test]
async fn a_caller_in_the_list_is_served() {
    let (ours, mounted) = Mounted::by_one();
    let upstream = Recorder::start().await;
    let names = "callers = [\"shop\", \"spiffe://example/refunds\"]\n";
    let sidecar = mounted.sidecar(&upstream.origin(), names).await;
    let by_name = ours.issue(&["shop", "elsewhere"], "ignored");
    let by_uri = ours.issue_to("spiffe://example/refunds", "ignored");
    for (identity, alpn) in [(&by_name, &["h2", "http/1.1"][..]), (&by_name, &["http/1.1"]), (&by_uri, &[])] {
        let stream = dial(sidecar.listen, &caller(&[&ours], Some(identity), alpn)).await.unwrap();
        let answer = post(stream).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{\"code\":200}");
        assert_signed(&upstream.next().await);
    }
    for (name, requests) in [("shop", 2.0), ("spiffe://example/refunds", 1.0), ("other", 0.0)] {
        let series = format!("wonder_signer_caller_requests_total{{caller=\"{name}\"}}");
        assert!((sidecar.metric(&series).await - requests).abs() < f64::EPSILON, "{name}");
    }
}

#[tokio::test]
async fn a_caller_outside_the_list_gets_an_error_and_is_named_in_the_log() {
    let (ours, mounted) = Mounted::by_one();
    let upstream = Recorder::start().await;
    let program = mounted.program(&upstream.origin()).await;
    let stranger = ours.issue(&["stranger"], "shop");
    let answer = post(dial(program.listen, &caller(&[&ours], Some(&stranger), &[])).await.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.headers()["x-wonder-signer-error"], "policy_denied");
    assert_eq!(answer.headers()["x-wonder-signer-sent"], "no");
    answer.into_body().collect().await.unwrap();
    let line = program.line("request").await;
    assert_eq!((&line["caller"], &line["error"]), (&"stranger".into(), &"policy_denied".into()));
    until(program.admin, "wonder_signer_caller_requests_total{caller=\"other\"}", 1.0).await;
    assert_eq!(upstream.waiting(), 0);
    let shop = ours.issue(&["shop"], "");
    let answer = post(dial(program.listen, &caller(&[&ours], Some(&shop), &[])).await.unwrap()).await.unwrap();
    answer.into_body().collect().await.unwrap();
    let line = program.line("request").await;
    assert_eq!((&line["caller"], &line["status"]), (&"shop".into(), &200.into()));
}

#[tokio::test]
async fn a_denied_caller_is_disconnected_at_once_and_a_common_name_does_not_count() {
    let (ours, mounted) = Mounted::by_one();
    let upstream = Recorder::start().await;
    let (all, some) = ("", "callers = [\"shop\"]\n");
    for (names, identity, reason) in [
        (some, ours.issue(&["stranger"], "shop"), "is not in listen.tls.callers"),
        (some, ours.issue_to("spiffe://example/shop", "shop"), "is not in listen.tls.callers"),
        (some, ours.issue_to("shop", "shop"), "has no DNS name and no URI"),
        (some, ours.issue(&["127.0.0.1"], "shop"), "has no DNS name and no URI"),
        (some, ours.issue(&[], "shop"), "has no DNS name and no URI"),
        (all, ours.issue(&[], "shop"), "has no DNS name and no URI"),
    ] {
        // Longer than the test: no case may wait for a time-out.
        let patient = format!("{names}[timeouts]\nrequest_head = \"1h\"\nidle = \"1h\"\nbody = \"1h\"\n");
        let sidecar = mounted.sidecar(&upstream.origin(), &patient).await;
        for body in [&b"{}"[..], b""] {
            let mut stream = dial(sidecar.listen, &caller(&[&ours], Some(&identity), &[])).await.unwrap();
            // The rejection does not wait for the body.
            let head = request("POST", "/svc/a", &[], b"{}");
            stream.write_all(&[&head[..head.len() - 2], body].concat()).await.unwrap();
            let answer = soon(read_message(&mut stream, false)).await.unwrap();
            assert_eq!(answer.contract(), (403, "policy_denied".to_owned(), "no".to_owned()));
            assert_eq!(answer.value("connection"), Some("close"));
            assert!(answer.text().contains(reason), "{}", answer.text());
            assert_eq!(soon(stream.read_to_end(&mut Vec::new())).await.unwrap(), 0);
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_refused_handshake_ends_in_an_alert_that_names_the_cause() {
    let ((ours, mounted), strangers) = (Mounted::by_one(), Authority::new());
    let sidecar = mounted.sidecar("http://127.0.0.1:1", "").await;
    let (known, stranger) = (ours.issue(&["shop"], ""), strangers.issue(&["shop"], ""));
    let show = |issued: &Issued| Some(shown(&[&issued.certificate], &issued.key));
    for (what, identity, alpn, version, alert) in [
        ("no certificate", None, &[][..], &TLS13, "CertificateRequired"),
        ("no certificate", None, &[], &TLS12, "CertificateRequired"),
        ("another authority", show(&stranger), &[], &TLS13, "DecryptError"),
        ("another authority", show(&stranger), &[], &TLS12, "DecryptError"),
        ("HTTP/2 only", show(&known), &["h2"], &TLS13, "NoApplicationProtocol"),
        ("HTTP/2 only", show(&known), &["h2"], &TLS12, "NoApplicationProtocol"),
    ] {
        let caller = connector(&[&ours], identity, alpn, &[version]);
        // With TLS 1.3 the caller has already sent its request, which must not destroy the alert.
        for length in [0, 100, 30_000] {
            let said = async {
                let mut stream = dial(sidecar.listen, &caller).await?;
                let _ = stream.write_all(&vec![b'x'; length]).await;
                stream.read_to_end(&mut Vec::new()).await
            };
            let error = soon(said).await.expect_err(what).to_string();
            assert!(error.contains(alert), "{what}, {version:?}, {length} bytes: {error}");
        }
    }
}

#[tokio::test]
async fn renewed_files_are_used_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let (first, second) = (old.issue(&["localhost"], ""), new.issue(&["localhost"], ""));
    let mounted = Mounted::new(&first, &old);
    let upstream = Recorder::start().await;
    // The held connection sends nothing until the sidecar has loaded the new files.
    let sidecar = mounted.sidecar(&upstream.origin(), "[timeouts]\nrequest_head = \"1h\"").await;
    let (before, after) = (old.issue(&["shop"], ""), new.issue(&["shop"], ""));
    let before = caller(&[&old, &new], Some(&before), &[]);
    let after = caller(&[&old, &new], Some(&after), &[]);
    let mut held = conn::http1::handshake(TokioIo::new(dial(sidecar.listen, &before).await.unwrap())).await.unwrap();
    tokio::spawn(held.1);
    assert!(!is_served(sidecar.listen, &after).await);
    mounted.put(&second, &new);
    assert_eq!(renewed(sidecar.listen, &after, &first).await, *second.certificate.der());
    assert!(is_served(sidecar.listen, &after).await);
    assert!(!is_served(sidecar.listen, &before).await);
    // The caller that was connected before stays connected.
    let request = Request::post("/svc/a").header("host", "localhost").body(Full::new(Bytes::from("{}"))).unwrap();
    assert_eq!(held.0.send_request(request).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_broken_renewal_keeps_the_old_files_and_the_next_one_is_used() {
    let ours = Authority::new();
    let (first, second) = (ours.issue(&["localhost"], ""), ours.issue(&["localhost"], ""));
    let mounted = Mounted::new(&first, &ours);
    let upstream = Recorder::start().await;
    let program = mounted.program(&upstream.origin()).await;
    let shop = caller(&[&ours], Some(&ours.issue(&["shop"], "")), &[]);
    // A key that is not the certificate's.
    std::fs::write(mounted.path("tls.key"), second.key.serialize_pem()).unwrap();
    let calling = async {
        loop {
            assert!(is_served(program.listen, &shop).await);
        }
    };
    let warned = Box::pin(async {
        tokio::select! {
            line = program.line("certificates of the listener cannot be used; the old ones stay in use") => line,
            () = calling => unreachable!(),
        }
    });
    let line = timeout(Duration::from_mins(1), warned).await.expect("a warning");
    let error = line["error"].as_str().unwrap();
    assert!(error.starts_with("listen.tls.certificate_file and listen.tls.key_file: "), "{error}");
    assert!(is_served(program.listen, &shop).await);
    std::fs::write(mounted.path("tls.crt"), second.certificate.pem()).unwrap();
    assert_eq!(renewed(program.listen, &shop, &first).await, *second.certificate.der());
    let log = program.stop().await;
    assert_eq!(log.matches("the old ones stay").count(), 1, "one warning for one change:\n{log}");
}

#[tokio::test]
async fn a_stalled_handshake_delays_neither_other_callers_nor_the_drain() {
    let (ours, mounted) = Mounted::by_one();
    let upstream = Recorder::start().await;
    let sidecar = mounted.sidecar(&upstream.origin(), "[timeouts]\nrequest_head = \"1h\"\n").await;
    let _silent = TcpStream::connect(sidecar.listen).await.unwrap();
    let shop = caller(&[&ours], Some(&ours.issue(&["shop"], "")), &[]);
    assert!(is_served(sidecar.listen, &shop).await);
    // Long before the grace period is over.
    let receipt = timeout(Duration::from_secs(20), sidecar.stop())
        .await
        .expect("the drain does not wait for the silent connection");
    assert!(receipt.cut.is_empty());
}

#[tokio::test]
async fn a_handshake_times_out_like_a_request_head() {
    let (_, mounted) = Mounted::by_one();
    let sidecar = mounted.sidecar("http://127.0.0.1:1", "[timeouts]\nrequest_head = \"20ms\"\n").await;
    assert_eq!(raw(sidecar.listen, b"\x16").await, b"");
    until(sidecar.admin, FAILED, 1.0).await;
}

#[tokio::test]
async fn unusable_certificate_files_stop_the_start() {
    let (_, mounted) = Mounted::by_one();
    std::fs::write(mounted.path("ca.crt"), "nothing").unwrap();
    let error =
        Sidecar::listening("127.0.0.1:0", "http://127.0.0.1:1", &mounted.toml("")).await.err().unwrap().to_string();
    let expected = format!(
        "listen.tls.client_ca_file {}: holds no certificate (no \"-----BEGIN CERTIFICATE\" line)",
        mounted.path("ca.crt").display()
    );
    assert_eq!(error, expected);
}
