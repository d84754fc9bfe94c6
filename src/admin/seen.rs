//! What a status is made from: the state, the facts and the figures at one moment.

use std::time::Duration;

use super::{CredentialFact, State, cause::Cause};
use crate::metrics::{Last, Lasts, Snapshot};

/// The source of a status.
pub(super) struct Seen<'a> {
    pub(super) state: State,
    pub(super) version: &'a str,
    pub(super) instance: &'a str,
    pub(super) environment: &'a str,
    pub(super) origin: &'a str,
    pub(super) credentials: &'a [CredentialFact],
    pub(super) uptime: Duration,
    /// Totals since the start.
    pub(super) total: &'a Snapshot,
    /// The difference over `window`.
    pub(super) recent: &'a Snapshot,
    pub(super) window: Duration,
    pub(super) lasts: &'a Lasts,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(super) now: u64,
}

impl Seen<'_> {
    /// The origin's host, with the port if it is not the default.
    pub(super) fn host(&self) -> &str {
        self.origin.split_once("://").map_or(self.origin, |(_, host)| host)
    }

    /// The last failure that is not the service's own request.
    pub(super) fn last_failure(&self) -> Option<&Last> {
        let failures = self.lasts.failures.iter().filter(|last| Cause::of(last.answer) != Cause::Service);
        failures.max_by_key(|last| last.unix_seconds)
    }
}
