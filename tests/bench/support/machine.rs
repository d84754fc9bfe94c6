//! The processors of this machine, and the processor time of a process.

use std::{fs, time::Duration};

use rustix::thread::{CpuSet, sched_setaffinity};

/// Pins this thread, and the threads and processes that it starts, to one processor.
pub fn pin(number: usize) {
    let mut set = CpuSet::new();
    set.set(number);
    sched_setaffinity(None, &set).expect("the processor exists");
}

/// The number of the last processor.
pub fn last() -> usize {
    // Not `available_parallelism`, which is 1 for a pinned thread.
    let text = fs::read_to_string("/proc/cpuinfo").unwrap();
    text.lines().filter(|line| line.starts_with("processor")).count() - 1
}

/// The processor time of all threads of a process.
pub fn processor_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}
