//! The certificates that the client trusts and presents, and its TLS and HTTP versions.

use std::{fs, path::Path};

use rcgen::{CertificateParams, DnType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wonder_signer::{
    contract::{Code, Sent},
    net::{
        respond::Failure,
        upstream::{Destination, Upstream},
    },
};

use super::doubles::{Authority, Issued, Manner, TlsServer, answer_and_close, reject_after_the_request};
use crate::support::{
    caller::{Outcome, ask},
    client::Client,
    patience::soon,
    sidecar::Sidecar,
    wire::{exchange, request},
};

const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The failure of a request that must not arrive.
async fn failure(origin: &str, toml: &str) -> Failure {
    let error = Client::of(origin, toml).send("/svc/a").await.unwrap_err();
    assert!(!error.may_be_tried_again(), "{error:?}");
    let failure = Failure::from(error);
    assert_eq!((failure.code, failure.sent), (Code::UpstreamTls, Sent::No));
    failure
}

fn named(name: &str) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.distinguished_name.push(DnType::CommonName, name)
}

fn dated(from: (i32, u8, u8), until: (i32, u8, u8)) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    }
}

#[tokio::test]
async fn an_invalid_certificate_is_rejected_with_its_fault_and_the_key_to_set() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, other, older) = (Authority::named("ours"), Authority::named("Corp Proxy"), Authority::named("ours"));
    let trust = format!("[upstream]\nca_file = \"{}\"\n", file(directory.path(), "ca.pem", &ours.pem()));
    let authority = |params: &mut CertificateParams| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "our own");
    };
    let here: &[&str] = &["127.0.0.1"];
    let cases: [(Issued, &str, &str); 8] = [
        (
            other.issue(here, |_| ()),
            "the certificate's issuer \"Corp Proxy\" is not trusted",
            "is from an issuer that is not trusted; if the issuer is yours (a private authority, an egress proxy that inspects TLS), set \
             upstream.ca_file to its root certificate",
        ),
        (
            Issued::self_signed(here, named("alone")),
            "the certificate \"alone\" is signed by itself and is not trusted",
            "is signed by itself; if it is yours, set upstream.ca_file to it",
        ),
        (
            ours.issue(here, authority),
            "the certificate \"our own\" is that of an authority (CA:TRUE), not a server's",
            "the certificate of an authority as its own; give it one that the authority signed (CA:FALSE), and set upstream.ca_file to the \
             authority's",
        ),
        (
            ours.issue(here, dated((2001, 1, 1), (2002, 1, 1))),
            "expired at 2002-01-01T00:00:00Z; the clock here says 2",
            "has expired; it must be renewed, unless this host's clock is wrong",
        ),
        (
            ours.issue(here, dated((2998, 1, 1), (2999, 1, 1))),
            "is valid from 2998-01-01T00:00:00Z on; the clock here says 2",
            "is not valid yet; is this host's clock wrong?",
        ),
        (
            ours.issue(&["gateway.wonder.today", "192.0.2.7"], |_| ()),
            "is not for 127.0.0.1 but for \"gateway.wonder.today\", \"192.0.2.7\"",
            "is for another name; upstream.origin must be a name that it has, or another server answers there",
        ),
        (ours.issue(&[], |_| ()), "is not for 127.0.0.1 but for no name at all", "is for another name"),
        (
            older.issue(here, |_| ()),
            "invalid peer certificate: BadSignature",
            "has a wrong signature; does upstream.ca_file hold an older",
        ),
    ];
    for (issued, detail, advice) in cases {
        for mode in ["add", "replace"] {
            let server = TlsServer::start(&issued, Manner::default()).await;
            let failure = failure(&server.origin(), &format!("{trust}ca_mode = \"{mode}\"")).await;
            let cause = failure.cause().unwrap();
            assert!(cause.contains(detail) && cause.contains(&server.origin()["https://".len()..]), "{cause}");
            let message = failure.to_string();
            assert!(
                message.starts_with("no TLS connection to the origin: the origin") && message.contains(advice),
                "{message}"
            );
            for theirs in ["Corp Proxy", "alone", "our own", "gateway.wonder.today"] {
                assert!(!message.contains(theirs), "the other side's words are for the log alone: {message}");
            }
            assert_eq!(server.arrived(), Vec::<String>::new(), "{detail}");
        }
    }
}

