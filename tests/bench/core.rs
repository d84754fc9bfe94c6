//! Times each stage of a request by itself, without sockets.
//!
//! ```sh
//! cargo bench --bench core
//! ```

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a benchmark that cannot start has nothing to report"
)]

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use wonder_signer::{
    config::LogLevel,
    metrics::{Metrics, Phase, Responder},
    net::headers,
    operations::{self, Operation},
    signing::{
        self, AppId, Nonce, RequestTime, SigningKey, Stamp,
        webhook::{self, Accepted, Delivery},
        window::Window,
    },
    telemetry::{self, Style},
};

#[path = "support/key.rs"]
mod key;

const TARGET: &str = "/svc/payment/api/v1/openapi/customers?limit=20&filter[ref][_eq]=KTR-0042";
const SIZES: [usize; 4] = [0, 512, 16 * 1024, 256 * 1024];

fn stamp() -> Stamp {
    Stamp {
        request_time: RequestTime::from_unix_seconds(1_771_061_405),
        nonce: "0Ab1Cd2Ef3Gh4Ij5".parse::<Nonce>().unwrap(),
    }
}

/// A body as it arrives from the socket: in chunks of at most 16 KiB.
fn body(size: usize) -> Vec<Vec<u8>> {
    vec![b'x'; size].chunks(16 * 1024).map(<[u8]>::to_vec).collect()
}

fn signatures(c: &mut Criterion) {
    let mut group = c.benchmark_group("sign");
    for (bits, pem) in key::all() {
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let pair = key::pair(&pem);
        let app_id: AppId = key::APP_ID.parse().unwrap();
        group.bench_function(BenchmarkId::new("bare signature", bits), |b| {
            let mut signature = vec![0; pair.public_modulus_len()];
            let random = SystemRandom::new();
            b.iter(|| pair.sign(&RSA_PKCS1_SHA256, &random, black_box(&[b'a'; 64]), &mut signature).unwrap());
        });
        for size in SIZES {
            let body = body(size);
            group.bench_function(BenchmarkId::new(format!("{bits} bits, body"), size), |b| {
                b.iter(|| signing::sign(&key, &app_id, &stamp(), "POST", black_box(TARGET), &body).unwrap());
            });
        }
    }
    group.finish();
    let mut group = c.benchmark_group("signature message");
    for size in SIZES {
        let body = body(size);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("body", size), |b| {
            b.iter(|| signing::signature_message(&stamp(), "POST", black_box(TARGET), &body));
        });
    }
    group.finish();
}

/// One webhook with a body of 4 KiB, compared with the bare verification of an RSA signature in the same run.
fn webhooks(c: &mut Criterion) {
    const HOOK: &str = "/hooks/wonder?src=w";
    let mut group = c.benchmark_group("webhook");
    for (bits, pem) in key::all() {
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let (app_id, stamp, body): (AppId, _, _) = (key::APP_ID.parse().unwrap(), stamp(), body(4096));
        let signed = webhook::sign(&key, &app_id, &stamp, HOOK, &body).unwrap();
        let pair = key::pair(&pem);
        let mut bare = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &[b'a'; 64], &mut bare).unwrap();
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()).unwrap();
        group.bench_function(BenchmarkId::new("bare verification", bits), |b| {
            b.iter(|| public.verify_sig(black_box(&[b'a'; 64]), &bare).unwrap());
        });
        let headers = [("credential", &signed.credential), ("nonce", &signed.nonce), ("signature", &signed.signature)];
        let headers: HeaderMap = headers
            .into_iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        group.bench_function(BenchmarkId::new("verified, 4 KiB", bits), |b| {
            b.iter(|| {
                let delivery = Delivery {
                    method: "POST",
                    target: black_box(HOOK).as_bytes(),
                    headers: (&headers).into(),
                    body: &body,
                };
                let accepted = Accepted { name: "default", app_id: &app_id, key: key.verifying_key() };
                let window = Window::webhook(Duration::from_mins(1470));
                webhook::verify(&delivery, [accepted], stamp.request_time, window).unwrap().identity()
            });
        });
    }
    group.finish();
}

fn stamps(c: &mut Criterion) {
    c.bench_function("nonce", |b| b.iter(|| Nonce::generate(&mut rand::thread_rng())));
    c.bench_function("request time as text", |b| {
        b.iter(|| black_box(RequestTime::from_unix_seconds(1_771_061_405)).to_text());
    });
}

fn header_filter(c: &mut Criterion) {
    let lines = [
        ("host", "127.0.0.1:8080"),
        ("accept", "application/json"),
        ("user-agent", "okhttp/4.12"),
        ("content-type", "application/json"),
        ("content-length", "512"),
        ("connection", "keep-alive"),
        ("x-request-id", "3f1d0a52-4c1e-4c7d-9f63-0f0a4a6e7c11"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let map: HeaderMap =
        lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
    c.bench_function("header filter", |b| {
        b.iter_batched_ref(|| map.clone(), |map| headers::to_upstream(map, |_| ()), criterion::BatchSize::SmallInput);
    });
}

fn operation(c: &mut Criterion) {
    for (name, path) in [
        ("first rows", "/svc/payment/api/v1/openapi/customers"),
        ("with a reference", "/svc/payment/api/v1/openapi/customers/ref/KTR-0042"),
        ("other", "/svc/payment/api/v9/unheard/of"),
    ] {
        c.bench_function(&format!("operation, {name}"), |b| b.iter(|| operations::find("POST", black_box(path))));
    }
}

fn metrics(c: &mut Criterion) {
    let metrics = Metrics::new(&["body_too_large"]);
    let operation: &'static Operation = operations::find("POST", "/svc/payment/api/v1/openapi/customers");
    c.bench_function("metrics of one request", |b| {
        b.iter(|| {
            let in_flight = metrics.request_started();
            let mut buffered = metrics.buffered();
            buffered.add(512);
            metrics.body_read(0.000_01, 512);
            metrics.signed(true, 0.000_21);
            metrics.upstream_phase(Phase::Head, 0.01);
            metrics.upstream_responded(StatusCode::OK);
            metrics.upstream_phase(Phase::Body, 0.000_01);
            metrics.request_finished(operation, &Method::POST, StatusCode::OK, Responder::Upstream, 0.012);
            drop((in_flight, buffered));
        });
    });
    c.bench_function("metrics encoded", |b| b.iter(|| metrics.encode().unwrap()));
}

fn log_line(c: &mut Criterion) {
    let clock = || SystemTime::UNIX_EPOCH + Duration::from_micros(1_771_061_405_123_456);
    let (subscriber, _telemetry) = telemetry::subscriber(LogLevel::Info, Style::Json, clock, |line| {
        black_box(line);
    });
    tracing::subscriber::with_default(subscriber, || {
        c.bench_function("log line of one request", |b| {
            b.iter(|| {
                tracing::info!(
                    target: "wonder_signer::proxy::exchange",
                    request_id = "3f1d0a52-4c1e-4c7d-9f63-0f0a4a6e7c11",
                    operation = "customers.create",
                    method = "POST",
                    status = 200,
                    origin = "upstream",
                    sent = "yes",
                    credential = "default",
                    attempts = 1,
                    body_ms = 0.004,
                    sign_ms = 0.213,
                    upstream_ms = 12.345,
                    total_ms = 12.6,
                    request_bytes = 512,
                    response_bytes = 90,
                    "request"
                );
            });
        });
    });
}

criterion_group!(core, signatures, webhooks, stamps, header_filter, operation, metrics, log_line);
criterion_main!(core);
