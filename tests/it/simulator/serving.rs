//! Properties of every answer, and the sockets: TLS, HTTP/2, limits, shutdown.

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    time_provider::TimeProvider,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use wonder_signer::simulator::{BindError, Options, Simulator};

use super::world::{Call, NOW, P, World, exchange};
use crate::support::{closed::until_refused, wire::read_message};

const ECHO: &str = "/svc/payment/api/v1/openapi/echo";
const HI: &str = r#"{"message":"hi"}"#;

/// The client's clock agrees with the simulator's, by which its certificate is valid.
#[derive(Debug)]
struct Then;

impl TimeProvider for Then {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
    }
}

async fn connect(world: &World, name: &'static str, alpn: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.ca_pem.as_ref().unwrap().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_details(provider, Arc::new(Then));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(world.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await
}

#[tokio::test]
async fn tls_uses_its_own_authority_for_each_loopback_name() {
    let world = World::with(|_| {}).await;
    assert!(world.origin.starts_with("https://127.0.0.1:"));
    for name in ["localhost", "127.0.0.1", "::1"] {
        let stream = connect(&world, name, b"http/1.1").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        exchange(stream, &Call::signed("POST", ECHO, HI).bytes()).await.data();
    }
    assert!(connect(&world, "wonder.example", b"http/1.1").await.is_err());
}

#[tokio::test]
async fn the_certificate_includes_further_names() {
    let names = ["gateway-stg.wonder.today", "host.docker.internal", "192.0.2.7"];
    let world = World::with(|options| options.tls_names = names.map(str::to_owned).to_vec()).await;
    for name in names.into_iter().chain(["localhost", "127.0.0.1"]) {
        let stream = connect(&world, name, b"http/1.1").await.unwrap();
        exchange(stream, &Call::signed("POST", ECHO, HI).bytes()).await.data();
    }
    assert!(connect(&world, "gateway.wonder.today", b"http/1.1").await.is_err());
}

#[tokio::test]
async fn http_2_is_served_when_alpn_selects_it() {
    let world = World::with(|_| {}).await;
    let stream = connect(&world, "localhost", b"h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for target in [ECHO.to_owned(), format!("{ECHO}?x[a]=%2f%2F&y=+&")] {
        let call = Call::signed("POST", &target, HI);
        let mut request = http::Request::post(format!("https://localhost{target}"));
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(bytes::Bytes::from_static(HI.as_bytes()))).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
        response.into_body().collect().await.unwrap();
    }
}

#[tokio::test]
async fn every_answer_has_the_request_id() {
    let world = World::plain().await;
    for call in [Call::signed("POST", ECHO, HI), Call::unsigned("GET", ECHO, ""), Call::unsigned("GET", "/", "")] {
        let reply = world.send(&call.header("X-Request-ID", "5b0b7a52-3f0f")).await;
        assert_eq!(reply.get("x-request-id"), Some("5b0b7a52-3f0f"));
    }
    assert_eq!(world.call("POST", ECHO, HI).await.get("x-request-id"), None);
}

#[tokio::test]
async fn an_unknown_route_gets_the_error_envelope() {
    let world = World::plain().await;
    for target in ["/svc/", "/svc/ts/api/v1/openapi/card", "/svc/payment/api/v1/openapi/customers/"] {
        world.call("GET", target, "").await.refused(404, "E000032");
    }
    for target in ["/", "/svc", "/other", "/%73vc/payment/api/v1/echo"] {
        world.send(&Call::unsigned("GET", target, "")).await.refused(404, "E000033");
    }
    let reply = world.call("PATCH", &format!("{P}/customers"), "{}").await;
    reply.refused(405, "E000040");
    assert_eq!(reply.get("allow"), Some("GET,HEAD,POST"));
    world.send(&Call::unsigned("PUT", "/3ds/x", "")).await.refused(405, "E000040");
}

#[tokio::test]
async fn a_body_at_the_limit_is_accepted_and_one_byte_more_rejected() {
    let world = World::plain().await;
    let limit = 2 * 1024 * 1024;
    let padding = " ".repeat(limit - HI.len());
    world.call("POST", ECHO, &format!("{HI}{padding}")).await.data();

    // A declared length is rejected before the client sends the body.
    let head = format!("POST {ECHO} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", limit + 1);
    let reply = exchange(TcpStream::connect(world.address).await.unwrap(), head.as_bytes()).await;
    assert_eq!(reply.refused(413, "E000043"), "The body has more than 2097152 bytes.");

    // Chunks are rejected as soon as they exceed the limit.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {ECHO} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        limit + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = exchange(stream, &vec![b' '; limit + 1]).await;
    reply.refused(413, "E000043");
}

