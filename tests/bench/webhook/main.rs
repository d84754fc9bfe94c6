//! The webhook listener under load: processor time of a delivery, and what a flood of forged ones does to requests to Wonder.
//!
//! The sidecar runs on the first processor; senders, application and upstream run on the last. Every delivery is signed beforehand.
//!
//! ```sh
//! cargo bench --bench webhook
//! ```
//!
//! `--binary PATH` measures another build. With nginx installed, the same bodies go through an nginx that only forwards them.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unchecked_time_subtraction,
    reason = "a benchmark that cannot run has nothing to report"
)]

#[path = "../support/key.rs"]
mod key;
#[path = "../support/machine.rs"]
mod machine;
mod programs;
mod wire;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use clap::Parser;
use wonder_signer::signing::{AppId, Nonce, RequestTime, SigningKey, Stamp, webhook};

use self::{
    machine::{last, pin, processor_time},
    programs::{Nginx, Sidecar},
    wire::{Connection, answering},
};

const BODY: usize = 4096;
const CONNECTIONS: usize = 4;
/// Requests to Wonder a second, and forged webhooks a second.
const CALLS: u32 = 100;
const FORGED: u32 = 2000;

#[derive(Parser)]
struct Options {
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_wonder-signer"))]
    binary: PathBuf,
    /// Deliveries of each round
    #[arg(long, default_value_t = 4000)]
    deliveries: usize,
    /// Rounds; the medians are printed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each half of a round with forged webhooks
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    pin(last());
    let wonder = SigningKey::from_pem(key::pem("rsa2048-pkcs1").as_bytes()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("webhook.pem"), wonder.verifying_key().to_pem().unwrap()).unwrap();
    let server = answering();
    println!("load of this machine: {}", fs::read_to_string("/proc/loadavg").unwrap().trim());
    deliveries(&options, &wonder, directory.path(), server);
    flood(&options, &wonder, directory.path(), server);
    println!("load of this machine: {}", fs::read_to_string("/proc/loadavg").unwrap().trim());
}

/// Processor time of a delivery, of the same request through nginx, and of a bare verification.
fn deliveries(options: &Options, wonder: &SigningKey, directory: &Path, application: SocketAddr) {
    let sidecar = Sidecar::start(&options.binary, directory, application);
    let nginx = Nginx::start(directory, application);
    let [mut whole, mut plain, mut phase, mut bare] = [const { Vec::new() }; 4];
    for _ in 0..options.rounds {
        let messages: Vec<Vec<u8>> = (0..options.deliveries).map(|_| delivery(wonder)).collect();
        let verified = sidecar.verifications();
        whole.push(used(sidecar.child.id(), || send(sidecar.webhook, &messages)) / messages.len() as f64);
        let (count, seconds) = sidecar.verifications();
        phase.push((seconds - verified.1) * 1e6 / (count - verified.0));
        if let Some(nginx) = &nginx {
            plain.push(used(nginx.worker, || send(nginx.address, &messages)) / messages.len() as f64);
        }
        bare.push(bare_verification());
    }
    let [whole, plain, phase, bare] = [whole, plain, phase, bare].map(median);
    println!("a delivery of {BODY} bytes, {CONNECTIONS} connections: {whole:.1} µs of processor time");
    println!("its verification and headers (phase \"verify\", by the clock): {phase:.1} µs");
    println!("a bare RSA verification: {bare:.1} µs; the phase is {:.2} of it", phase / bare);
    if nginx.is_some() {
        println!("through an nginx that only forwards: {plain:.1} µs; the sidecar takes {:.1} µs more", whole - plain);
    }
}

