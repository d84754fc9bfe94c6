//! The admin listener, served on a real socket and read as bytes.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::ServiceExt as _;
use wonder_signer::{
    admin::{self, CredentialFact, Probes, Readiness, Sampler, StatusFacts},
    contract::Sent,
    metrics::Metrics,
    net::hosts::Hosts,
};

use crate::{
    http2::PREFACE,
    support::{patience::soon, wire::read_message},
};

/// A running admin listener, and the handles that the program holds.
struct Admin {
    address: SocketAddr,
    metrics: Metrics,
    readiness: Readiness,
    _probes: Probes,
}

async fn admin() -> Admin {
    admin_of("staging").await
}

async fn admin_of(environment: &str) -> Admin {
    admin_on(environment, TcpListener::bind("127.0.0.1:0").await.unwrap())
}

fn admin_on(environment: &str, listener: TcpListener) -> Admin {
    let (metrics, readiness) = (Metrics::new(&["overloaded"]), Readiness::new());
    let facts = facts(environment);
    let (router, sampler) = admin::router(metrics.clone(), readiness.clone(), facts);
    let address = listener.local_addr().unwrap();
    let probes = Probes::serve(listener, router, sampler).unwrap();
    Admin { address, metrics, readiness, _probes: probes }
}

fn facts(environment: &str) -> StatusFacts {
    StatusFacts {
        version: "0.1.0".to_owned(),
        instance: "shop-7d9f-x2x8k".to_owned(),
        environment: environment.to_owned(),
        origin: "https://gateway-stg.wonder.today".to_owned(),
        hosts: Hosts::new(["admin.example".to_owned()]),
        credentials: Arc::new(|| {
            vec![CredentialFact { name: "default".to_owned(), fingerprint: "0a1b2c3d".to_owned(), bits: 2048 }]
        }),
        config: Arc::new(|| json!({"credentials": {"default": {"private_key": "***"}}})),
    }
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Admin {
    async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, "admin.example").await
    }

    async fn send(&self, method: &str, target: &str, host: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn status_and_body(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}

#[tokio::test]
async fn livez_is_ok_whether_ready_or_not() {
    let admin = admin().await;
    assert_eq!(admin.get("/livez").await.status_and_body(), (200, "ok\n"));
    admin.readiness.set_draining();
    assert_eq!(admin.get("/livez").await.status_and_body(), (200, "ok\n"));
}

#[tokio::test]
async fn readyz_is_ok_between_start_and_drain() {
    let admin = admin().await;
    assert_eq!(admin.get("/readyz").await.status_and_body(), (503, "starting\n"));
    admin.readiness.set_ready();
    assert_eq!(admin.get("/readyz").await.status_and_body(), (200, "ready\n"));
    admin.readiness.set_draining();
    assert_eq!(admin.get("/readyz").await.status_and_body(), (503, "draining\n"));
}

#[tokio::test]
async fn metrics_are_served_in_the_text_format() {
    let admin = admin().await;
    admin.metrics.proxy_error("overloaded", Sent::No);
    let answer = admin.get("/metrics").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"wonder_signer_proxy_errors_total{reason="overloaded",sent="no"} 1"#,
        "wonder_signer_draining 0",
        r#"wonder_signer_upstream_connections{state="open"} 0"#,
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line}");
    }
    admin.readiness.set_draining();
    assert!(admin.get("/metrics").await.body.lines().any(|found| found == "wonder_signer_draining 1"));
}

#[tokio::test]
async fn the_configuration_page_shows_the_given_text() {
    let answer = admin().await.get("/config").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let config: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(config["credentials"]["default"]["private_key"], "***");
}

