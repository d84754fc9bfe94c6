//! Which callers may have a request signed: programs may, web pages may not. Headers about the connection (hop-by-hop headers and
//! the headers for the sidecar itself) are not forwarded.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    patience::soon,
    sidecar::{Sidecar, assert_signed},
    transport::Transport,
    upstream::Recorder,
    wire::{exchange, read_message, request},
};

const BROWSER: &str = r#"wonder_signer_proxy_errors_total{reason="browser_denied",sent="no"}"#;

#[tokio::test]
async fn a_web_page_is_refused_for_every_method_and_target() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let marks = [
        ("Origin", "http://evil.example"),
        ("origin", "null"),
        ("Origin", ""),
        ("Sec-Fetch-Site", "cross-site"),
        ("sec-fetch-site", "none"),
        ("SEC-FETCH-SITE", "same-origin"),
        ("Referer", "http://evil.example/"),
        ("Referer", ""),
    ];
    let mut refused = 0.0;
    for mark in marks {
        for (method, target, body) in [
            ("POST", "/svc/a", &b"{}"[..]),
            ("GET", "/svc/a", b""),
            ("OPTIONS", "/svc/a", b""),
            ("GET", "/", b""),
            ("TRACE", "/svc/a", b""),
        ] {
            // `Connection` removes the header from the forwarded request, and the guard still sees it.
            let nominated = ("Connection", mark.0);
            let got = exchange(sidecar.listen, &request(method, target, &[mark, nominated], body)).await;
            assert_eq!(got.contract(), (403, "browser_denied".to_owned(), "no".to_owned()), "{method} {mark:?}");
            assert!(!got.head.to_lowercase().contains("access-control-"), "{}", got.head);
            assert_eq!(got.value("connection"), Some("close"));
            refused += 1.0;
        }
    }
    assert_eq!(upstream.connections(), 0);
    assert!((sidecar.metric(BROWSER).await - refused).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_web_page_is_refused_on_every_transport() {
    for transport in Transport::all() {
        let upstream = Recorder::start().await;
        let sidecar = transport.sidecar(&upstream.origin(), "").await;
        let mut stream = transport.connect(sidecar.listen).await;
        stream.write_all(&request("POST", "/svc/a", &[("Origin", "null")], b"{}")).await.unwrap();
        stream.flush().await.unwrap();
        let got = soon(read_message(&mut stream, false)).await.unwrap();
        assert_eq!(got.contract().1, "browser_denied", "{transport}");
        assert_eq!(upstream.connections(), 0);
    }
}

#[tokio::test]
async fn a_web_page_is_refused_before_its_body_is_read() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for headers in [
        &[("Origin", "null"), ("Content-Length", "1000000")][..],
        &[("Origin", "null"), ("Transfer-Encoding", "chunked")],
        &[("Origin", "null"), ("Content-Length", "5"), ("Expect", "100-continue")],
    ] {
        let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
        stream.write_all(&request("POST", "/svc/a", headers, b"")).await.unwrap();
        // The rejection is the only answer: no `100 Continue`, and the connection closes.
        let mut seen = String::new();
        soon(stream.read_to_string(&mut seen)).await.unwrap();
        assert!(seen.starts_with("HTTP/1.1 403 ") && seen.matches("HTTP/1.1 ").count() == 1, "{seen}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn programs_are_not_mistaken_for_web_pages() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for headers in [
        // Node's fetch.
        &[("sec-fetch-mode", "cors"), ("accept-language", "*"), ("user-agent", "node")][..],
        &[("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-User", "?1")],
        &[("X-Origin", "a"), ("Original", "b"), ("Referrer-Policy", "c")],
    ] {
        let got = exchange(sidecar.listen, &request("POST", "/svc/a", headers, b"{}")).await;
        assert_eq!(got.status(), 200, "{headers:?}");
        assert_signed(&upstream.next().await);
    }
}

#[tokio::test]
async fn a_web_page_is_served_when_the_guard_is_off() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "listen.browser_guard = false").await;
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[("Origin", "null")], b"{}")).await;
    assert_eq!(got.status(), 200);
    assert_signed(&upstream.next().await);
}