/// A trusted authority's certificate used as a server certificate, as `openssl req -x509` makes it.
#[tokio::test]
async fn a_trusted_authoritys_own_certificate_is_rejected_unless_it_is_a_servers() {
    let directory = tempfile::tempdir().unwrap();
    let authority = |is_ca| {
        Issued::self_signed(&["127.0.0.1"], move |params| {
            params.is_ca =
                if is_ca { rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained) } else { rcgen::IsCa::ExplicitNoCa };
        })
    };
    for is_ca in [true, false] {
        let issued = authority(is_ca);
        let server = TlsServer::start(&issued, Manner::default()).await;
        let toml =
            format!("[upstream]\nca_file = \"{}\"", file(directory.path(), "own.pem", &issued.certificate_pem()));
        if is_ca {
            let failure = failure(&server.origin(), &toml).await;
            assert!(failure.to_string().contains("(CA:FALSE)"), "{failure}");
        } else {
            assert_eq!(Client::of(&server.origin(), &toml).send("/svc/a").await.unwrap().status(), 200);
        }
    }
}

#[tokio::test]
async fn a_port_without_tls_is_reported_as_such() {
    for (answer, detail, advice) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "the origin answered with something other than TLS",
            "the origin does not serve TLS on this port (upstream.origin)",
        ),
        (
            b"",
            "tls handshake eof",
            "the origin ended the connection within the handshake; does it serve TLS on this port",
        ),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 5]).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let failure = failure(&origin, "").await;
        assert!(failure.cause().unwrap().contains(detail), "{:?}", failure.cause());
        assert!(failure.to_string().contains(advice), "{failure}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_of_an_added_or_replacing_authority_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let ca = file(directory.path(), "ca.pem", &authority.pem());
    let server = TlsServer::start(&authority.issue(&["127.0.0.1"], |_| ()), Manner::default()).await;
    for mode in ["add", "replace"] {
        let client = Client::of(&server.origin(), &format!("[upstream]\nca_file = \"{ca}\"\nca_mode = \"{mode}\""));
        assert_eq!(client.send("/svc/a").await.unwrap().status(), 200);
    }
    assert_eq!(server.arrived(), ["POST /svc/a HTTP/1.1"; 2]);
    let cause = failure(&server.origin(), "").await.cause().unwrap().to_owned();
    assert!(cause.contains("issuer \"ours\" is not trusted"), "the built-in roots do not have it: {cause}");
}

#[tokio::test]
async fn a_client_certificate_is_presented_to_an_origin_that_requests_one() {
    let directory = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::named("servers"), Authority::named("clients"));
    let ca = file(directory.path(), "ca.pem", &servers.pem());
    let client = clients.issue(&["client"], |_| ());
    let certificate = file(directory.path(), "client.pem", &client.certificate_pem());
    let key = file(directory.path(), "client.key", &client.key_pem());
    let ours = format!("client_certificate_file = \"{certificate}\"\nclient_key_file = \"{key}\"");
    let issued = servers.issue(&["127.0.0.1"], |_| ());
    let manner = |versions| Manner { versions, clients: Some(&clients), ..Manner::default() };
    for versions in [TLS12, TLS13] {
        let server = TlsServer::start(&issued, manner(versions)).await;
        let toml = format!("[upstream]\nca_file = \"{ca}\"\n{ours}");
        assert_eq!(Client::of(&server.origin(), &toml).send("/svc/a").await.unwrap().status(), 200);
        assert_eq!(server.arrived().len(), 1);
    }
}

