//! The runtime of the commands that serve: worker threads, and file descriptors for connections.

use std::{env, future::Future, io, num::NonZero, sync::Mutex, thread};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;

use crate::clock;

/// Runs `work` to completion, with one worker per processor that the machine or the control group grants.
///
/// A single worker runs on this thread. To hand work to another thread costs 5 µs per request, 2 % of an RSA-2048 signature.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    if !clock::has_date() {
        bail!(
            "start: the clock is before 1970 or after 9999; set it (Wonder rejects a request time that is more than 30 minutes off)"
        );
    }
    allow_descriptors();
    let workers = workers();
    let threads = workers + OTHER_THREADS;
    try_threads(threads).with_context(|| {
        format!(
            "start: cannot start {threads} threads; raise the limit of processes (podPidsLimit, pids.max, ulimit -u)"
        )
    })?;
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(workers);
    let runtime = builder.enable_all().build().context("runtime")?;
    let outcome = runtime.block_on(work);
    // A name look-up of the system may still run. Nothing can cancel it, and no task waits for it.
    runtime.shutdown_background();
    Ok(outcome)
}

/// Raises the soft limit of file descriptors to the hard limit.
///
/// The soft limit is 1024 as a rule, for programs that use select(2). With it, callers and Wonder would have some 500 connections each.
fn allow_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = if cfg!(target_vendor = "apple") {
        // setrlimit(2) rejects more than OPEN_MAX there, even if the hard limit is unlimited.
        Some(limit.maximum.map_or(10_240, |maximum| maximum.min(10_240)))
    } else {
        limit.maximum
    };
    // A failure does no harm yet. If descriptors run out later, the listener logs it.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The number of workers: that of the processors, unless tokio's own variable sets another.
fn workers() -> usize {
    let set = env::var("TOKIO_WORKER_THREADS").ok().and_then(|number| number.parse().ok());
    set.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get)
}

/// One thread for the admin listener, and one for the system's name look-up.
const OTHER_THREADS: usize = 2;

/// Starts that many threads at once and ends them again, because tokio panics when the system gives it no thread.
fn try_threads(number: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // Each thread waits for this lock until the last one has started.
        let _closed = gate.lock();
        (0..number).try_for_each(|_| thread::Builder::new().spawn_scoped(scope, || drop(gate.lock())).map(drop))
    })
}