#[tokio::test]
async fn a_required_header_is_checked_and_not_forwarded() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "listen.required_header = \"X-Shop-Request: yes\"").await;
    let ask =
        async |headers: &[(&str, &str)]| exchange(sidecar.listen, &request("POST", "/svc/a", headers, b"{}")).await;
    for wrong in [
        &[][..],
        &[("X-Shop-Request", "no")],
        &[("X-Shop-Request", "YES")],
        &[("X-Shop-Request", "yes"), ("X-Shop-Request", "yes")],
        &[("X_Shop_Request", "yes")],
    ] {
        let got = ask(wrong).await;
        assert_eq!(got.contract(), (403, "policy_denied".to_owned(), "no".to_owned()), "{wrong:?}");
        assert!(
            got.text().contains("x-shop-request") && got.text().contains("listen.required_header"),
            "{}",
            got.text()
        );
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(ask(&[("x-SHOP-request", "yes")]).await.status(), 200);
    let message = upstream.next().await;
    assert_signed(&message);
    assert_eq!(message.values("x-shop-request"), [""; 0]);
    assert!(!message.head.to_lowercase().contains("shop"), "{}", message.head);
}

#[tokio::test]
async fn header_names_that_some_servers_read_as_another_are_not_forwarded() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let look_alikes = [
        "X_Skip_Signature",
        "Transfer_Encoding",
        "Content_Length",
        "X_Forwarded_For",
        "Proxy_Authorization",
        "X.Skip.Signature",
        "X-Skip-Signature_",
        "_Host",
        "Content-Type~",
        "X-Wonder_Signer-Credential",
        "X!A",
        "X#A",
        "X$A",
        "X%A",
        "X&A",
        "X'A",
        "X*A",
        "X+A",
        "X.A",
        "X^A",
        "X_A",
        "X`A",
        "X|A",
        "X~A",
    ];
    let overrides = [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "x-original-url",
        "X-Original-Host",
        "X-Rewrite-URI",
        "X-HTTP-Host-Override",
    ];
    let others = ["Proxy", "X-Forwarded", "Cookie2"];
    let headers: Vec<_> = look_alikes.iter().chain(&overrides).chain(&others).map(|name| (*name, "marker")).collect();
    let kept = [("X-Shop-2", "kept"), ("Accept", "kept")];
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[&headers[..], &kept].concat(), b"{}")).await;
    assert_eq!(got.status(), 200);
    let message = upstream.next().await;
    assert_signed(&message);
    assert!(!message.head.contains("marker"), "{}", message.head);
    assert_eq!((message.value("x-shop-2"), message.value("accept")), (Some("kept"), Some("kept")));
    // Each header is counted once by name, even if it is repeated.
    for (kind, count) in [("look_alike", look_alikes.len()), ("override", 8)] {
        let series = format!("wonder_signer_stripped_headers_total{{kind=\"{kind}\"}}");
        assert!(
            (sidecar.metric(&series).await - f64::from(u32::try_from(count).unwrap())).abs() < f64::EPSILON,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn connection_cannot_remove_the_sidecars_own_headers() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "log.make_traceparent = true").await;
    let all = "close, x-request-id, content-type, content-length, content-encoding, host, transfer-encoding, credential, nonce, \
               signature, traceparent, tracestate, x-wonder-signer-credential, x-hop";
    for connection in [all, &all.to_uppercase(), &all.replace(", ", ",")] {
        for traceparent in [None, Some(("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))] {
            let headers = [
                ("Connection", connection),
                ("X-Request-ID", "order-7"),
                ("Content-Type", "text/plain"),
                ("Content-Encoding", "identity"),
                ("X-Wonder-Signer-Credential", "default"),
                ("X-Hop", "gone"),
            ];
            let headers: Vec<_> = headers.into_iter().chain(traceparent).collect();
            let got = exchange(sidecar.listen, &request("POST", "/svc/a", &headers, b"{}")).await;
            assert_eq!((got.status(), got.value("x-request-id")), (200, Some("order-7")));
            let message = upstream.next().await;
            assert_signed(&message);
            assert_eq!(message.value("x-request-id"), Some("order-7"));
            assert_eq!(message.value("content-type"), Some("text/plain"));
            assert_eq!(message.value("content-encoding"), Some("identity"));
            assert_eq!(message.value("content-length"), Some("2"));
            assert_eq!(message.value("host"), Some(upstream.origin().trim_start_matches("http://")));
            assert_eq!(message.value("x-hop"), None);
            let sent = message.value("traceparent").unwrap();
            assert!(traceparent.is_none_or(|(_, given)| given == sent), "{sent}");
        }
    }
    // A request id that the sidecar made is forwarded too.
    let got = exchange(sidecar.listen, &request("POST", "/svc/a", &[("Connection", "x-request-id")], b"{}")).await;
    assert_eq!(upstream.next().await.value("x-request-id"), got.value("x-request-id"));
}
