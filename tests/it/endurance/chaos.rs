//! An upstream that closes and resets connections at random points.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    setting,
    traffic::{self, Callers, Trouble},
};
use crate::support::{caller::Outcome, process::Process};

const WORKERS: usize = 32;
pub(super) const SETTINGS: &str =
    "[upstream]\npool_idle = \"1s\"\n[timeouts]\nresponse_head = \"250ms\"\nresponse_idle = \"250ms\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_and_its_sent_are_true_in_a_short_storm() {
    storm(setting("CHAOS_REQUESTS", 500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; tests/chaos.sh runs it"]
async fn every_answer_and_its_sent_are_true_in_a_long_storm() {
    storm(setting("CHAOS_REQUESTS", 100_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_agrees_with_the_answers() {
    assert_eq!(storm(setting("CHAOS_REQUESTS", 500)).await, [""; 0]);
}

/// Returns where log and answer contradict each other.
async fn storm(requests: u64) -> Vec<String> {
    let seed = setting("CHAOS_SEED", 20_261_120);
    let trouble = Trouble { upstream: 40, hang_ups: 5 };
    let upstream = traffic::upstream(seed, trouble).start().await;
    let program = Process::start(&upstream.origin(), SETTINGS).await;
    let callers = Arc::new(Callers {
        sidecar: program.listen,
        seed,
        trouble,
        count: AtomicUsize::new(0),
        outcomes: Some(Mutex::default()),
    });
    let began = Instant::now();
    let mut early = None;
    for limit in [requests / 10, requests] {
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            workers.spawn(
                Arc::clone(&callers).work(worker, move |number| Box::pin(std::future::ready((number as u64) < limit))),
            );
        }
        workers.join_all().await;
        callers.count.store(usize::try_from(limit).unwrap(), Ordering::SeqCst);
        // Idle upstream connections close after pool_idle, those of callers with the callers.
        upstream.until_open_at_most(0).await;
        settled(&program).await;
        early.get_or_insert(program.held());
    }
    let took = began.elapsed();
    let (early, late) = (early.unwrap(), program.held());
    let again = program.metric("wonder_signer_upstream_connect_retries_total").await;
    let (code, log) = program.stop().await;

    let outcomes = std::mem::take(&mut *callers.outcomes.as_ref().unwrap().lock().unwrap());
    let (entries, mut table) = (upstream.entries(), BTreeMap::<_, [usize; 3]>::new());
    let mut contradictions = Vec::new();
    assert_eq!(upstream.ambiguous(), [""; 0]);
    assert_eq!(code, Some(0));
    for (id, entry) in &entries {
        assert!(outcomes.contains_key(id), "{id} was never sent");
        assert!(entry.whole <= 1 && entry.begun <= 1, "{id}: {entry:?}");
    }
    for (id, outcome) in &outcomes {
        let entry = entries.get(id).cloned().unwrap_or_default();
        let text = outcome.as_ref().map_or_else(|| "(hung up)".to_owned(), Outcome::text);
        let row = table.entry(text.clone()).or_default();
        row[0] += 1;
        row[1] += entry.begun;
        row[2] += entry.whole;
        match outcome {
            Some(Outcome::Rejected { code, sent, .. }) => {
                assert!(sent != "no" || entry.begun == 0, "{id}: {text}, but {entry:?}");
                let line = log.get(id).unwrap_or_else(|| panic!("{id} is not in the log"));
                if (line.error.as_deref(), &line.sent) != (Some(&**code), sent) {
                    contradictions.push(format!("{id}: {text}, but in the log {line:?}"));
                }
            }
            Some(Outcome::Forwarded { .. }) => assert_eq!(entry.begun, 1, "{id}: {text}"),
            Some(Outcome::Closed) => {
                let line = log.get(id).unwrap_or_else(|| panic!("{id} is not in the log"));
                assert!(line.sent != "no" || entry.begun == 0, "{id}: {line:?}, but {entry:?}");
            }
            Some(Outcome::Bare { .. } | Outcome::Hung) => panic!("{id}: {text}"),
            None => {
                let unsent = log.get(id).is_some_and(|line| line.sent == "no");
                assert!(!unsent || entry.begun == 0, "{id}: logged as unsent, but {entry:?}");
            }
        }
    }
    eprintln!(
        "\n{} requests, seed {seed}, {WORKERS} callers, {:.1} s, {} upstream connections, {again} second attempts\n",
        outcomes.len(),
        took.as_secs_f64(),
        upstream.connections()
    );
    eprintln!("| the caller got | requests | of which some arrived | of which all arrived |\n|---|---|---|---|");
    for (text, [count, begun, whole]) in table {
        eprintln!("| {text} | {count} | {begun} | {whole} |");
    }
    eprintln!("\n| at rest | resident KiB | descriptors | threads |\n|---|---|---|---|");
    for (when, held) in [("after a tenth", early), ("at the end", late)] {
        eprintln!("| {when} | {} | {} | {} |", held.memory, held.descriptors, held.threads);
    }
    // One or two may belong to the connection of the last metrics request.
    assert!(late.descriptors <= early.descriptors + 2, "descriptors leak: {early:?}, then {late:?}");
    assert!(late.memory < early.memory + 8 * 1024, "memory leaks: {early:?}, then {late:?}");
    contradictions
}

/// Waits until every request is over and the sidecar has closed every caller's connection.
async fn settled(program: &Process) {
    // No event is visible from outside, so this reads the number of descriptors until it stays the same.
    let (mut last, mut same) = (0, 0);
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while same < 5 {
        tick.tick().await;
        let busy = program.metric("wonder_signer_requests_in_flight").await > 0.0;
        let held = program.held().descriptors;
        same = if held == last && !busy { same + 1 } else { 0 };
        last = held;
    }
}
