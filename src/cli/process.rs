//! What other programs of the same user may learn of this process: nothing, because keys are in its memory.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Process;

/// The limit for core files that the process was started with.
static CORE: OnceLock<Rlimit> = OnceLock::new();

/// Allows neither tracing nor core files (prctl(2), `PR_SET_DUMPABLE`). It comes before anything is read.
///
/// The files of `/proc/self` belong to root from now on, so other processes of this user cannot read memory and environment there. The
/// process itself still can read what the metrics need.
pub(super) fn close() {
    let limit = *CORE.get_or_init(|| getrlimit(Resource::Core));
    // This only fails where a sandbox forbids the call. That is no reason not to sign.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit });
    set_dumpable(false);
}

/// Takes [`close`] back if the configuration says so, for `perf` and `gdb`.
pub(super) fn obey(config: Process) {
    if !config.dumpable {
        return;
    }
    if let Some(limit) = CORE.get() {
        let _ = setrlimit(Resource::Core, *limit);
    }
    set_dumpable(true);
}

/// As above, failing is no reason not to sign.
#[cfg(target_os = "linux")]
fn set_dumpable(dumpable: bool) {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    let behavior = if dumpable { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    let _ = set_dumpable_behavior(behavior);
}

/// Other systems have no such switch. What is left there is the limit for core files.
#[cfg(not(target_os = "linux"))]
fn set_dumpable(_: bool) {}
