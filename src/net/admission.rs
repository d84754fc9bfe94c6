//! Admission of requests: how many are in flight at a time, and how much memory their bodies use.
//!
//! Admission decides by sizes and times only, independent of the meaning of a request. It rejects a request over a limit with a
//! [`Failure`].
//!
//! * `slots`: how many requests are in flight at a time. A request waits for a slot before any of its body is read.
//! * `arrivals`: the request that is evicted for another because its body is behind.
//! * [`body`]: reads a request body within its limits; [`chunk_buffer`]: its chunks.
//! * [`budget`]: the memory of all bodies together.

mod arrivals;
pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod chunk_buffer;
mod slots;

use std::time::Duration;

use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use self::{
    arrivals::Arrivals,
    body::{BodyLimits, BufferedBody},
    budget::Budget,
    slots::Slots,
};
use super::respond::Failure;
use crate::metrics::Metrics;

/// The limits of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdmissionLimits {
    /// Requests in flight at a time.
    pub(crate) requests: usize,
    /// How long a request waits for a slot, or for memory that another request returns.
    pub(crate) queue: Duration,
    /// The limits of one request body.
    pub(crate) body: BodyLimits,
    /// Bytes of all bodies together.
    pub(crate) buffered: usize,
}

/// The slots and the memory of one listener's requests.
pub(crate) struct Admission {
    slots: Slots,
    bodies: body::Shared,
    body: BodyLimits,
}

impl Admission {
    /// With all slots and all memory free.
    #[must_use]
    pub(crate) fn new(limits: AdmissionLimits, metrics: Metrics) -> Self {
        Self {
            slots: Slots::new(limits.requests, limits.queue),
            bodies: body::Shared {
                budget: Budget::new(limits.buffered, metrics),
                arrivals: Arrivals::default(),
                queue: limits.queue,
            },
            body: limits.body,
        }
    }

    /// Waits for a slot. The request holds it until the end of its answer.
    pub(crate) async fn slot(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.slots.next(&self.bodies.arrivals).await
    }

    /// Reads a whole request body.
    pub(crate) async fn read_body(&self, body: Incoming) -> Result<BufferedBody, Failure> {
        body::read(body, self.body, &self.bodies).await
    }

    /// The memory for bodies.
    pub(crate) fn budget(&self) -> &Budget {
        &self.bodies.budget
    }

    /// Evicts a request whose body is behind, so that its connection can be closed. Returns whether there was one.
    pub(super) async fn evict(&self) -> bool {
        self.bodies.arrivals.evict_one().await
    }

    /// Ends admission: requests without a slot are rejected with `draining`.
    pub(crate) fn close(&self) {
        self.slots.close();
    }
}