#[tokio::test]
async fn a_chunked_body_is_verified_by_its_bytes() {
    let world = World::plain().await;
    let mut call = Call::signed("POST", ECHO, HI).header("Transfer-Encoding", "chunked");
    call.body = Vec::new();
    let mut bytes = call.bytes();
    bytes.extend_from_slice(b"3\r\n{\"m\r\nd\r\nessage\":\"hi\"}\r\n0\r\n\r\n");
    exchange(TcpStream::connect(world.address).await.unwrap(), &bytes).await.data();
}

#[tokio::test]
async fn calls_over_the_capacity_are_rejected() {
    let world = World::with(|options| {
        options.tls = false;
        options.capacity = 2;
    })
    .await;
    let uuid = world.customer("a").await;
    world.customer("b").await;
    let body = |reference| format!(r#"{{"customer":{{"name":"n","phone":"p","reference_number":"{reference}"}}}}"#);
    world.call("POST", &format!("{P}/customers"), &body("c")).await.refused(507, "E000044");
    world.call("POST", &format!("{P}/customers"), &body("a")).await.data();
    world.card(&uuid).await;
    world.card(&uuid).await;
    let target = format!("{P}/customers/{uuid}/payment_tokens");
    world.call("POST", &target, super::world::CARD).await.refused(507, "E000044");
    world.call("DELETE", &format!("{P}/customers/{uuid}"), "").await.data();
    world.call("POST", &format!("{P}/customers"), &body("c")).await.data();
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_has_one_log_line_and_no_secret_is_logged_at_any_level() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With a single subscriber, tracing caches whether a line is enabled for the first thread that reaches it, which may
    // belong to another test.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    // For this thread only, which also serves.
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::plain().await;
    let uuid = world.customer("MARKER-reference").await;
    let card = world.card(&uuid).await;
    world.press(&card, "approve").await;
    world.call("GET", &format!("{P}/customers?x=MARKER-query"), "").await.data();
    world.call("GET", &format!("{P}/customers/ref/MARKER-reference"), "").await.data();
    world.call("MARKER", "/svc/MARKER-path", "MARKER-body").await.refused(404, "E000032");
    let call = Call::signed("POST", ECHO, "MARKER").header("X-Request-ID", "MARKER-id");
    world.send(&call).await.refused(400, "E000020");
    world.send(&call).await.refused(401, "E000006");

    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("simulated request answered")).collect();
    assert_eq!(lines.len(), 8, "{log}");
    let last = r#"simulated request answered method="POST" route="/svc/payment/api/v1/openapi/echo" status=401 refused="replay""#;
    assert!(lines[7].ends_with(last), "{}", lines[7]);
    let token = card["token"].as_str().unwrap();
    // Enough digits of the card that no time of day, port or id contains them by chance.
    let card = "41111111";
    for secret in ["MARKER", card, "Kestrel", "K TEA", &uuid, token, &call.get("Nonce"), &call.get("Signature")] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn only_loopback_addresses_are_accepted() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let options = Options { listen: listen.parse().unwrap(), ..Options::default() };
        let error = Simulator::bind(options).await.err().unwrap();
        assert!(matches!(&error, BindError::Address(error) if error.kind() == ErrorKind::InvalidInput));
        assert_eq!(
            error.to_string(),
            "is not a loopback address; take 127.0.0.1 or [::1], or allow it with --allow-non-loopback"
        );
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_the_shutdown() {
    let world = World::plain().await;
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    let request = Call::signed("POST", ECHO, HI).bytes();
    let request = String::from_utf8(request).unwrap().replace("Connection: close\r\n", "");
    idle.write_all(request.as_bytes()).await.unwrap();
    // Reads to its end, because it may arrive in pieces.
    read_message(&mut idle, false).await.unwrap();
    let address = world.address;
    world.stop().await;
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    until_refused(address).await;
}

/// A browser warns of a certificate whose authority was made at start, so the pages are also served without TLS.
#[tokio::test]
async fn pages_are_served_without_tls_and_signed_calls_only_with_tls() {
    let world = World::with(|_| {}).await;
    let page = world.send(&Call::unsigned("GET", "/l/1", "")).await;
    assert_eq!((page.status, page.get("content-type")), (404, Some("text/html; charset=utf-8")));
    let body = r#"{"message":"x"}"#;
    let said = world.call("POST", &format!("{P}/echo"), body).await.refused(400, "E000050");
    assert!(said.starts_with("Signed calls need TLS here: use https://"), "{said}");
    assert_eq!(world.send(&Call::unsigned("GET", "/console", "")).await.status, 200);
}
