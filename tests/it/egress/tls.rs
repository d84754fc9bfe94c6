//! Whom we trust, who we are, which TLS and which HTTP we speak.

use std::{fs, path::Path};

use wonder_signer::{
    metrics::Sent,
    net::respond::{Code, Failure},
};

use super::doubles::{Authority, Issued, Manner, TlsServer};
use crate::support::client::Client;

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

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused_and_the_log_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::named("ours"), Authority::named("other"));
    let trust = format!("[upstream]\nca_file = \"{}\"\n", file(directory.path(), "ca.pem", &ours.pem()));
    let expired = |params: &mut rcgen::CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let cases: [(&str, Issued, &str); 3] = [
        ("unknown authority", other.issue(&["127.0.0.1"], |_| ()), "UnknownIssuer"),
        ("expired", ours.issue(&["127.0.0.1"], expired), "certificate expired"),
        ("wrong name", ours.issue(&["gateway.wonder.today"], |_| ()), "certificate not valid for name \"127.0.0.1\""),
    ];
    for (case, issued, reason) in cases {
        for mode in ["add", "replace"] {
            let server = TlsServer::start(&issued, Manner::default()).await;
            let failure = failure(&server.origin(), &format!("{trust}ca_mode = \"{mode}\"")).await;
            let cause = failure.cause().unwrap();
            assert!(cause.contains(reason), "{case}: {cause}");
            assert_eq!(server.arrived(), Vec::<String>::new(), "{case}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_an_added_or_replacing_authority_is_taken() {
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
    assert!(cause.contains("UnknownIssuer"), "the built-in roots know it not: {cause}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_an_origin_that_asks_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::named("servers"), Authority::named("clients"));
    let ca = file(directory.path(), "ca.pem", &servers.pem());
    let client = clients.issue(&["client"], |_| ());
    let certificate = file(directory.path(), "client.pem", &client.certificate_pem());
    let key = file(directory.path(), "client.key", &client.key_pem());
    let ours = format!("client_certificate_file = \"{certificate}\"\nclient_key_file = \"{key}\"");
    // In TLS 1.2 the refusal is part of the handshake; in 1.3 it comes after ours has ended (RFC 8446 §4.4.2.4).
    let issued = servers.issue(&["127.0.0.1"], |_| ());
    let manner = |versions| Manner { versions, clients: Some(&clients), ..Manner::default() };
    for versions in [TLS12, TLS13] {
        let server = TlsServer::start(&issued, manner(versions)).await;
        let toml = format!("[upstream]\nca_file = \"{ca}\"\n{ours}");
        assert_eq!(Client::of(&server.origin(), &toml).send("/svc/a").await.unwrap().status(), 200);
        assert_eq!(server.arrived().len(), 1);
        let error = Client::of(&server.origin(), &format!("[upstream]\nca_file = \"{ca}\"")).send("/svc/a").await;
        let failure = Failure::from(error.unwrap_err());
        if versions == TLS12 {
            assert_eq!((failure.code, failure.sent), (Code::UpstreamTls, Sent::No));
        }
        assert_eq!(server.arrived().len(), 1, "nothing arrives without a certificate");
    }
}

#[tokio::test]
async fn settings_of_tls_that_cannot_be_used_stop_the_start_and_name_the_key() {
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
        let error =
            wonder_signer::net::upstream::Upstream::new(&config.upstream, &config.timeouts, metrics).err().unwrap();
        let error = format!("{error} {error:?}");
        assert!(error.starts_with(&text) && !error.contains("MARKER"), "{error}");
    }
}

#[tokio::test]
async fn an_origin_with_too_old_a_tls_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let ca = file(directory.path(), "ca.pem", &authority.pem());
    let issued = authority.issue(&["127.0.0.1"], |_| ());
    let server = TlsServer::start(&issued, Manner { versions: TLS12, ..Manner::default() }).await;
    let toml = |version| format!("[upstream]\nca_file = \"{ca}\"\nmin_tls_version = \"{version}\"");
    assert_eq!(Client::of(&server.origin(), &toml("1.2")).send("/svc/a").await.unwrap().status(), 200);
    let failure = failure(&server.origin(), &toml("1.3")).await;
    assert!(failure.cause().unwrap().contains("ProtocolVersion"), "{:?}", failure.cause());
    assert_eq!(server.arrived().len(), 1);
}

#[tokio::test]
async fn http2_only_is_not_content_with_less() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let ca = file(directory.path(), "ca.pem", &authority.pem());
    let issued = authority.issue(&["127.0.0.1"], |_| ());
    let toml = format!("[upstream]\nca_file = \"{ca}\"\nhttp_version = \"http2\"");
    for (alpn, reason) in [
        (&[b"http/1.1" as &[u8]] as &[_], "NoApplicationProtocol"),
        (&[], "it does not speak HTTP/2 (upstream.http_version)"),
    ] {
        let server = TlsServer::start(&issued, Manner { alpn, ..Manner::default() }).await;
        let failure = failure(&server.origin(), &toml).await;
        assert!(failure.cause().unwrap().contains(reason), "{:?}", failure.cause());
        assert_eq!(server.arrived(), Vec::<String>::new());
    }
}
