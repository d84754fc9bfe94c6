//! Counts the allocations of one request through the sidecar: TLS upstream, keep-alive, all features on.
//!
//! ```sh
//! cargo bench --bench allocations
//! ```
//!
//! The sidecar runs in this process on one thread, and only the allocations of that thread are counted. The counts do not depend
//! on the machine or its load.

#![allow(missing_docs, unreachable_pub, reason = "a program, not a library")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that cannot continue has nothing to report, and its report goes to the terminal"
)]

use std::{
    hint::black_box,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread,
    time::SystemTime,
};

use allocation_counter::AllocationInfo;
use tokio::sync::oneshot;
use wonder_signer::{
    app::{App, Stop},
    config::{Config, Flags, ListenAddress, LogLevel},
    telemetry::{self, Style},
};

#[path = "support/key.rs"]
mod key;
#[path = "gateway/upstream.rs"]
#[allow(dead_code, reason = "only a part of it is used here")]
mod upstream;

const CASES: [(&str, &str, usize); 4] = [
    ("GET", "GET", 0),
    ("POST, 512 B", "POST", 512),
    ("POST, 16 KiB", "POST", 16 * 1024),
    ("POST, 256 KiB", "POST", 256 * 1024),
];

fn main() {
    let (subscriber, _telemetry) = telemetry::subscriber(LogLevel::Info, Style::Json, SystemTime::now, |line| {
        black_box(line);
    });
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let upstream = upstream::Upstream::start(false, &key::pem("rsa2048-pkcs8"), std::time::Duration::ZERO);
    println!("| request | allocations | bytes |\n|---|--:|--:|");
    for (name, method, body) in CASES {
        // Both include start, connecting and end, so the difference is the cost of the requests alone.
        const WARM_UP: u64 = 50;
        const ROUNDS: u64 = 500;
        let few = allocated(&upstream, method, body, WARM_UP);
        let many = allocated(&upstream, method, body, WARM_UP + ROUNDS);
        println!(
            "| {name} | {} | {} |",
            (many.count_total - few.count_total) / ROUNDS,
            (many.bytes_total - few.bytes_total) / ROUNDS
        );
    }
}

/// The allocations of a sidecar from start to end, with so many requests in between.
fn allocated(upstream: &upstream::Upstream, method: &str, body: usize, requests: u64) -> AllocationInfo {
    let config = config(upstream);
    let (addresses, address) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<Stop>();
    let sidecar = thread::spawn(move || {
        allocation_counter::measure(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let app = App::start(config).await.unwrap();
                let ListenAddress::Tcp(address) = app.addresses().listen[0] else {
                    panic!("the configuration sets a TCP address")
                };
                addresses.send(address).unwrap();
                app.run(async { stopped.await.unwrap_or(Stop::AtOnce) }).await
            });
        })
    });
    let address: SocketAddr = address.recv().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    for _ in 0..requests {
        exchange(&mut stream, method, body);
    }
    drop((stream, stop));
    sidecar.join().unwrap()
}

fn config(upstream: &upstream::Upstream) -> Config {
    let (pem, origin, ca_file) = (key::pem("rsa2048-pkcs8"), upstream.origin(), upstream.ca_file());
    let environment = [
        ("WONDER_SIGNER_LISTEN__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_ADMIN__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom"),
        ("WONDER_SIGNER_UPSTREAM__ORIGIN", &origin),
        ("WONDER_SIGNER_UPSTREAM__CA_FILE", ca_file.to_str().unwrap()),
        ("WONDER_SIGNER_UPSTREAM__CA_MODE", "replace"),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", key::APP_ID),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", &pem),
    ];
    let environment = environment.map(|(name, value)| (name.into(), value.into()));
    Config::load(&[], environment, &Flags::default()).unwrap()
}

fn exchange(stream: &mut TcpStream, method: &str, body: usize) {
    let length =
        if body > 0 { format!("Content-Length: {body}\r\nContent-Type: application/json\r\n") } else { String::new() };
    let head = format!(
        "{method} /svc/payment/api/v1/openapi/customers HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         User-Agent: okhttp/4.12.0\r\n{length}\r\n"
    );
    let request = [head.as_bytes(), &vec![b'x'; body]].concat();
    stream.write_all(&request).unwrap();
    let (mut answer, mut scrap) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"}}}") {
        let read = stream.read(&mut scrap).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&scrap[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}
