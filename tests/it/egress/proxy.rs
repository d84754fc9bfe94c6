//! Egress proxy: a tunnel, TLS with the origin inside it, and rejections by the proxy.

use wonder_signer::{
    contract::{Code, Sent},
    net::respond::Failure,
};

use super::doubles::{Authority, Gate, Manner, ProxyServer, TlsServer};
use crate::support::{client::Client, closed::Closed, upstream::Recorder};

const MARKER: &str = "MARKERmarker";

fn through(proxy: &ProxyServer, more: &str) -> String {
    format!("[upstream]\nproxy = \"http://user:{MARKER}@{}\"\n{more}", proxy.address)
}

async fn refused(origin: &str, toml: &str) -> (Failure, bool) {
    let error = Client::of(origin, toml).send("/svc/a").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(MARKER));
    let again = error.may_be_tried_again();
    let failure = Failure::from(error);
    assert_eq!((failure.code, failure.sent), (Code::UpstreamConnect, Sent::No));
    let everything = format!("{failure} {failure:?} {:?}", failure.respond(&http::HeaderValue::from_static("r")));
    assert!(!everything.contains(MARKER) && !everything.contains("Basic"), "{everything}");
    (failure, again)
}

#[tokio::test]
async fn connect_carries_the_proxy_credentials_and_the_origin_never_sees_them() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::named("ours");
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let server = TlsServer::start(&authority.issue(&["127.0.0.1"], |_| ()), Manner::default()).await;
    let proxy = ProxyServer::start(Gate::Open).await;
    let client = Client::of(&server.origin(), &through(&proxy, &format!("ca_file = \"{}\"", ca.display())));
    for _ in 0..2 {
        let response = client.send("/svc/a?b=c").await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(server.arrived(), ["POST /svc/a?b=c HTTP/1.1"; 2]);
    let target = format!("127.0.0.1:{}", server.port());
    let heads = proxy.heads();
    let expected = format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic dXNlcjpNQVJLRVJtYXJrZXI=\r\n\r\n"
    );
    assert!(heads.iter().all(|head| *head == expected), "{heads:?}");
    assert!(!heads.is_empty() && !server.arrived().iter().any(|line| line.contains("Basic")));
}

#[tokio::test]
async fn a_rejection_by_the_proxy_is_reported_with_its_status() {
    for (answer, message) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            "the egress proxy does not accept the user and password of upstream.proxy (status 407)",
        ),
        (
            "HTTP/1.0 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope",
            "the egress proxy refuses a tunnel to the origin with status 403 (upstream.proxy)",
        ),
        ("HTTP/1.1 503 \r\n\r\n", "the egress proxy refuses a tunnel to the origin with status 503 (upstream.proxy)"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "the egress proxy does not open a tunnel (upstream.proxy)"),
        ("HTTP/1.1 200 OK\r\n\r\nbytes too early", "the egress proxy does not open a tunnel (upstream.proxy)"),
        ("HTTP/1.1 200 O", "the egress proxy does not open a tunnel (upstream.proxy)"),
        ("", "the egress proxy does not open a tunnel (upstream.proxy)"),
    ] {
        let proxy = ProxyServer::start(Gate::Says(answer)).await;
        let (failure, again) = refused("https://gateway.invalid", &through(&proxy, "")).await;
        assert_eq!((failure.to_string().as_str(), again), (message, false), "{answer}");
        assert_eq!(proxy.heads().len(), 1);
    }
}

#[tokio::test]
async fn an_unreachable_proxy_is_distinguished_from_an_unreachable_origin() {
    let closed = Closed::port();
    let (failure, again) =
        refused("https://gateway.invalid", &format!("upstream.proxy = \"{}\"", closed.origin())).await;
    assert_eq!((failure.to_string().as_str(), again), ("cannot connect to the egress proxy (upstream.proxy)", true));
    let error = Client::of("https://gateway.invalid", "upstream.proxy = \"http://no-such-proxy.invalid:3128\"");
    let failure = Failure::from(error.send("/svc/a").await.unwrap_err());
    assert_eq!(failure.code, Code::UpstreamDns);
    assert_eq!(failure.to_string(), "cannot resolve the name of the egress proxy (upstream.proxy)");
}

#[tokio::test]
async fn a_silent_proxy_times_out_with_timeouts_connect() {
    let proxy = ProxyServer::start(Gate::Silent).await;
    let toml = through(&proxy, "[timeouts]\nconnect = \"50ms\"");
    let (failure, _) = refused("https://gateway.invalid", &toml).await;
    assert_eq!(failure.to_string(), "the egress proxy does not open a tunnel (upstream.proxy)");
    assert!(failure.cause().unwrap().contains("not done within 50ms (timeouts.connect)"), "{:?}", failure.cause());
}

#[tokio::test]
async fn a_plain_origin_is_called_without_a_proxy() {
    let upstream = Recorder::start().await;
    let proxy = ProxyServer::start(Gate::Open).await;
    let client = Client::of(&upstream.origin(), &through(&proxy, ""));
    assert_eq!(client.send("/svc/a").await.unwrap().status(), 200);
    assert_eq!(proxy.heads(), Vec::<String>::new());
}