/// In TLS 1.2 the rejection is part of the handshake. In TLS 1.3 it arrives after our part has ended (RFC 8446 §4.4.2.4).
#[tokio::test]
async fn an_origin_that_rejects_the_client_certificate_is_upstream_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (servers, clients, others) =
        (Authority::named("servers"), Authority::named("clients"), Authority::named("others"));
    let ca = file(directory.path(), "ca.pem", &servers.pem());
    let other = others.issue(&["client"], |_| ());
    let certificate = file(directory.path(), "other.pem", &other.certificate_pem());
    let key = file(directory.path(), "other.key", &other.key_pem());
    let wrong = format!("client_certificate_file = \"{certificate}\"\nclient_key_file = \"{key}\"\n");
    let issued = servers.issue(&["127.0.0.1"], |_| ());
    for (versions, http, alpn) in [
        (TLS12, "http1", b"http/1.1" as &[u8]),
        (TLS13, "http1", b"http/1.1"),
        (TLS12, "http2", b"h2"),
        (TLS13, "http2", b"h2"),
        (TLS13, "auto", b"h2"),
    ] {
        for shown in ["", &wrong] {
            let what = format!("{versions:?}, {http}, {shown}");
            let alpn: &'static [&'static [u8]] = if alpn == b"h2" { &[b"h2"] } else { &[b"http/1.1"] };
            let server = TlsServer::start(&issued, Manner { versions, alpn, clients: Some(&clients) }).await;
            let toml = format!("[upstream]\nca_file = \"{ca}\"\nhttp_version = \"{http}\"\n{shown}");
            let sidecar = Sidecar::with(&server.origin(), &toml).await;
            let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await;
            let (status, code, sent) = got.contract();
            assert_eq!((status, code.as_str()), (502, "upstream_tls"), "{what}: {}", got.text());
            // Over HTTP/1 the rejection may arrive before the request is written, or after it.
            assert!(sent == "no" || (versions, http) == (TLS13, "http1"), "{what}: {sent}");
            assert!(got.text().contains("upstream.client_certificate_file"), "{what}: {}", got.text());
            assert_eq!(server.arrived(), [""; 0], "{what}");
        }
    }
}

#[tokio::test]
async fn a_rejection_after_the_request_was_written_is_upstream_tls_and_maybe() {
    let directory = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::named("servers"), Authority::named("clients"));
    let ca = file(directory.path(), "ca.pem", &servers.pem());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let sidecar = Sidecar::with(&origin, &format!("[upstream]\nca_file = \"{ca}\"")).await;
    let manner = Manner { versions: TLS13, clients: Some(&clients), ..Manner::default() };
    let rejection = reject_after_the_request(listener, servers.issue(&["127.0.0.1"], |_| ()), manner);
    let asked = request("POST", "/svc/a", &[], b"{}");
    let (rejection, got) = soon(async { tokio::join!(rejection, exchange(sidecar.listen, &asked)) }).await;
    assert_eq!(rejection, rustls::Error::NoCertificatesPresented);
    assert_eq!(got.contract(), (502, "upstream_tls".to_owned(), "maybe".to_owned()));
    assert!(got.text().contains("upstream.client_certificate_file"), "{}", got.text());
    let series = r#"wonder_signer_proxy_errors_total{reason="upstream_tls",sent="maybe"}"#;
    assert!((sidecar.metric(series).await - 1.0).abs() < f64::EPSILON);
}

/// RFC 8446 §6.1: without `close_notify` an attacker may have closed the connection and cut the answer.
#[tokio::test]
async fn an_answer_that_ends_with_the_connection_needs_close_notify() {
    let directory = tempfile::tempdir().unwrap();
    let servers = Authority::named("servers");
    let ca = file(directory.path(), "ca.pem", &servers.pem());
    let large = "x".repeat(100_000);
    for head in ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
        for (body, notify, expected) in [
            ("{\"paid\":1}", true, "200 whole"),
            ("{\"paid\":1}", false, "502 upstream_reset maybe"),
            ("", true, "200 whole"),
            ("", false, "502 upstream_reset maybe"),
            (&large, true, "200 whole"),
            (&large, false, "200 cut"),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = format!("https://{}", listener.local_addr().unwrap());
            let sidecar = Sidecar::with(&origin, &format!("[upstream]\nca_file = \"{ca}\"")).await;
            let answer = format!("{head}{body}");
            let issued = servers.issue(&["127.0.0.1"], |_| ());
            let asked = request("POST", "/svc/a", &[], b"{}");
            let answering = answer_and_close(listener, issued, answer.as_bytes(), notify);
            let ((), got) = soon(async { tokio::join!(answering, ask(sidecar.listen, &asked)) }).await;
            assert_eq!(got.text(), expected, "{head:?} {} bytes, close_notify: {notify}", body.len());
            if let Outcome::Forwarded { body: read, whole: true, .. } = got {
                assert_eq!(read, body.as_bytes());
            }
        }
    }
}

