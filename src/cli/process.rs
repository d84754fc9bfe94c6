//! Protects the memory of this process, which has the private keys, from other programs of the same user.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Process;

/// The limit for core files at the start of the process.
static CORE: OnceLock<Rlimit> = OnceLock::new();

/// Forbids tracing and core files (prctl(2), `PR_SET_DUMPABLE`), before the process reads any secret.
///
/// The files of `/proc/self` then belong to root, so other processes of this user cannot read memory and environment there. The process
/// itself can still read what the metrics need.
pub(super) fn close() {
    let limit = *CORE.get_or_init(|| getrlimit(Resource::Core));
    // The call fails only in a sandbox that forbids it. The sidecar signs all the same.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit });
    set_dumpable(false);
}

/// Reverts [`close`] if `process.dumpable` is set, for `perf` and `gdb`.
pub(super) fn obey(config: Process) {
    if !config.dumpable {
        return;
    }
    if let Some(limit) = CORE.get() {
        let _ = setrlimit(Resource::Core, *limit);
    }
    set_dumpable(true);
}

/// Ignores a failure, as [`close`] does.
#[cfg(target_os = "linux")]
fn set_dumpable(dumpable: bool) {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    let behavior = if dumpable { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    let _ = set_dumpable_behavior(behavior);
}

/// Other systems have no such switch. There, only the limit for core files applies.
#[cfg(not(target_os = "linux"))]
fn set_dumpable(_: bool) {}
