//! Processors: pinning, processor time of threads and processes, and the bare signature for comparison.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use super::key;

/// Pins this thread, and the threads that it starts, to processor `number`.
fn pin(numbers: &[usize]) {
    let mut set = CpuSet::new();
    numbers.iter().for_each(|number| set.set(*number));
    sched_setaffinity(None, &set).expect("the processor exists");
}

fn count() -> usize {
    // Not `available_parallelism`, which is 1 for a pinned thread.
    let text = fs::read_to_string("/proc/cpuinfo").unwrap();
    text.lines().filter(|line| line.starts_with("processor")).count()
}

/// Pins this thread, and the threads that it starts, to the last processor.
pub fn pin_to_last() {
    pin(&[count() - 1]);
}

/// Runs `work` on the first processor (`workers` 1) or on any, then returns to the last.
pub fn on_the_sidecars<T>(workers: usize, work: impl FnOnce() -> T) -> T {
    if workers == 1 {
        pin(&[0])
    } else {
        pin(&(0..count()).collect::<Vec<_>>())
    }
    let result = work();
    pin_to_last();
    result
}

/// The processor time of all threads of a process and of its child processes.
pub fn used_by(pid: u32) -> Duration {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let theirs: Duration = children.split_whitespace().map(|child| used_by(child.parse().unwrap())).sum();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    theirs + Duration::from_nanos(nanoseconds.sum())
}

/// How often the threads of a process have gone to sleep, which equals their wake-ups.
pub fn wake_ups(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let counts = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse::<u64>().ok()
    });
    counts.sum()
}

/// A value in KiB from `/proc/<pid>/status`, as MiB.
pub fn memory(pid: u32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap().trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// The private-key operation alone.
pub struct Signature(KeyPair);

impl Signature {
    pub fn new(name: &str) -> Self {
        Self(key::pair(&key::pem(name)))
    }

    /// The cost of one signature while `work` runs, in time of the sidecar's processor. On a shared machine its speed changes within a
    /// second, so a few signatures are made at intervals, which takes 2 % of the processor.
    pub fn cost_during(&self, work: impl FnOnce()) -> Duration {
        let over = AtomicBool::new(false);
        let samples = thread::scope(|scope| {
            let samples = scope.spawn(|| {
                pin(&[0]);
                let mut samples = Vec::new();
                while samples.is_empty() || !over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(60));
                    samples.push(few(&self.0));
                }
                samples
            });
            work();
            over.store(true, Ordering::Relaxed);
            samples.join().unwrap()
        });
        samples.iter().sum::<Duration>() / samples.len() as u32
    }
}

/// The cost of one of several signatures in a row, without the first, which has cold caches.
fn few(key: &KeyPair) -> Duration {
    const ROUNDS: u32 = 4;
    let (mut signature, random) = (vec![0; key.public_modulus_len()], SystemRandom::new());
    let mut sign = || key.sign(&RSA_PKCS1_SHA256, &random, &[b'a'; 64], &mut signature).unwrap();
    sign();
    let began = thread_time();
    (0..ROUNDS).for_each(|_| sign());
    (thread_time() - began) / ROUNDS
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
