//! The places of connections, and the choice of the connection that is evicted when another needs a place.
//!
//! A connection is *opening* until its first request head is complete: the TLS handshake and the wait for the first byte are part of
//! it. A peer needs no certificate and no request for that, so opening connections have a smaller budget of their own, and the oldest
//! is evicted first. When all places are taken, the connections that never had a request signed and answered by Wonder are evicted
//! first, then those that have been idle for longest. A connection with a request in flight is not evicted, unless the body of the
//! request is behind ([`Admission`]).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep_until, timeout, timeout_at},
};

use super::{admission::Admission, intake::ConnectionState, shutdown::Stage};
use crate::metrics::Metrics;

/// How long a new connection is not evicted, because its caller is about to send the request head; with TLS, to complete the handshake.
const NEW: Duration = Duration::from_millis(10);
const NEW_TLS: Duration = Duration::from_millis(50);
/// How long to wait for an evicted connection to end before another is evicted. It ends when its task runs, unless a request has
/// arrived on it in the meantime.
const EVICTION: Duration = Duration::from_millis(20);
/// How long the connection of an evicted request may take to close, with its answer and the lingering close of 100 ms.
const CLOSE: Duration = Duration::from_millis(150);
/// The minimum interval between two log lines about evictions.
const WARNING: Duration = Duration::from_secs(10);

/// The places of one server.
pub(super) struct Places {
    limit: usize,
    new: Duration,
    all: Arc<Semaphore>,
    opening: Arc<Semaphore>,
    /// The connections in the order of acceptance; some may have ended.
    connections: Vec<Arc<ConnectionState>>,
    admission: Arc<Admission>,
    metrics: Metrics,
    evicted: u64,
    warned: Option<Instant>,
}

/// A connection's place, freed when this is dropped.
pub(super) struct Place {
    pub(super) connection: Arc<ConnectionState>,
    /// Dropped when the connection is no longer opening.
    pub(super) opening: OwnedSemaphorePermit,
    pub(super) held: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(limit: usize, tls: bool, admission: Arc<Admission>, metrics: Metrics) -> Self {
        Self {
            limit,
            new: if tls { NEW_TLS } else { NEW },
            all: Arc::new(Semaphore::new(limit)),
            opening: Arc::new(Semaphore::new((limit / 4).max(1))),
            connections: Vec::new(),
            admission,
            metrics,
            evicted: 0,
            warned: None,
        }
    }

    /// A place for a new connection; `None` while every connection has a request in flight whose body is whole or on time.
    pub(super) async fn take(&mut self, stage: &watch::Receiver<Stage>) -> Option<Place> {
        let opening = self.free(Arc::clone(&self.opening), |connections| {
            connections.iter().find(|connection| connection.is_opening() && connection.idle_since().is_some())
        });
        let opening = opening.await?;
        let held = self.free(Arc::clone(&self.all), least_needed).await?;
        if self.connections.len() > 2 * self.limit {
            self.sweep();
        }
        let connection = Arc::new(ConnectionState::new(stage.clone()));
        self.connections.push(Arc::clone(&connection));
        Some(Place { connection, opening, held })
    }

    /// Evicts a connection because the process runs out of descriptors. Returns whether there was one.
    pub(super) async fn evict_one(&mut self) -> bool {
        self.sweep();
        let Some(connection) = least_needed(&self.connections).map(Arc::clone) else {
            return self.admission.evict().await;
        };
        sleep_until(connection.opened + self.new).await;
        connection.evict();
        self.warn(Short::Descriptors);
        true
    }

    /// A permit of `places`, or else that of the connection which `choose` returns.
    async fn free(
        &mut self,
        places: Arc<Semaphore>,
        choose: impl Fn(&[Arc<ConnectionState>]) -> Option<&Arc<ConnectionState>>,
    ) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                return Some(place);
            }
            self.sweep();
            let Some(connection) = choose(&self.connections).map(Arc::clone) else {
                if !self.admission.evict().await {
                    return None;
                }
                if let Ok(Ok(place)) = timeout(CLOSE, Arc::clone(&places).acquire_owned()).await {
                    return Some(place);
                }
                // The connection was kept and is idle now.
                continue;
            };
            let acquired = timeout_at(connection.opened + self.new, Arc::clone(&places).acquire_owned());
            if let Ok(Ok(place)) = acquired.await {
                return Some(place);
            }
            connection.evict();
            self.warn(Short::Places);
            if let Ok(Ok(place)) = timeout(EVICTION, Arc::clone(&places).acquire_owned()).await {
                return Some(place);
            }
        }
    }

    /// Forgets the connections that have ended or were evicted.
    fn sweep(&mut self) {
        self.connections.retain(|connection| Arc::strong_count(connection) > 1 && !connection.is_evicted());
    }

    fn warn(&mut self, short: Short) {
        self.evicted += 1;
        self.metrics.connection_evicted();
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARNING) {
            self.warned = Some(Instant::now());
            let evicted = std::mem::take(&mut self.evicted);
            match short {
                Short::Places => {
                    tracing::warn!(evicted, limit = self.limit, "idle connections closed to make room for new ones");
                }
                Short::Descriptors => {
                    tracing::warn!(evicted, "idle connections closed because few file descriptors are left");
                }
            }
        }
    }
}

/// What is used up.
#[derive(Clone, Copy)]
enum Short {
    Places,
    Descriptors,
}

/// The connection to evict: first one that never had a request signed and answered by Wonder, then the one that has been idle for longest.
fn least_needed(connections: &[Arc<ConnectionState>]) -> Option<&Arc<ConnectionState>> {
    connections
        .iter()
        .filter(|connection| !connection.is_in_use())
        .min_by_key(|connection| (connection.is_served(), connection.idle_since()))
}
