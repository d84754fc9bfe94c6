//! Wonder receives the service's request byte for byte, and signed.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    sidecar::{Sidecar, assert_signed},
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

#[tokio::test]
async fn every_spelling_of_a_target_is_signed_and_forwarded_unchanged() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for target in [
        "/svc/payment/api/v1/openapi/orders/list?filter[state][_in]=invoiced,completed&limit=50",
        "/svc/a?filter%5Bstate%5D%5B_in%5D=x",
        "/svc/a?created=2026-01-01T00:00:00+08:00",
        "/svc/a?created=2026-01-01T00%3A00%3A00%2B08%3A00",
        "/svc/a%2fb%2Fc",
        "/svc/a?",
        "/svc//a//b",
        "/svc/a/../b/./c",
        "/svc/%E6%B1%89/%e6%b1%89?q=%C3%A9",
        "/svc/a?x=|{b}^`~",
        "/svc/a?b=c=d&&e&",
        "/svc/a;v=1,2:@!$&'()*+=",
        "/svc/%",
    ] {
        let answer = exchange(sidecar.listen, &request("GET", target, &[], b"")).await;
        assert_eq!(answer.status(), 200, "{target}: {answer:?}");
        let seen = upstream.next().await;
        assert_eq!(seen.start_line(), format!("GET {target} HTTP/1.1"));
        assert_signed(&seen);
    }
}

#[tokio::test]
async fn every_body_is_signed_and_forwarded_unchanged() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let big = vec![b'x'; 300_000];
    for body in [
        b"{}".as_slice(),
        b"{\"a\":\"\\/\"}\r\n",
        b" {} ",
        b"\n{}",
        "{\"note\":\"汉堡 🍔\"}".as_bytes(),
        b"\x00\xff\xfe binary",
        &big,
    ] {
        let answer = exchange(sidecar.listen, &request("POST", "/svc/echo", &[], body)).await;
        assert_eq!(answer.status(), 200);
        let seen = upstream.next().await;
        assert_eq!(seen.body, body);
        assert_signed(&seen);
    }
}

#[tokio::test]
async fn a_chunked_body_is_signed_as_one_body() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let head = b"POST /svc/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = b"5\r\n{\"a\":\r\n1;ext=1\r\n1\r\n3\r\n}\r\n\r\n0\r\nX-Trailer: dropped\r\n\r\n";
    assert_eq!(exchange(sidecar.listen, &[head.as_slice(), chunks].concat()).await.status(), 200);
    let seen = upstream.next().await;
    assert_eq!(seen.body, b"{\"a\":1}\r\n");
    assert_eq!(seen.value("content-length"), Some("9"));
    assert_eq!(seen.values("transfer-encoding"), [""; 0]);
    assert_signed(&seen);
}

#[tokio::test]
async fn a_caller_that_expects_100_continue_receives_it() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    let head = request("POST", "/svc/echo", &[("Content-Length", "2"), ("Expect", "100-continue")], b"");
    stream.write_all(&head).await.unwrap();
    assert_eq!(read_message(&mut stream, true).await.unwrap().start_line(), "HTTP/1.1 100 Continue");
    stream.write_all(b"{}").await.unwrap();
    assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200);
    let seen = upstream.next().await;
    assert_eq!((seen.body.as_slice(), seen.value("expect")), (b"{}".as_slice(), None));
    assert_signed(&seen);
}

#[tokio::test]
async fn an_absolute_form_for_the_sidecar_is_forwarded_as_path_and_query() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let target = format!("http://{}/svc/a?b=%2f", sidecar.listen);
    assert_eq!(exchange(sidecar.listen, &request("GET", &target, &[], b"")).await.status(), 200);
    let seen = upstream.next().await;
    assert_eq!(seen.start_line(), "GET /svc/a?b=%2f HTTP/1.1");
    assert_signed(&seen);
}

