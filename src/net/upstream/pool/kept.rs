//! The kept connections of the pool, and the choice of one for a request.

use std::{collections::VecDeque, sync::Arc};

use tokio::{sync::OnceCell, time::Instant};

use super::super::{
    connection::{Connection, Http1},
    destination::PoolLimits,
    failure::SendError,
    http2::Http2,
};
use crate::net::connect::Life;

/// An HTTP/2 connection that is being opened. The first request that needs it opens it, and the others wait for the same outcome. It is
/// `None` if the origin does not negotiate HTTP/2.
pub(super) type Opening = OnceCell<Result<Option<Http2>, SendError>>;

pub(super) struct Kept {
    /// Idle HTTP/1 connections, the most recently used at the end.
    idle: VecDeque<Idle>,
    /// Whether the last connection negotiated HTTP/2.
    is_shared: bool,
    /// HTTP/2 connections, the oldest first.
    shared: Vec<Http2>,
    opening: Option<Arc<Opening>>,
    /// Whether a task evicts what is idle too long.
    pub(super) watched: bool,
}

struct Idle {
    connection: Http1,
    since: Instant,
}

/// The pool's offer for a request.
pub(super) enum Found {
    Connection(Connection),
    /// An HTTP/2 connection to wait for.
    Opening(Arc<Opening>),
    /// The origin allows no streams on this one, and would allow none on another.
    Full(Http2),
    Nothing,
}

impl Kept {
    pub(super) fn new(is_shared: bool) -> Self {
        Self { idle: VecDeque::new(), is_shared, shared: Vec::new(), opening: None, watched: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_empty()
    }

    /// The pool's offer for a request at `now`. A request that needs a `fresh` connection uses none that was open before.
    pub(super) fn find(&mut self, now: Instant, fresh: bool, limits: &PoolLimits) -> Found {
        match (self.is_shared, fresh) {
            (true, _) => self.find_shared(now, fresh, limits),
            (false, true) => Found::Nothing,
            (false, false) => self.find_idle(now, limits),
        }
    }

    fn find_shared(&mut self, now: Instant, fresh: bool, limits: &PoolLimits) -> Found {
        self.shared.retain(|connection| is_usable(connection, now, limits));
        let mut kept = self.shared.iter().filter(|_| !fresh);
        if let Some((shared, slot)) = kept.find_map(|shared| shared.clone().stream()) {
            return Found::Connection(Connection::Http2(shared, slot));
        }
        if let Some(none) = self.shared.iter().find(|shared| shared.limit() == 0) {
            return Found::Full(none.clone());
        }
        Found::Opening(Arc::clone(self.opening.get_or_insert_default()))
    }

    fn find_idle(&mut self, now: Instant, limits: &PoolLimits) -> Found {
        // The most recently used first, so that the others are idle long enough to be evicted.
        let mut place = self.idle.len();
        while let Some(before) = place.checked_sub(1) {
            place = before;
            let connection = &self.idle[place].connection;
            if connection.is_closed() || is_aged(connection.life(), now, limits) {
                self.idle.remove(place);
            } else if connection.is_ready() {
                let found = self.idle.remove(place).map(|idle| Connection::Http1(idle.connection));
                return found.map_or(Found::Nothing, Found::Connection);
            }
        }
        Found::Nothing
    }

    /// A connection whose streams are all in use.
    pub(super) fn full(&self) -> Option<Http2> {
        self.shared.iter().find(|shared| !shared.is_closed()).cloned()
    }

    /// The attempt to open a connection has ended.
    pub(super) fn opened(&mut self) {
        self.opening = None;
    }

    pub(super) fn share(&mut self, connection: &Http2, is_needed: bool) {
        self.is_shared = true;
        if is_needed || !self.shared.iter().any(Http2::has_room) {
            self.shared.push(connection.clone());
        }
    }

    pub(super) fn unshare(&mut self) {
        self.is_shared = false;
        self.shared.clear();
    }

    /// Keeps an idle connection, and returns one that is over the limit.
    pub(super) fn keep(&mut self, connection: Http1, limits: &PoolLimits) -> Option<Http1> {
        let now = Instant::now();
        if limits.max_idle == 0 || connection.is_closed() || is_aged(connection.life(), now, limits) {
            return Some(connection);
        }
        let surplus = if self.idle.len() < limits.max_idle { None } else { self.idle.pop_front() };
        self.idle.push_back(Idle { connection, since: now });
        surplus.map(|idle| idle.connection)
    }

    /// Evicts connections that were idle for too long, and returns when to check again; `None` when no connection is left.
    pub(super) fn evict(&mut self, limits: &PoolLimits) -> Option<Instant> {
        let now = Instant::now();
        let is_over = |since: Instant| now.saturating_duration_since(since) >= limits.idle;
        while self.idle.front().is_some_and(|first| is_over(first.since)) {
            self.idle.pop_front();
        }
        self.shared.retain(|shared| !shared.is_closed() && !shared.idle_since().is_some_and(is_over));
        let shared = self.shared.iter().map(|shared| shared.idle_since().unwrap_or(now));
        let next = self.idle.front().map(|first| first.since).into_iter().chain(shared).min();
        self.watched = next.is_some();
        Some(next? + limits.idle)
    }
}

/// Whether another request may go over an HTTP/2 connection. A connection with requests is checked with PINGs. Without requests its path
/// may be dead.
fn is_usable(connection: &Http2, now: Instant, limits: &PoolLimits) -> bool {
    let idle = connection.idle_since().is_some_and(|since| now.saturating_duration_since(since) >= limits.idle);
    !idle && !connection.is_closed() && !is_aged(connection.life(), now, limits)
}

/// Whether a connection is too old for another request. Its [`Life`] records that for the metric of end reasons.
fn is_aged(life: &Life, now: Instant, limits: &PoolLimits) -> bool {
    let aged = now.saturating_duration_since(life.opened()) > limits.age;
    if aged {
        life.retire();
    }
    aged
}
