//! Half an hour at a moderate rate, while connections open and close on both sides.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::interval};

use super::{
    setting,
    traffic::{self, Callers, Trouble},
};
use crate::support::process::Process;

const WORKERS: usize = 16;
const SAMPLE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour; tests/soak.sh runs it"]
async fn memory_descriptors_and_threads_do_not_grow_over_time() {
    let time = Duration::from_secs(setting("SOAK_SECONDS", 1800));
    let rate = setting("SOAK_RATE", 100);
    let trouble = Trouble { upstream: 10, hang_ups: 2 };
    let upstream = traffic::upstream(1, trouble).start().await;
    let settings = "[timeouts]\nresponse_head = \"1s\"\nresponse_idle = \"1s\"\n";
    let program = Process::start(&upstream.origin(), settings).await;
    let callers =
        Arc::new(Callers { sidecar: program.listen, seed: 1, trouble, count: AtomicUsize::new(0), outcomes: None });
    let began = Instant::now();
    let pace = Arc::new(Mutex::new(interval(Duration::from_secs(1) / u32::try_from(rate).unwrap())));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let pace = Arc::clone(&pace);
        workers.spawn(Arc::clone(&callers).work(worker, move |_| {
            let pace = Arc::clone(&pace);
            Box::pin(async move {
                pace.lock().await.tick().await;
                began.elapsed() < time
            })
        }));
    }
    eprintln!("{rate} requests/s for {time:?}, {WORKERS} callers, trouble {trouble:?}\n");
    eprintln!("| s | requests | resident KiB | peak KiB | descriptors | threads | upstream connections |");
    eprintln!("|---|---|---|---|---|---|---|");
    let mut samples = Vec::new();
    let mut tick = interval(SAMPLE);
    while began.elapsed() < time {
        tick.tick().await;
        let held = program.held();
        let (at, count) = (began.elapsed().as_secs(), callers.count.load(std::sync::atomic::Ordering::Relaxed));
        let (memory, peak, descriptors) = (held.memory, held.peak, held.descriptors);
        eprintln!("| {at} | {count} | {memory} | {peak} | {descriptors} | {} | {} |", held.threads, upstream.open());
        samples.push((at, held));
    }
    workers.join_all().await;
    let (code, _) = program.stop().await;
    assert_eq!(code, Some(0));

    // Flat: after two minutes nothing may grow by more than a small margin.
    let most = |from: u64, to: u64, of: fn(&crate::support::process::Held) -> usize| {
        samples.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, held)| of(held)).max().unwrap_or(0)
    };
    for (what, of, slack) in [
        ("KiB of memory", (|held| held.memory) as fn(&crate::support::process::Held) -> usize, 4096),
        ("descriptors", |held| held.descriptors, 2 * WORKERS),
    ] {
        let (early, late) = (most(30, 150, of), most(150, u64::MAX, of));
        eprintln!("most {what}: {early} from 30 s to 150 s, {late} after");
        assert!(late <= early + slack, "{late} {what}, after {early}");
    }
}
