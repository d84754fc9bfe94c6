//! The simulator under load: start, verified order calls a second on one processor, memory with many orders.
//!
//! The built program runs on the first processor and the callers on the last. Every request is signed beforehand, so the first
//! processor does only the simulator's work.
//!
//! ```sh
//! cargo bench --bench simulator
//! ```
//!
//! `--binary PATH` measures another build, `--orders N` another number of orders, `--state` with a state file.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::match_wild_err_arm,
    clippy::unchecked_time_subtraction,
    reason = "a benchmark that cannot run has nothing to report"
)]

#[path = "support/key.rs"]
mod key;
#[path = "support/machine.rs"]
mod machine;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use clap::Parser;
use wonder_signer::signing::{AppId, Nonce, RequestTime, SigningKey, Stamp, sign};

use self::machine::{last, pin, processor_time};

const P: &str = "/svc/payment/api/v1/openapi";
const CONNECTIONS: usize = 8;
const STARTS: usize = 11;

#[derive(Parser)]
struct Options {
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_wonder-signer"))]
    binary: PathBuf,
    /// The number of orders at the end
    #[arg(long, default_value_t = 100_000)]
    orders: usize,
    /// The number of orders created and checked for the rate
    #[arg(long, default_value_t = 10_000)]
    rate: usize,
    /// Keep the state in a file
    #[arg(long)]
    state: bool,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let key = SigningKey::from_pem(key::pem("rsa2048-pkcs8").as_bytes()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let public = directory.path().join("public_key.pem");
    fs::write(&public, key.verifying_key().to_pem().unwrap()).unwrap();

    let mut starts: Vec<Duration> =
        (0..STARTS).map(|_| Simulator::start(&options, &public, directory.path()).took).collect();
    starts.sort();
    println!(
        "start until the ready file exists, plain HTTP: median {:.1} ms, most {:.1} ms",
        ms(starts[STARTS / 2]),
        ms(starts[STARTS - 1])
    );

    let calls = signed(&key, 0..options.rate, true);
    let more = signed(&key, options.rate..options.orders, false);
    let simulator = Simulator::start(&options, &public, directory.path());
    let idle = simulator.memory();
    let (count, used, took) = simulator.take(&calls);
    println!(
        "{count} verified order calls (create with link, check), plain HTTP, one processor: {:.0} a second, {:.0} µs of processor time each",
        f64::from(count) / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / f64::from(count)
    );
    let (_, used, took) = simulator.take(&more);
    println!(
        "{} orders: {:.1} MiB resident ({:.1} MiB without orders); the last {} were created at {:.0} a second, {:.0} µs each",
        options.orders,
        simulator.memory(),
        idle,
        more.len(),
        f64::from(u32::try_from(more.len()).unwrap()) / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / f64::from(u32::try_from(more.len()).unwrap())
    );
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Requests that create these orders and, if `with_check` is set, check each of them.
fn signed(key: &SigningKey, orders: std::ops::Range<usize>, with_check: bool) -> Vec<Vec<u8>> {
    let app_id: AppId = key::APP_ID.parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let request = |target: &str, body: &str| {
        let stamp = Stamp {
            request_time: RequestTime::from_unix_seconds(now),
            nonce: Nonce::generate(&mut rand::thread_rng()),
        };
        let signed = sign(key, &app_id, &stamp, "POST", target, &[body]).unwrap();
        let mut head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
        for (name, value) in
            [("Credential", &signed.credential), ("Nonce", &signed.nonce), ("Signature", &signed.signature)]
        {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let made = orders.flat_map(|number| {
        let body = format!(
            r#"{{"order":{{"reference_number":"shop-{number}","charge_fee":"120.00","currency":"HKD","note":"Order #{number} from the shop","due_date":"2099-12-31","callback_url":"https://shop.example/hooks/wonder?order={number}","redirect_url":"https://shop.example/thanks?order={number}"}}}}"#
        );
        let create = request(&format!("{P}/orders?with_payment_link=true"), &body);
        let check = with_check
            .then(|| request(&format!("{P}/orders/check"), &format!(r#"{{"order":{{"reference_number":"shop-{number}"}}}}"#)));
        [Some(create), check].into_iter().flatten()
    });
    made.collect()
}

struct Simulator {
    child: Child,
    address: SocketAddr,
    took: Duration,
}

impl Simulator {
    /// Starts it on the first processor.
    fn start(options: &Options, public: &Path, directory: &Path) -> Self {
        let ready = directory.join("ready.json");
        let _ = fs::remove_file(&ready);
        pin(0);
        let started = Instant::now();
        let child = Command::new(&options.binary)
            .args(["simulate", "--listen", "127.0.0.1:0", "--app-id", key::APP_ID, "--public-key-file"])
            .arg(public)
            .arg("--ready-file")
            .arg(&ready)
            .args(["--plain"])
            .args(
                options
                    .state
                    .then(|| ["--state".into(), directory.join("state").into_os_string()])
                    .into_iter()
                    .flatten(),
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        pin(last());
        let mut took = started.elapsed();
        let text = loop {
            match fs::read_to_string(&ready) {
                Ok(text) => break text,
                Err(_) if took > Duration::from_secs(20) => panic!("the simulator does not start"),
                Err(_) => thread::sleep(Duration::from_micros(200)),
            }
            took = started.elapsed();
        };
        let ready: serde_json::Value = serde_json::from_str(&text).unwrap();
        Self { child, address: ready["listen"].as_str().unwrap().parse().unwrap(), took: started.elapsed() }
    }

    /// Sends requests in sequence over a few connections. Returns their number, the processor time and the elapsed time.
    fn take(&self, requests: &[Vec<u8>]) -> (u32, Duration, Duration) {
        // A check must follow its order's creation, so each pair uses one connection.
        let share = requests.len().div_ceil(CONNECTIONS).next_multiple_of(2);
        let (before, started) = (self.used(), Instant::now());
        thread::scope(|scope| {
            for requests in requests.chunks(share) {
                scope.spawn(move || exchange(self.address, requests));
            }
        });
        (u32::try_from(requests.len()).unwrap(), self.used() - before, started.elapsed())
    }

    fn used(&self) -> Duration {
        processor_time(self.child.id())
    }

    /// Resident, in MiB.
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exchange(address: SocketAddr, requests: &[Vec<u8>]) {
    let mut writer = TcpStream::connect(address).unwrap();
    writer.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(writer.try_clone().unwrap());
    for request in requests {
        writer.write_all(request).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        assert!(body.starts_with(br#"{"code":200"#), "{}", String::from_utf8_lossy(&body));
    }
}
