//! The load: requests as a service sends them, over kept connections.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex, mpsc},
    task::LocalSet,
};

/// The pace of requests.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Each connection sends its next request after the answer to the last.
    Closed,
    /// So many a second, independent of the answers. Latency is measured from the time at which a request was due.
    PerSecond(u32),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub method: &'static str,
    pub body: usize,
    pub connections: usize,
    pub pace: Pace,
}

const fn closed(name: &'static str, method: &'static str, body: usize, connections: usize) -> Case {
    Case { name, method, body, connections, pace: Pace::Closed }
}

pub const CASES: &[Case] = &[
    closed("post-512-c1", "POST", 512, 1),
    closed("post-512-c16", "POST", 512, 16),
    closed("post-512-c64", "POST", 512, 64),
    closed("post-512-c256", "POST", 512, 256),
    closed("get-c1", "GET", 0, 1),
    closed("get-c16", "GET", 0, 16),
    closed("post-16k-c16", "POST", 16 * 1024, 16),
    closed("post-256k-c16", "POST", 256 * 1024, 16),
    Case { name: "post-512-500/s", method: "POST", body: 512, connections: 64, pace: Pace::PerSecond(500) },
];

/// The bytes of one request.
pub fn request(method: &str, body: usize, last: bool) -> Vec<u8> {
    let mut text = format!(
        "{method} /svc/payment/api/v1/openapi/customers HTTP/1.1\r\n\
         Host: 127.0.0.1:8080\r\nUser-Agent: okhttp/4.12.0\r\nAccept: application/json\r\n\
         X-Request-ID: 3f1d0a52-4c1e-4c7d-9f63-0f0a4a6e7c11\r\n\
         Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
    );
    if last {
        text.push_str("Connection: close\r\n");
    }
    if body > 0 {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {body}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes
}

/// The results.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Latencies of the answers with status 200.
    pub latencies: Vec<Duration>,
    /// Answers with another status.
    pub failures: usize,
}

impl Outcome {
    /// p50, p90, p99 and p99.9, in milliseconds.
    pub fn quantiles(&self) -> [f64; 4] {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        [0.5, 0.9, 0.99, 0.999].map(|quantile| {
            let place = (sorted.len() as f64 * quantile) as usize;
            sorted.get(place.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |found| found.as_secs_f64() * 1e3)
        })
    }
}

const WARMING: u8 = 0;
const COUNTING: u8 = 1;
const OVER: u8 = 2;

/// A running load.
pub struct Load {
    phase: Arc<AtomicU8>,
    thread: JoinHandle<Outcome>,
}

/// Starts the warm-up.
pub fn start(case: &Case, address: SocketAddr) -> Load {
    let (case, phase) = (*case, Arc::new(AtomicU8::new(WARMING)));
    let seen = Arc::clone(&phase);
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, drive(case, address, seen))
    });
    Load { phase, thread }
}

impl Load {
    /// Starts counting.
    pub fn begin(&self) {
        self.phase.store(COUNTING, Ordering::SeqCst);
    }

    /// Stops without waiting for outstanding answers.
    pub fn end(self) -> Outcome {
        self.phase.store(OVER, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

async fn drive(case: Case, address: SocketAddr, phase: Arc<AtomicU8>) -> Outcome {
    let request: Rc<[u8]> = request(case.method, case.body, false).into();
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let due = match case.pace {
        Pace::Closed => None,
        Pace::PerSecond(rate) => Some(Rc::new(Mutex::new(clockwork(rate, Arc::clone(&phase))))),
    };
    let tasks = (0..case.connections).map(|_| {
        let (request, outcome, phase, due) = (request.clone(), outcome.clone(), phase.clone(), due.clone());
        tokio::task::spawn_local(async move {
            let mut connection = Connection::open(address).await;
            while phase.load(Ordering::Relaxed) != OVER {
                let began = match &due {
                    None => Instant::now(),
                    Some(due) => match due.lock().await.recv().await {
                        Some(began) => began,
                        None => break,
                    },
                };
                let ok = connection.exchange(&request).await;
                if phase.load(Ordering::Relaxed) == COUNTING {
                    let mut outcome = outcome.borrow_mut();
                    if ok { outcome.latencies.push(began.elapsed()) } else { outcome.failures += 1 }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    outcome.take()
}

/// A thread that signals when each request is due, because the runtime's timers have millisecond resolution.
fn clockwork(rate: u32, phase: Arc<AtomicU8>) -> mpsc::UnboundedReceiver<Instant> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let mut due = Instant::now();
        while phase.load(Ordering::Relaxed) != OVER {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = sender.send(due);
            due += Duration::from_secs(1) / rate;
        }
    });
    receiver
}

struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { address, stream, buffer: Vec::with_capacity(4096) }
    }

    /// Sends one request, reads the whole answer, and returns whether its status was 200. Opens a new connection if the old
    /// one has closed.
    async fn exchange(&mut self, request: &[u8]) -> bool {
        match self.answer(request).await {
            Ok((ok, keep)) => {
                if !keep {
                    *self = Self::open(self.address).await;
                }
                ok
            }
            Err(_) => {
                *self = Self::open(self.address).await;
                false
            }
        }
    }

    async fn answer(&mut self, request: &[u8]) -> std::io::Result<(bool, bool)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.read().await?;
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head]).unwrap();
        let value = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
        };
        let length: usize = value("content-length").map_or(0, |length| length.parse().unwrap());
        let outcome = (text.starts_with("HTTP/1.1 200"), value("connection") != Some("close"));
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        Ok(outcome)
    }

    async fn read(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
