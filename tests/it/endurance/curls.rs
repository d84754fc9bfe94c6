//! The same faults with callers that may retry by themselves: `curl` processes, each with many calls on kept connections.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::{process::Command, task::JoinSet};

use super::{
    chaos::SETTINGS,
    setting,
    traffic::{self, Trouble},
};
use crate::support::process::Process;

/// Processes at a time, and calls of each.
const PROCESSES: usize = 8;
const CALLS: u64 = 25;

/// curl's report of each call: status, code, `sent`, its own exit code, and how many connections it opened.
const REPORT: &str =
    "%{http_code} %header{x-wonder-signer-error} %header{x-wonder-signer-sent} exit %{exitcode} %{num_connects}\\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and needs curl; tests/chaos.sh runs it"]
async fn no_call_of_curl_arrives_twice_in_a_storm() {
    let (seed, calls) = (setting("CHAOS_SEED", 20_261_120), setting("CHAOS_CURLS", 20_000));
    let upstream = traffic::upstream(seed, Trouble { upstream: 40, hang_ups: 0 }).start().await;
    let program = Process::start(&upstream.origin(), SETTINGS).await;
    let (origin, began) = (format!("http://{}", program.listen), Instant::now());
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..PROCESSES {
        let (origin, next) = (origin.clone(), Arc::clone(&next));
        workers.spawn(async move {
            let mut reports = Vec::new();
            loop {
                let first = next.fetch_add(CALLS, Ordering::Relaxed);
                if first >= calls {
                    return reports;
                }
                reports.extend(curl(&origin, first..first + CALLS).await);
            }
        });
    }
    let reports: BTreeMap<String, String> = workers.join_all().await.into_iter().flatten().collect();
    let took = began.elapsed().as_secs_f64();
    let (entries, mut table) = (upstream.entries(), BTreeMap::<_, [usize; 2]>::new());
    let mut reused = 0;
    for (id, report) in &reports {
        let entry = entries.get(id).cloned().unwrap_or_default();
        assert!(entry.whole <= 1 && entry.begun <= 1, "{id}: {report}, but {entry:?}");
        assert!(!report.starts_with("000"), "{id}: {report}: an empty reply");
        assert!(!report.contains(" no exit") || entry.begun == 0, "{id}: {report}, but {entry:?}");
        let (outcome, connects) = report.rsplit_once(' ').unwrap();
        reused += usize::from(connects == "0");
        let row = table.entry(outcome).or_default();
        row[0] += 1;
        row[1] += entry.begun;
    }
    assert!(entries.keys().all(|id| reports.contains_key(id)));
    eprintln!("\n{} calls of curl, {reused} on a kept connection, seed {seed}, {took:.1} s\n", reports.len());
    eprintln!("| curl got | calls | of which some arrived |\n|---|---|---|");
    for (outcome, [count, begun]) in table {
        eprintln!("| {outcome} | {count} | {begun} |");
    }
}

/// One process; its reports, by id.
async fn curl(origin: &str, numbers: std::ops::Range<u64>) -> Vec<(String, String)> {
    let mut command = Command::new("curl");
    command.arg("--disable").stdout(Stdio::piped());
    let ids: Vec<_> = numbers.map(|number| format!("c-{number}")).collect();
    for id in &ids {
        if id != &ids[0] {
            command.arg("--next");
        }
        command.args(["--silent", "--http1.1", "--retry", "0", "--max-time", "60", "--output", "/dev/null"]);
        command.args(["--data", "{\"amount\":1}", "--write-out", REPORT]);
        command.args(["--header", "Content-Type: application/json", "--header"]);
        command.arg(format!("X-Request-ID: {id}")).arg(format!("{origin}/svc/payment/api/v1/openapi/orders/{id}"));
    }
    let output = command.output().await.expect("curl");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), ids.len(), "{text}");
    ids.into_iter().zip(text.lines().map(str::to_owned)).collect()
}