#[tokio::test]
async fn the_status_page_and_its_json_show_the_same() {
    let admin = admin().await;
    admin.readiness.set_ready();
    admin.metrics.proxy_error("overloaded", Sent::Maybe);
    let page = admin.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    let status: Value = serde_json::from_str(&admin.get("/status.json").await.body).unwrap();
    assert_eq!((&status["health"], &status["headline"]), (&json!("warn"), &json!("ready, with 2 problems")));
    assert_eq!(status["problems"][0]["runbook"], "WonderSignerUnknownOutcome");
    for text in [
        "ready, with 2 problems",
        "shop-7d9f-x2x8k",
        "0a1b2c3d",
        "overloaded, may have reached Wonder",
        "<a href=\"/runbook/WonderSignerUnknownOutcome\">",
        "<svg role=\"img\" aria-label=\"0 requests in the last hour",
        "/metrics",
    ] {
        assert!(page.body.contains(text), "{text}");
    }
    for outside in ["src=", "http-equiv=\"Content", "url(", "@import", "http://", "//cdn"] {
        assert!(!page.body.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn the_runbook_is_served_whole_and_by_entry() {
    let admin = admin().await;
    let whole = admin.get("/runbook").await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(whole.body, include_str!("../../deploy/runbook.md"));
    let entry = admin.get("/runbook/WonderSignerAuthRejected").await;
    assert!(
        entry.status == 200
            && entry.body.starts_with("## WonderSignerAuthRejected\n")
            && !entry.body[1..].contains("\n## ")
    );
    for target in ["/runbook/", "/runbook/Nothing", "/runbook/%FF", "/runbook/a/b"] {
        assert_eq!(admin.get(target).await.status_and_body(), (404, "not found\n"), "{target}");
    }
}

/// The page is opened only after the errors, so the sampler alone records them.
#[tokio::test(start_paused = true)]
async fn the_history_is_recorded_while_no_page_is_open() {
    let (metrics, readiness) = (Metrics::new(&["upstream_dns"]), Readiness::new());
    let (router, sampler) = admin::router(metrics.clone(), readiness.clone(), facts("staging"));
    readiness.set_ready();
    let pass = async |time: Duration| {
        for _ in 0..time.as_secs() / Sampler::SPACING.as_secs() {
            tokio::time::sleep(Sampler::SPACING).await;
            sampler.sample();
        }
    };
    let page = async || {
        let request = http::Request::get("/").body(axum::body::Body::empty()).unwrap();
        let body = router.clone().oneshot(request).await.unwrap().into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    pass(Duration::from_mins(10)).await;
    metrics.proxy_error("upstream_dns", Sent::No);
    metrics.proxy_error("upstream_dns", Sent::No);
    pass(Duration::from_mins(2)).await;
    for _ in 0..3 {
        assert!(page().await.contains("2 requests found no connection to gateway-stg.wonder.today in the last 5 min"));
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    // Five minutes later the figures no longer show the errors; the chart and the totals do.
    pass(Duration::from_mins(5)).await;
    let later = page().await;
    assert!(!later.contains("found no connection"), "{later}");
    assert!(later.contains("aria-label=\"errors in the last hour: 2 by network\""), "{later}");
    assert!(later.contains("the last request that was to reach Wonder failed (upstream_dns"), "{later}");
    pass(Duration::from_hours(1)).await;
    assert!(page().await.contains("aria-label=\"no errors in the last hour\""));
}

#[tokio::test]
async fn the_status_page_escapes_html() {
    let admin = admin_of("<img src=x onerror=alert(1)>").await;
    let page = admin.get("/").await;
    assert!(page.body.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.body.contains("<img"));
}

#[tokio::test]
async fn a_head_request_gets_no_body() {
    let admin = admin().await;
    for target in ["/", "/livez", "/metrics", "/config", "/status.json", "/runbook"] {
        let answer = admin.send("HEAD", target, "admin.example").await;
        assert_eq!(answer.status_and_body(), (200, ""), "{target}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_rejected() {
    let admin = admin().await;
    for target in ["/nothing", "/livez/", "/Livez", "//", "/metrics/x"] {
        assert_eq!(admin.get(target).await.status_and_body(), (404, "not found\n"), "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = admin.send(method, "/readyz", "admin.example").await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{method}");
    }
}

#[tokio::test]
async fn every_response_has_the_hardening_headers() {
    let admin = admin().await;
    for (target, host) in
        [("/", "10.1.2.3:9090"), ("/", "evil.example"), ("/livez", ""), ("/nothing", "x"), ("/metrics", "x")]
    {
        let answer = admin.send("GET", target, host).await;
        assert_eq!(answer.header("cache-control"), "no-store", "{target}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{target}");
    }
}

/// A web page can point a name of its own at this machine (DNS rebinding); its requests have that name in `Host`.
#[tokio::test]
async fn html_pages_check_the_host_and_probes_and_metrics_do_not() {
    let admin = admin().await;
    admin.readiness.set_ready();
    for host in ["admin.example", "LOCALHOST:9090", "127.0.0.1", "10.1.2.3:9090", "[fd00::1]:9090", "[::1]"] {
        for target in ["/", "/config", "/status.json"] {
            assert_eq!(admin.send("GET", target, host).await.status, 200, "{target} {host}");
        }
    }
    for host in ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "", "localhost, evil.example"] {
        for target in ["/", "/config", "/status.json"] {
            let answer = admin.send("GET", target, host).await;
            assert_eq!(answer.status, 421, "{target} {host}");
            assert!(answer.body.contains("listen.allowed_hosts") && !answer.body.contains("evil"), "{}", answer.body);
        }
        for target in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(admin.send("GET", target, host).await.status, 200, "{target} {host}");
        }
    }
}

/// Any program that can reach the pod can connect here, and each connection costs the process a descriptor.
#[tokio::test]
async fn a_client_that_hoards_connections_evicts_its_own() {
    let admin = admin().await;
    let mut held = Vec::new();
    for number in 0..500 {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        // Half a request, or nothing.
        if number % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        }
        held.push(stream);
    }
    assert_eq!(admin.get("/livez").await.status_and_body(), (200, "ok\n"));
    // The connection of the probe was the last of 64.
    let kept = held.split_off(500 - 63);
    for mut stream in held {
        let ended = soon(stream.read(&mut [0])).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    for (number, mut stream) in (500 - 63..).zip(kept) {
        let rest = if number % 2 == 0 { "Host: a\r\n\r\n" } else { "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" };
        stream.write_all(rest.as_bytes()).await.unwrap();
        assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_request_that_has_arrived_is_answered_before_its_connection_is_evicted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..120 {
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        waiting.push(stream);
    }
    let _admin = admin_on("staging", listener);
    for mut stream in waiting {
        assert_eq!(soon(read_message(&mut stream, false)).await.expect("an answer").status(), 200);
    }
}

#[tokio::test]
async fn refuses_a_head_that_is_too_large() {
    let admin = admin().await;
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    stream.write_all(format!("GET /livez HTTP/1.1\r\nX: {}", "x".repeat(20_000)).as_bytes()).await.unwrap();
    assert_eq!(soon(read_message(&mut stream, false)).await.expect("an answer").status(), 431);
    assert_eq!(admin.get("/livez").await.status_and_body(), (200, "ok\n"));
}

/// Each connection of the flood sends 200 pipelined requests for one target.
#[tokio::test]
async fn a_probe_is_answered_during_a_flood() {
    let admin = admin().await;
    admin.readiness.set_ready();
    let mut flood = JoinSet::new();
    for target in ["/metrics", "/", "/status.json", "/config", "/runbook", "/nothing"] {
        let (address, bytes) = (admin.address, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(200));
        for _ in 0..4 {
            let bytes = bytes.clone();
            flood.spawn(async move {
                loop {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    let _ = stream.write_all(bytes.as_bytes()).await;
                    let mut answers = Vec::new();
                    // The listener may evict the connection, or reset it with requests unread.
                    let _ = stream.read_to_end(&mut answers).await;
                    let answers = answers.windows(9).filter(|nine| nine == b"HTTP/1.1 ").count();
                    assert!(answers <= 1, "{answers} answers on one connection");
                }
            });
        }
    }
    for _ in 0..200 {
        let asked = Instant::now();
        assert_eq!(soon(admin.get("/livez")).await.status_and_body(), (200, "ok\n"));
        // A kubelet gives up after a second.
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
    assert!(flood.try_join_next().is_none(), "the flood goes on");
}

#[tokio::test]
async fn each_connection_gets_one_answer_and_is_closed() {
    let admin = admin().await;
    for target in ["/livez", "/metrics"] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(bytes.repeat(200).as_bytes()).await.unwrap();
        let answer = soon(read_message(&mut stream, false)).await.unwrap();
        assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
        assert!(soon(read_message(&mut stream, false)).await.is_none());
    }
}

#[tokio::test]
async fn malformed_heads_get_the_error_contract() {
    let admin = admin().await;
    let long = [&b"GET /livez HTTP/1.1\r\nX-A: "[..], &vec![b'a'; 20_000]].concat();
    for (bytes, status, code) in [
        (PREFACE, 400, "bad_request"),
        (&PREFACE[..6], 400, "bad_request"),
        (b"GET /livez\r\n", 400, "bad_request"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
        (&long, 431, "headers_too_large"),
    ] {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let answer = soon(read_message(&mut stream, false)).await.unwrap();
        assert_eq!(answer.contract(), (status, code.to_owned(), "no".to_owned()));
    }
}

#[tokio::test]
async fn metrics_are_encoded_at_most_once_a_second() {
    let admin = admin().await;
    let count = async || {
        let text = admin.get("/metrics").await.body;
        let series = r#"wonder_signer_proxy_errors_total{reason="overloaded",sent="no"} "#;
        text.lines().find_map(|line| line.strip_prefix(series)).unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(count().await, 0);
    let (began, mut texts, mut last) = (Instant::now(), 1, 0);
    while last < 2 || began.elapsed() < Duration::from_secs(2) {
        admin.metrics.proxy_error("overloaded", Sent::No);
        let now = count().await;
        texts += u64::from(now != last);
        last = now;
    }
    assert!(texts <= began.elapsed().as_secs() + 2, "{texts} texts in {:?}", began.elapsed());
}
