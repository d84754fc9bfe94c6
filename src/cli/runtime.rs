//! What the commands that serve run on: workers, and descriptors for their connections.

use std::{env, future::Future, thread};

use anyhow::Context as _;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;

/// Runs `work` to its end, with as many workers as the machine, or the control group, grants processors.
///
/// A single worker is this thread itself: handing work to a thread costs 5 µs a request, 2 % of an RSA-2048 signature.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    allow_descriptors();
    let mut builder = if is_single() { Builder::new_current_thread() } else { Builder::new_multi_thread() };
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
    limit.current = limit.maximum;
    // What cannot be had is not needed yet; when it is, accepting says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Whether there is one worker. tokio's own variable sets another number than there are processors.
fn is_single() -> bool {
    match env::var("TOKIO_WORKER_THREADS") {
        Ok(number) => number == "1",
        Err(_) => thread::available_parallelism().is_ok_and(|processors| processors.get() == 1),
    }
}