/// The delay of requests to Wonder with and without forged webhooks.
fn flood(options: &Options, wonder: &SigningKey, directory: &Path, upstream: SocketAddr) {
    let sidecar = Sidecar::start(&options.binary, directory, upstream);
    let (mut quiet, mut flooded, mut sent) = (Vec::new(), Vec::new(), 0);
    for _ in 0..options.rounds {
        quiet.push(p99(calls(sidecar.listen, options.seconds)));
        let over = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                // Well-formed, for the right AppID, and of the right length: it costs an RSA verification.
                let mut forged = delivery(wonder);
                let at = forged.len() - 1;
                forged[at] ^= 1;
                let (over, count, address) = (Arc::clone(&over), Arc::clone(&count), sidecar.webhook);
                thread::spawn(move || {
                    let mut connection = Connection::open(address);
                    let pace = Duration::from_secs(1) * u32::try_from(CONNECTIONS).unwrap() / FORGED;
                    let mut next = Instant::now();
                    while !over.load(Ordering::Relaxed) {
                        next += pace;
                        thread::sleep(next.saturating_duration_since(Instant::now()));
                        assert_eq!(connection.exchange(&forged), 401);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        flooded.push(p99(calls(sidecar.listen, options.seconds)));
        over.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().unwrap();
        }
        sent += count.load(Ordering::Relaxed);
    }
    let rate = sent / (options.seconds * options.rounds as u64);
    let rises: Vec<f64> = quiet.iter().zip(&flooded).map(|(quiet, flooded)| flooded - quiet).collect();
    println!(
        "{CALLS} requests to Wonder a second, p99: {:.2} ms alone, {:.2} ms with {rate} forged webhooks a second; rise {:.2} ms (rounds: {})",
        median(quiet),
        median(flooded),
        median(rises.clone()),
        rises.iter().map(|rise| format!("{rise:.2}")).collect::<Vec<_>>().join(", ")
    );
}

/// One signed delivery as it is sent.
fn delivery(wonder: &SigningKey) -> Vec<u8> {
    let app_id: AppId = key::APP_ID.parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let stamp =
        Stamp { request_time: RequestTime::from_unix_seconds(now), nonce: Nonce::generate(&mut rand::thread_rng()) };
    let start = r#"{"number":"93000120417","state":"completed","correspondence_state":"paid","note":""#;
    let body = format!("{start}{}\"}}", "x".repeat(BODY - start.len() - 2));
    let signed = webhook::sign(wonder, &app_id, &stamp, "/hooks/wonder?src=w", &[&body]).unwrap();
    format!(
        "POST /hooks/wonder?src=w HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nCredential: {}\r\nNonce: {}\r\n\
         Signature: {}\r\nX-Action: order.paid\r\nContent-Length: {}\r\n\r\n{body}",
        signed.credential,
        signed.nonce,
        signed.signature,
        body.len()
    )
    .into_bytes()
}

/// Microseconds of a bare verification on the sidecar's processor.
fn bare_verification() -> f64 {
    const TIMES: u32 = 4000;
    use aws_lc_rs::{encoding::AsDer as _, rand::SystemRandom, rsa::PublicKey, signature};
    let pair = key::pair(&key::pem("rsa2048-pkcs8"));
    let public: PublicKey = aws_lc_rs::signature::KeyPair::public_key(&pair).clone();
    let public =
        signature::ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public.as_der().unwrap().as_ref())
            .unwrap();
    let mut signed = vec![0; pair.public_modulus_len()];
    let message = [b'a'; 64];
    pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signed).unwrap();
    pin(0);
    let began = own_time();
    for _ in 0..TIMES {
        assert!(public.verify_sig(&message, &signed).is_ok());
    }
    let took = own_time() - began;
    pin(last());
    took.as_secs_f64() * 1e6 / f64::from(TIMES)
}

fn own_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Sends all messages over [`CONNECTIONS`] connections and waits for their answers.
fn send(address: SocketAddr, messages: &[Vec<u8>]) {
    thread::scope(|scope| {
        for part in messages.chunks(messages.len().div_ceil(CONNECTIONS)) {
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                for message in part {
                    assert_eq!(connection.exchange(message), 200);
                }
            });
        }
    });
}

/// The times of requests to Wonder in milliseconds, [`CALLS`] a second.
fn calls(address: SocketAddr, seconds: u64) -> Vec<f64> {
    let mut connection = Connection::open(address);
    let message = b"POST /svc/payment/api/v1/openapi/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    let start = Instant::now();
    (0..CALLS * u32::try_from(seconds).unwrap())
        .map(|number| {
            let due = start + Duration::from_secs(1) * number / CALLS;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            assert_eq!(connection.exchange(message), 200);
            // A late answer delays the next request, whose time therefore begins when it was due.
            due.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Microseconds of processor time that a process uses for `work`.
fn used(pid: u32, work: impl FnOnce()) -> f64 {
    let before = processor_time(pid);
    work();
    (processor_time(pid) - before).as_secs_f64() * 1e6
}
