//! The admin listener, served on a real socket and read as bytes.

mod connections;
mod pages;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use wonder_signer::{
    admin::{self, CredentialFact, KeyFact, Probes, Readiness, StatusFacts},
    contract::Sent,
    metrics::Metrics,
    net::hosts::Hosts,
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
            let key = Some(KeyFact { fingerprint: "0a1b2c3d".to_owned(), bits: 2048 });
            vec![CredentialFact { name: "default".to_owned(), key, state: "signs" }]
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
