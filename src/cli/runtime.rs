//! What the commands that serve run on: workers, and descriptors for their connections.

use std::{env, future::Future, io, num::NonZero, sync::Mutex, thread};

use anyhow::{Context as _, bail};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;

use crate::net::clock;

/// Runs `work` to its end, with as many workers as the machine, or the control group, grants processors.
///
/// A single worker is this thread itself: handing work to a thread costs 5 µs a request, 2 % of an RSA-2048 signature.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    if !clock::has_date() {
        bail!(
            "start: the clock is before 1970 or after 9999; set it (Wonder refuses requests that are more than 30 minutes off)"
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
    // What may still run is the system's look-up of a name, which nothing can end and nobody waits for any more.
    runtime.shutdown_background();
    Ok(outcome)
}

/// Takes as many file descriptors as the system lets us have. The lower limit that a process starts with, 1024 as a rule, is for those
/// that use select(2), which can wait for no more; with it, callers and Wonder would get some 500 connections each.
fn allow_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = if cfg!(target_vendor = "apple") {
        // setrlimit(2) there refuses more than OPEN_MAX, also where the maximum is unlimited.
        Some(limit.maximum.map_or(10_240, |maximum| maximum.min(10_240)))
    } else {
        limit.maximum
    };
    // What cannot be had is not needed yet; when it is, accepting says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// How many workers there are. tokio's own variable sets another number than there are processors.
fn workers() -> usize {
    let set = env::var("TOKIO_WORKER_THREADS").ok().and_then(|number| number.parse().ok());
    set.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get)
}

/// The thread of the admin listener, and one for the system's look-up of a name.
const OTHER_THREADS: usize = 2;

/// Starts that many threads at once and ends them again. tokio panics when it gets no thread.
fn try_threads(number: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // Keeps each thread until the last has started.
        let _closed = gate.lock();
        (0..number).try_for_each(|_| thread::Builder::new().spawn_scoped(scope, || drop(gate.lock())).map(drop))
    })
}
