//! How many connections of callers the process can have open. Each takes a file descriptor, and a request on it needs another to be
//! forwarded; so some descriptors are kept free of idle connections.
//!
//! The limit and the count are those of the process, because all listeners share its descriptors.

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::process::{Resource, getrlimit};

/// At most so many descriptors are kept free, and at most a third of those that are free at the start.
const RESERVE: usize = 128;

/// The open connections of all listeners.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// The limit of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptors {
    /// Connections that leave the reserve free.
    most: usize,
}

impl Descriptors {
    /// Taken before the first connection.
    pub(crate) fn of_process() -> Self {
        // A new descriptor gets the lowest free number, and at the start all below it are in use.
        let used = File::open("/dev/null").map_or(0, |file| usize::try_from(file.as_raw_fd()).unwrap_or(0));
        let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        Self { most: limit.map_or(usize::MAX, |limit| most(limit, used)) }
    }

    /// Counts a connection until the result is dropped.
    pub(crate) fn open() -> Open {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Open
    }

    /// How many connections must end so that one more leaves the reserve free.
    pub(crate) fn excess(self) -> usize {
        (OPEN.load(Ordering::Relaxed) + 1).saturating_sub(self.most)
    }
}

fn most(limit: usize, used: usize) -> usize {
    let free = limit.saturating_sub(used);
    free - RESERVE.min(free / 3)
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Open;

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_few_descriptors_is_kept_free() {
        for (limit, used, expected) in [(64, 19, 30), (256, 16, 160), (1024, 24, 872), (1 << 20, 24, (1 << 20) - 152)] {
            assert_eq!(most(limit, used), expected, "{limit} {used}");
        }
        assert_eq!(most(8, 19), 0);
    }
}
