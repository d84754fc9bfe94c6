//! A name with several addresses, over real sockets; the resolver's answer is the test's.

use std::{future::pending, io, net::Ipv4Addr};

use futures_util::{FutureExt as _, future::ready};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket},
};

use super::*;
use crate::net::upstream::SendError;

const DEADLINES: Deadlines = Deadlines { connect: Duration::from_secs(5), tls_handshake: Duration::from_secs(5) };

/// A connector to `gateway.test`, which has these hosts of the loopback network as its addresses.
fn connector(hosts: &[u8], port: u16, tls: Option<Tls>) -> Connector {
    let addresses: names::Addresses = hosts.iter().map(|host| at(*host, 0)).collect();
    let mut connector = Connector::new(("gateway.test", port), None, tls, DEADLINES, Metrics::new(&[]));
    connector.names = Names::by(move || ready(Ok(Arc::clone(&addresses))).boxed());
    connector
}

fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), port))
}

/// A host that does not answer connection requests: its backlog is full, and Linux then drops them.
struct Silent {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silent {
    async fn start(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let (mut waiting, mut unanswered) = (Vec::new(), 0);
        // One unanswered attempt may be a pause of this process.
        while unanswered < 2 {
            match timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => unanswered += 1,
            }
        }
        Self { _listener: listener, _waiting: waiting }
    }
}

/// A listener on a port of its own at 127.0.0.`host`, and the port.
async fn listener(host: u8) -> (TcpListener, u16) {
    let listener = TcpListener::bind(at(host, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_is_named_and_worth_another_attempt() {
    let mut connector = connector(&[], 80, None);
    connector.names = Names::by(|| pending().boxed());
    let began = Instant::now();
    let error = connector.connect().await.err().unwrap();
    assert_eq!((began.elapsed(), error.step, error.may_be_tried_again()), (DEADLINES.connect, Step::Dns, true));
    assert_eq!(error.cause.to_string(), "gateway.test: not done within 5s (timeouts.connect)");
    assert!(SendError::from(error).may_be_tried_again());
}

#[tokio::test]
async fn a_look_up_that_gets_no_thread_fails_at_once_and_is_not_sent() {
    let mut connector = connector(&[], 80, None);
    connector.names = Names::by(|| ready(Err(Arc::new(io::Error::other("no thread to look it up")))).boxed());
    let error = connector.connect().await.err().unwrap();
    assert_eq!((error.step, error.may_be_tried_again()), (Step::Dns, false));
    assert_eq!(error.cause.to_string(), "gateway.test: no thread to look it up");
}

#[tokio::test]
async fn an_address_that_does_not_answer_costs_a_moment_once() {
    let (_listener, port) = listener(13).await;
    let _first = Silent::start(at(11, port)).await;
    let _second = Silent::start(at(12, port)).await;
    let connector = connector(&[11, 12, 13], port, None);
    let began = Instant::now();
    connector.connect().await.unwrap();
    let first = began.elapsed();
    assert!(first >= Duration::from_millis(500) && first < DEADLINES.connect, "{first:?}");
    assert_eq!(connector.order.of(&[at(11, 0), at(12, 0), at(13, 0)], port)[0], at(13, port), "it is remembered");
    let began = Instant::now();
    connector.connect().await.unwrap();
    assert!(began.elapsed() < first, "{:?} is no less than {first:?}", began.elapsed());
}

#[tokio::test]
async fn an_address_that_refuses_is_passed_over_and_the_error_of_all_names_each() {
    let (listener, port) = listener(23).await;
    connector(&[21, 22, 23], port, None).connect().await.unwrap();
    drop(listener);
    let error = connector(&[21, 22], port, None).connect().await.err().unwrap();
    assert_eq!((error.step, error.may_be_tried_again()), (Step::Tcp, true));
    let number = if cfg!(target_os = "linux") { 111 } else { 61 };
    let refused = format!("Connection refused (os error {number})");
    assert_eq!(error.cause.to_string(), format!("127.0.0.21:{port}: {refused}; 127.0.0.22:{port}: {refused}"));
}

/// TLS that trusts nothing.
fn tls() -> Tls {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    Tls {
        config: Arc::new(ArcSwap::from_pointee(config)),
        name: ServerName::try_from("gateway.test").unwrap(),
        only_http2: false,
    }
}

#[tokio::test]
async fn tls_that_hangs_or_fails_on_one_address_goes_on_with_the_next() {
    let (hanging, port) = listener(31).await;
    let broken = TcpListener::bind(at(32, port)).await.unwrap();
    let seen = TcpListener::bind(at(33, port)).await.unwrap();
    let connector = connector(&[31, 32, 33], port, Some(tls()));
    let connecting = connector.connect();
    let origin = async {
        let (_held, _) = hanging.accept().await.unwrap();
        let (mut stream, _) = broken.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let (mut stream, _) = seen.accept().await.unwrap();
        let mut record = [0; 1];
        stream.read_exact(&mut record).await.unwrap();
        record
    };
    tokio::select! {
        record = origin => assert_eq!(record, [22], "the third is greeted with a handshake"),
        outcome = connecting => panic!("{:?}", outcome.err()),
    }
}

#[tokio::test]
async fn tls_that_hangs_on_the_only_address_is_an_error_of_tls() {
    let (_listener, port) = listener(41).await;
    let mut connector = connector(&[41], port, Some(tls()));
    connector.deadlines.tls_handshake = Duration::from_millis(50);
    let error = connector.connect().await.err().unwrap();
    assert_eq!((error.step, error.may_be_tried_again()), (Step::Tls, false));
    assert_eq!(error.cause.to_string(), format!("127.0.0.41:{port}: not done within 50ms (timeouts.tls_handshake)"));
}
