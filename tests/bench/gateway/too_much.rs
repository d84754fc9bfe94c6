//! Twice the sidecar's capacity: latency of served requests, number of rejected ones, and latency of probes.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Options,
    child::{Kind, Sidecar},
    load::{self, Case, Outcome, Pace},
    upstream::Upstream,
};

/// Measures without load, at capacity and at twice the capacity, and prints a table.
pub fn measure(options: &Options, upstream: &Upstream, workers: usize) {
    let sidecar = Sidecar::start(Kind::Signing, workers, upstream, options);
    println!(
        "| workers | key | load | answered/s | refused/s | p50 ms | p99 ms | small GETs: p50 ms | p99 ms \
         | /livez: p50 ms | p99 ms |\n|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let run = |load: &str, connections, pace| {
        let case = Case { name: "overload", method: "POST", body: 512, connections, pace };
        let probe = Probe::start(sidecar.admin(), "/livez");
        let small = Probe::start(sidecar.address(), "/svc/payment/api/v1/openapi/customers");
        let outcome = during(&case, &sidecar, options.seconds);
        let (probe, small) = (probe.end().quantiles(), small.end().quantiles());
        let per_second = |count: usize| count as f64 / options.seconds;
        let [p50, _, p99, _] = outcome.quantiles();
        let answered = per_second(outcome.latencies.len());
        println!(
            "| {workers} | {} | {load} | {answered:.0} | {:.0} | {p50:.1} | {p99:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            options.key,
            per_second(outcome.failures),
            small[0],
            small[2],
            probe[0],
            probe[2],
        );
        answered
    };
    run("one at a time", 1, Pace::Closed);
    // Few enough never to be rejected, many enough to keep the sidecar busy.
    let capacity = run("at capacity", 16, Pace::Closed);
    run("half the capacity", 512, Pace::PerSecond((capacity / 2.0) as u32));
    run("twice that", 900, Pace::PerSecond((capacity * 2.0) as u32));
}

fn during(case: &Case, sidecar: &Sidecar, seconds: f64) -> Outcome {
    let load = load::start(case, sidecar.address());
    thread::sleep(Duration::from_secs_f64(seconds / 2.0));
    load.begin();
    thread::sleep(Duration::from_secs_f64(seconds));
    load.end()
}

/// Requests a path repeatedly, ten milliseconds after each answer.
struct Probe {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Outcome>,
}

impl Probe {
    fn start(address: SocketAddr, path: &'static str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut outcome = Outcome::default();
            while !seen.load(Ordering::Relaxed) {
                let began = Instant::now();
                match ask(address, path) {
                    Ok(true) => outcome.latencies.push(began.elapsed()),
                    _ => outcome.failures += 1,
                }
                thread::sleep(Duration::from_millis(10));
            }
            outcome
        });
        Self { over, thread }
    }

    fn end(self) -> Outcome {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