#[tokio::test]
async fn an_upgrade_header_is_ignored() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let offer = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
    ];
    let answer = exchange(sidecar.listen, &request("POST", "/svc/echo", &offer, b"{}")).await;
    assert_eq!(answer.start_line(), "HTTP/1.1 200 OK");
    let seen = upstream.next().await;
    for name in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(seen.value(name), None);
    }
    assert_signed(&seen);
}

#[tokio::test]
async fn the_sidecars_headers_replace_the_callers() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let headers = [
        ("Credential", "forged"),
        ("Nonce", "forged"),
        ("Signature", "forged"),
        ("signature", "forged twice"),
        ("X-Skip-Signature", "True"),
        ("Connection", "signature, content-length, host, x-hop"),
        ("X-Hop", "1"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Cookie", "a=b"),
        ("X-Request-ID", "order-7781"),
        ("X-I18n-Lang", "zh-HK"),
    ];
    let answer = exchange(sidecar.listen, &request("POST", "/svc/echo", &headers, b"{}")).await;
    assert_eq!(answer.value("x-request-id"), Some("order-7781"));
    let seen = upstream.next().await;
    assert_signed(&seen);
    assert_eq!(seen.value("host"), Some(upstream.address().to_string().as_str()));
    assert_eq!(seen.value("content-length"), Some("2"));
    assert_eq!(seen.value("content-type"), Some("application/json"));
    assert_eq!(seen.value("x-request-id"), Some("order-7781"));
    assert_eq!(seen.value("x-i18n-lang"), Some("zh-HK"));
    for name in ["x-skip-signature", "x-hop", "x-forwarded-for", "cookie", "connection"] {
        assert_eq!(seen.value(name), None, "{name}");
    }
    let stripped = sidecar.metric(r#"wonder_signer_stripped_headers_total{kind="skip_signature"}"#).await;
    assert!((stripped - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_missing_or_invalid_request_id_is_replaced() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let long = "x".repeat(129);
    for given in [&[][..], &[("X-Request-ID", "two words")], &[("X-Request-ID", "")], &[("X-Request-ID", &long)]] {
        let answer = exchange(sidecar.listen, &request("GET", "/svc/a", given, b"")).await;
        let id = answer.value("x-request-id").unwrap();
        let id: uuid::Uuid = id.parse().unwrap();
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(upstream.next().await.value("x-request-id"), Some(id.to_string().as_str()));
    }
}

#[tokio::test]
async fn every_request_has_a_new_nonce_and_time() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..20 {
        exchange(sidecar.listen, &request("GET", "/svc/a", &[], b"")).await;
        nonces.insert(assert_signed(&upstream.next().await).nonce.to_string());
    }
    assert_eq!(nonces.len(), 20);
}

#[tokio::test]
async fn an_answer_is_forwarded_unchanged_without_hop_by_hop_headers() {
    let answer =
        b"HTTP/1.1 418 Teapot\r\nX-Total-Entries: 7\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
        X-Wonder-Signer-Error: forged\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n";
    let upstream = Recorder::acting(move |_| Act::Answer(answer.to_vec())).await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let seen = exchange(sidecar.listen, &request("GET", "/svc/a", &[], b"")).await;
    assert_eq!((seen.status(), seen.text().as_str()), (418, "{\"a\":1}"));
    assert_eq!(seen.value("x-total-entries"), Some("7"));
    for name in ["x-hop", "keep-alive", "x-wonder-signer-error"] {
        assert_eq!(seen.value(name), None, "{name}");
    }
}

#[tokio::test]
async fn connections_on_both_sides_are_kept_alive() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    for _ in 0..5 {
        stream.write_all(&request("POST", "/svc/echo", &[], b"{}")).await.unwrap();
        assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200);
        upstream.next().await;
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn http_1_0_and_head_requests_are_answered() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let old = exchange(sidecar.listen, b"POST /svc/echo HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}").await;
    assert_eq!((old.status(), old.text().as_str()), (200, "{\"code\":200}"));
    assert_signed(&upstream.next().await);
}