#[tokio::test]
async fn unusable_tls_settings_stop_the_start_and_name_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let [one, other] = ["one", "other"].map(|name| authority.issue(&[name], |_| ()));
    let certificate = file(directory.path(), "client.pem", &one.certificate_pem());
    let key = file(directory.path(), "client.key", &one.key_pem());
    let wrong = file(directory.path(), "wrong.key", &other.key_pem());
    let marker =
        file(directory.path(), "marker.key", "-----BEGIN PRIVATE KEY-----\nMARKER\n-----END PRIVATE KEY-----\n");
    let missing = directory.path().join("missing").display().to_string();
    for (certificate, key, text) in [
        (&missing, &key, format!("upstream.client_certificate_file {missing}: cannot be read: No such file")),
        (&key, &key, format!("upstream.client_certificate_file {key}: holds no certificate")),
        (&certificate, &missing, format!("upstream.client_key_file {missing}: cannot be read: No such file")),
        (
            &certificate,
            &certificate,
            format!("upstream.client_key_file {certificate}: holds no unencrypted private key"),
        ),
        (&certificate, &marker, "upstream.client_".to_owned()),
        (&certificate, &wrong, "upstream.client_certificate_file and upstream.client_key_file: ".to_owned()),
    ] {
        let toml = format!(
            "[upstream]\nenvironment = \"custom\"\norigin = \"https://127.0.0.1:1\"\n\
             client_certificate_file = \"{certificate}\"\nclient_key_file = \"{key}\""
        );
        let path = directory.path().join("signer.toml");
        fs::write(&path, toml).unwrap();
        let config =
            wonder_signer::config::Config::load(&[path], [], &wonder_signer::config::Flags::default()).unwrap();
        let metrics = wonder_signer::metrics::Metrics::new(&[]);
        let destination = Destination::new(&config.upstream, &config.limits, &config.timeouts);
        let error = Upstream::new(&destination, metrics).err().unwrap();
        let error = format!("{error} {error:?}");
        assert!(error.starts_with(&text) && !error.contains("MARKER"), "{error}");
    }
}

#[tokio::test]
async fn an_origin_with_an_old_tls_version_is_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let ca = file(directory.path(), "ca.pem", &authority.pem());
    let issued = authority.issue(&["127.0.0.1"], |_| ());
    let server = TlsServer::start(&issued, Manner { versions: TLS12, ..Manner::default() }).await;
    let toml = |version| format!("[upstream]\nca_file = \"{ca}\"\nmin_tls_version = \"{version}\"");
    assert_eq!(Client::of(&server.origin(), &toml("1.2")).send("/svc/a").await.unwrap().status(), 200);
    let failure = failure(&server.origin(), &toml("1.3")).await;
    assert!(failure.cause().unwrap().contains("the origin sent the alert ProtocolVersion"), "{:?}", failure.cause());
    assert!(
        failure.to_string().contains("no TLS version that is allowed here (upstream.min_tls_version)"),
        "{failure}"
    );
    assert_eq!(server.arrived().len(), 1);
}

#[tokio::test]
async fn http2_only_rejects_an_origin_without_http2() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let ca = file(directory.path(), "ca.pem", &authority.pem());
    let issued = authority.issue(&["127.0.0.1"], |_| ());
    let toml = format!("[upstream]\nca_file = \"{ca}\"\nhttp_version = \"http2\"");
    for alpn in [&[b"http/1.1" as &[u8]] as &[_], &[]] {
        let server = TlsServer::start(&issued, Manner { alpn, ..Manner::default() }).await;
        let failure = failure(&server.origin(), &toml).await;
        let advice = "the origin does not support the configured HTTP version (upstream.http_version)";
        assert!(failure.to_string().contains(advice), "{failure}");
        assert_eq!(server.arrived(), Vec::<String>::new());
    }
}
