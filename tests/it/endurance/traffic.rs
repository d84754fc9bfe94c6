//! Calling services and a faulty upstream, both driven by a seed.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{io::AsyncWriteExt as _, time::timeout};

use crate::support::{
    caller::{Caller, Outcome},
    faults::{Builder, Early, Fault, Turn, Upstream, Welcome},
    strict::find,
    wire::{OK, request},
};

/// How much goes wrong, in percent of requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) upstream: u32,
    pub(super) hang_ups: u32,
}

/// An upstream whose faults follow from `seed`, the connection's number and the request's number.
pub(super) fn upstream(seed: u64, trouble: Trouble) -> Builder {
    Upstream::builder()
        .forgetful()
        .door(move |connection| {
            let mut random = random(seed, connection, usize::MAX);
            if random.gen_range(0..100) >= trouble.upstream / 4 {
                Welcome::Serve
            } else if random.r#gen() {
                Welcome::Reset
            } else {
                Welcome::Close
            }
        })
        .plan(move |Turn { connection, request }| {
            let mut random = random(seed, connection, request);
            if random.gen_range(0..100) < trouble.upstream {
                fault(&mut random)
            } else {
                Fault::Answer(answer(&mut random))
            }
        })
}

fn random(seed: u64, connection: usize, request: usize) -> StdRng {
    let mut bytes = [0; 32];
    for (place, number) in bytes.chunks_exact_mut(8).zip([seed, connection as u64, request as u64]) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    StdRng::from_seed(bytes)
}

fn fault(random: &mut StdRng) -> Fault {
    let whole = answer(random);
    let part = whole[..place(random, &whole)].to_vec();
    match random.gen_range(0..21) {
        0..=3 => Fault::AnswerThenClose(whole),
        4..=5 => Fault::AnswerThenReset(whole),
        6..=7 => Fault::AnswerThenReset(Vec::new()),
        8..=9 => Fault::AnswerThenReset(part),
        10..=11 => Fault::AnswerThenClose(part),
        12..=14 => Fault::ResetAfterRequest(random.gen_range(0..2000)),
        15..=16 => Fault::AnswerThenCloseOnNextByte { answer: whole, read: random.r#gen() },
        17 => Fault::AnswerEarly(OK.to_vec(), if random.r#gen() { Early::Keep } else { Early::Close }),
        18 => Fault::AnswerThenClose(b"\x15\x03\x01\0\x02\x02\x28".to_vec()),
        19 => Fault::AnswerThenClose(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
        _ => Fault::Stall(part),
    }
}

/// The point at which an answer breaks: before it, in its head, right after its head, soon after, or anywhere.
fn place(random: &mut StdRng, whole: &[u8]) -> usize {
    let head = find(whole, b"\r\n\r\n").unwrap() + 4;
    match random.gen_range(0..5) {
        0 => 0,
        1 => random.gen_range(1..head),
        2 => head,
        3 => (head + random.gen_range(1..20)).min(whole.len() - 1),
        _ => random.gen_range(0..whole.len()),
    }
}

/// With a length or in chunks, from nothing to some 100 KiB.
fn answer(random: &mut StdRng) -> Vec<u8> {
    let size = 1_usize << random.gen_range(0..18);
    let body = vec![b'a'; random.gen_range(0..size)];
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    if random.r#gen() || body.is_empty() {
        [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
    } else {
        [format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"]
            .concat()
    }
}

/// The outcome of each request, by id; `None` if the caller disconnected.
pub(super) type Outcomes = BTreeMap<String, Option<Outcome>>;

/// Services that call one sidecar.
pub(super) struct Callers {
    pub(super) sidecar: SocketAddr,
    pub(super) seed: u64,
    pub(super) trouble: Trouble,
    /// Requests so far.
    pub(super) count: AtomicUsize,
    /// Their outcomes, if the run keeps them.
    pub(super) outcomes: Option<Mutex<Outcomes>>,
}

impl Callers {
    /// Repeatedly opens a connection, sends some requests and closes it, while `go_on` returns true; `go_on` is called before each
    /// request with its number.
    pub(super) async fn work(self: Arc<Self>, worker: usize, go_on: impl Fn(usize) -> BoxFuture<'static, bool>) {
        let mut random = random(self.seed, worker, usize::MAX - 1);
        'connections: loop {
            let mut caller = Caller::connect(self.sidecar).await;
            for _ in 0..random.gen_range(1..40) {
                let number = self.count.fetch_add(1, Ordering::SeqCst);
                if !go_on(number).await {
                    return;
                }
                let id = format!("r-{number}");
                let bytes = call(&mut random, &id);
                if random.gen_range(0..100) < self.trouble.hang_ups {
                    // Within the request, or some time after it.
                    let some = if random.r#gen() { bytes.len() } else { random.gen_range(0..bytes.len()) };
                    let _ = caller.stream().write_all(&bytes[..some]).await;
                    let patience = Duration::from_micros(random.gen_range(0..3000));
                    let _ = timeout(patience, caller.stream().readable()).await;
                    self.enter(id, None);
                    continue 'connections;
                }
                let outcome = caller.ask(&bytes).await;
                let usable = matches!(outcome, Outcome::Forwarded { whole: true, .. } | Outcome::Rejected { .. });
                self.enter(id, Some(outcome));
                if !usable {
                    continue 'connections;
                }
            }
        }
    }

    fn enter(&self, id: String, outcome: Option<Outcome>) {
        if let Some(outcomes) = &self.outcomes {
            // The body of an answer is not used again.
            let outcome = outcome.map(|outcome| match outcome {
                Outcome::Forwarded { status, whole, .. } => Outcome::Forwarded { status, whole, body: Vec::new() },
                other => other,
            });
            outcomes.lock().unwrap().insert(id, outcome);
        }
    }
}

fn call(random: &mut StdRng, id: &str) -> Vec<u8> {
    let size = 1_usize << random.gen_range(0..16);
    let body = vec![b'b'; random.gen_range(0..size)];
    let target = format!("/svc/payment/api/v1/openapi/orders/{}", random.gen_range(0..1000));
    let id = ("X-Request-ID", id);
    if body.is_empty() {
        return request("GET", &target, &[id], b"");
    }
    if random.gen_range(0..4) > 0 {
        return request("POST", &target, &[id], &body);
    }
    let head = request("POST", &target, &[id, ("Transfer-Encoding", "chunked")], b"");
    let half = body.len() / 2;
    let mut bytes = head;
    for part in [&body[..half], &body[half..]].into_iter().filter(|part| !part.is_empty()) {
        bytes.extend(format!("{:x}\r\n", part.len()).into_bytes());
        bytes.extend_from_slice(part);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}
