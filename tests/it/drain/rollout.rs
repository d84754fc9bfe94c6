//! Instances are replaced one after the other, as a Deployment does it, while callers keep their connections and keep sending.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::watch};

use crate::support::{
    patience::soon,
    process::Process,
    upstream::Recorder,
    wire::{read_message, request},
};

const CALLERS: usize = 16;
const REQUESTS: usize = 10_000;
/// How many requests are answered after SIGTERM before callers get the new address.
const LAG: usize = 50;

#[derive(Default)]
struct Tally {
    sent: AtomicUsize,
    answered: AtomicUsize,
    lost: AtomicUsize,
}

/// Sends requests in sequence, and opens a new connection after an answer with `Connection: close` or when the old one has closed.
async fn call(endpoint: watch::Receiver<SocketAddr>, tally: Arc<Tally>) {
    let bytes = request("POST", "/svc/payment/api/v1/openapi/customers", &[], b"{}");
    let mut kept = None;
    while tally.sent.load(Ordering::Relaxed) < REQUESTS {
        let mut stream = if let Some(stream) = kept.take() {
            stream
        } else {
            let address = *endpoint.borrow();
            // A refused connection carries no request, so none is lost.
            let Ok(stream) = TcpStream::connect(address).await else { continue };
            stream
        };
        tally.sent.fetch_add(1, Ordering::Relaxed);
        let written = stream.write_all(&bytes).await.is_ok();
        match read_message(&mut stream, false).await.filter(|_| written) {
            Some(answer) => {
                assert_eq!(answer.status(), 200, "{answer:?}");
                tally.answered.fetch_add(1, Ordering::Relaxed);
                kept = (answer.value("connection") != Some("close")).then_some(stream);
            }
            None => _ = tally.lost.fetch_add(1, Ordering::Relaxed),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_10_000_requests_on_kept_connections_none_is_lost_in_rollouts() {
    let upstream = Recorder::start().await;
    let origin = upstream.origin();
    // On a busy machine a request may wait long for its signature, which is no matter of the rollout.
    let settings = "[shutdown]\ndrain_delay = \"1s\"\n[timeouts]\nsign = \"20s\"\nqueue = \"20s\"\n";
    let start = || Process::start(&origin, settings);
    let mut instance = start().await;
    let (endpoint, endpoints) = watch::channel(instance.listen);
    let tally = Arc::new(Tally::default());
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(call(endpoints.clone(), Arc::clone(&tally)))).collect();
    let mut rollouts = 0;
    while tally.sent.load(Ordering::Relaxed) < REQUESTS {
        let next = start().await;
        let (next_address, answered) = (next.listen, tally.answered.load(Ordering::Relaxed));
        let ending = tokio::spawn(std::mem::replace(&mut instance, next).terminate());
        soon(async {
            while tally.answered.load(Ordering::Relaxed) < answered + LAG && !ending.is_finished() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        endpoint.send_replace(next_address);
        let (code, lines) = ending.await.unwrap();
        assert_eq!(code, Some(0));
        assert!(lines.values().all(|line| line.error.is_none()), "{lines:?}");
        rollouts += 1;
    }
    for caller in callers {
        soon(caller).await.unwrap();
    }
    let [sent, answered, lost] = [&tally.sent, &tally.answered, &tally.lost].map(|count| count.load(Ordering::Relaxed));
    eprintln!("{rollouts} rollouts, {sent} sent, {answered} answered, {lost} lost");
    assert_eq!((lost, answered, rollouts > 1), (0, sent, true), "{rollouts} rollouts");
}
