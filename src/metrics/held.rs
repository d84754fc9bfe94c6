//! What counts until it is dropped: requests in flight, memory of bodies, open connections.

use std::{fmt, sync::Arc};

use prometheus::IntGauge;

use super::{
    Metrics,
    families::Families,
    labels::{Closed, Label as _},
};

impl Metrics {
    /// A request head was read. The request is in flight until the guard is dropped, after the last byte of its response.
    #[must_use]
    pub fn request_started(&self) -> InFlight {
        InFlight(Held::take(&self.0.in_flight, 1))
    }

    /// Memory for a request or response body is held until the guard is dropped.
    #[must_use]
    pub fn buffered(&self) -> Buffered {
        Buffered(Held::take(&self.0.buffered, 0))
    }

    /// A connection to upstream is ready for requests; it counts as open until the guard is dropped.
    #[must_use]
    pub(crate) fn upstream_connected(&self) -> OpenConnection {
        self.0.connections_opened.inc();
        OpenConnection { families: Arc::clone(&self.0), _open: Held::take(&self.0.connections_open, 1), reason: None }
    }
}

/// A request in flight; dropped after the last byte of the response.
#[derive(Debug)]
pub struct InFlight(#[expect(dead_code, reason = "held for its drop")] Held);

/// Memory held for one body.
#[derive(Debug)]
pub struct Buffered(Held);

impl Buffered {
    /// Adds `bytes` to the memory held.
    pub fn add(&mut self, bytes: usize) {
        self.0.add(signed(bytes));
    }
}

/// An open connection to upstream. Dropped without a [reason](Self::because), it counts as [`Closed::Idle`].
pub(crate) struct OpenConnection {
    families: Arc<Families>,
    _open: Held,
    reason: Option<Closed>,
}

impl OpenConnection {
    /// Sets why the connection is about to end. The first reason stays, because later ones are its consequence.
    pub(crate) fn because(&mut self, reason: Closed) {
        self.reason.get_or_insert(reason);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.families.connections_closed[self.reason.unwrap_or(Closed::Idle).place()].inc();
    }
}

impl fmt::Debug for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenConnection").field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// An amount that is added to a gauge and subtracted on drop.
#[derive(Debug)]
struct Held {
    gauge: IntGauge,
    share: i64,
}

impl Held {
    fn take(gauge: &IntGauge, share: i64) -> Self {
        gauge.add(share);
        Self { gauge: gauge.clone(), share }
    }

    fn add(&mut self, more: i64) {
        self.gauge.add(more);
        self.share += more;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.sub(self.share);
    }
}

pub(super) fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
