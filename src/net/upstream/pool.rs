//! The connections to the origin: those that wait for their next request, and the one that HTTP/2 requests share.
//!
//! A request takes a connection out, or opens one; what it took comes back when its answer has been read to the end.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    runtime::Handle,
    sync::OnceCell,
    time::{Instant, sleep_until},
};

use super::{
    connection::{Connection, Sender},
    failure::SendError,
};
use crate::net::connect::Connector;

/// Bytes of one answer that may wait for a slow reader on HTTP/2.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same for all answers on a connection: 256 of them, so that readers who do not read cannot use up what the others need.
/// Where this is less than the streams together may hold, a few stuck answers stop the connection for all.
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;
/// How long an HTTP/2 connection with requests on it may be silent before it is asked for a sign of life, and how long that
/// may take.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// Opens connections and keeps them for the next request.
pub(super) struct Pool {
    connector: Connector,
    limits: Limits,
    only_http2: bool,
    kept: Mutex<Kept>,
}

/// How long, and how many, connections are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Without a request.
    pub(super) idle: Duration,
    /// So many at most without a request.
    pub(super) max_idle: usize,
    /// With or without; so that a move in DNS is followed.
    pub(super) age: Duration,
}

#[derive(Default)]
struct Kept {
    /// HTTP/1 connections without a request, the one that was used last at the end.
    idle: VecDeque<Idle>,
    /// Whether somebody looks after those that wait too long.
    watched: bool,
    /// Where the origin speaks HTTP/2: the connection for all, or the attempt at it.
    shared: Option<Arc<Shared>>,
    /// When somebody last asked for that one.
    asked: Option<Instant>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// The first who needs the connection opens it, the others wait for the same outcome.
type Shared = OnceCell<Outcome>;

enum Outcome {
    Open(Connection),
    /// The origin no longer agrees on HTTP/2: whoever opened the connection keeps it to itself.
    NotShared,
    Failed(SendError),
}

/// What there is for a request.
enum Found {
    Idle(Connection),
    Shared(Arc<Shared>),
    Nothing,
}

impl Pool {
    /// An empty one. With `only_http2` there is nothing to agree on, or the connector insists.
    pub(super) fn new(connector: Connector, limits: Limits, only_http2: bool) -> Self {
        let shared = only_http2.then(Arc::default);
        Self { connector, limits, only_http2, kept: Mutex::new(Kept { shared, ..Kept::default() }) }
    }

    /// A connection for one request that is sent `now`.
    pub(super) async fn connection(self: &Arc<Self>, now: Instant) -> Result<Connection, SendError> {
        match self.find(now) {
            Found::Idle(connection) => Ok(connection),
            Found::Shared(shared) => self.join(&shared).await,
            Found::Nothing => Ok(self.share(self.open().await?)),
        }
    }

    fn find(&self, now: Instant) -> Found {
        let mut kept = self.kept();
        let Kept { shared, asked, .. } = &mut *kept;
        if let Some(shared) = shared {
            let asked = asked.replace(now);
            let over = match shared.get() {
                None => false,
                // With requests on it it is pinged; without, nobody knows whether the path is still there.
                Some(Outcome::Open(connection)) => self.is_over(asked) || !self.is_fit(connection, now),
                Some(Outcome::NotShared | Outcome::Failed(_)) => true,
            };
            if over {
                *shared = Arc::default();
            }
            return Found::Shared(Arc::clone(shared));
        }
        // Those that were used last first: the others get to be idle long enough to be let go.
        let mut place = kept.idle.len();
        while let Some(before) = place.checked_sub(1) {
            place = before;
            let connection = &kept.idle[place].connection;
            if !self.is_fit(connection, now) {
                kept.idle.remove(place);
            } else if connection.is_ready() {
                return kept.idle.remove(place).map_or(Found::Nothing, |idle| Found::Idle(idle.connection));
            }
        }
        Found::Nothing
    }

    /// The connection that all share, once there is one.
    async fn join(self: &Arc<Self>, shared: &Shared) -> Result<Connection, SendError> {
        let mut own = None;
        let opening = async {
            match self.open().await {
                Ok(connection) => {
                    let handle = connection.handle();
                    own = Some(connection);
                    handle.map_or(Outcome::NotShared, Outcome::Open)
                }
                Err(error) => Outcome::Failed(error),
            }
        };
        let handle = match shared.get_or_init(|| opening).await {
            Outcome::Failed(error) => return Err(error.clone()),
            Outcome::Open(connection) => {
                // Who opened it sees to its end; who only joins has no need to.
                if own.is_some() {
                    self.look_after(&mut self.kept());
                }
                connection.handle()
            }
            Outcome::NotShared => {
                self.kept().shared = None;
                None
            }
        };
        match own.or(handle) {
            Some(connection) => Ok(connection),
            None => self.open().await,
        }
    }

    /// Makes a connection that can be shared the one for all, unless another was quicker: then this one is let go.
    fn share(self: &Arc<Self>, connection: Connection) -> Connection {
        let Some(handle) = connection.handle() else { return connection };
        let mut kept = self.kept();
        if let Some(Outcome::Open(first)) = kept.shared.as_ref().and_then(|shared| shared.get())
            && self.is_fit(first, Instant::now())
        {
            return first.handle().unwrap_or(connection);
        }
        kept.shared = Some(Arc::new(OnceCell::new_with(Some(Outcome::Open(handle)))));
        kept.asked = Some(Instant::now());
        self.look_after(&mut kept);
        connection
    }

    /// Boxed, since few requests need it and every one would have to have room for it.
    fn open(&self) -> BoxFuture<'_, Result<Connection, SendError>> {
        Box::pin(async {
            let stream = self.connector.connect().await?;
            let (life, http2) = (stream.life(), self.only_http2 || stream.speaks_http2());
            let stream = TokioIo::new(stream);
            let sender = if http2 {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    // A dead path is noticed while someone waits, and not by every request in turn.
                    .keep_alive_interval(HTTP2_PING)
                    .keep_alive_timeout(HTTP2_PING)
                    .handshake(stream)
                    .await
                    .map_err(SendError::unsent)?;
                // How it ends is seen by the stream and told to the requests on it.
                tokio::spawn(async { drop(connection.await) });
                Sender::Http2(sender)
            } else {
                let (sender, connection) = http1::handshake(stream).await.map_err(SendError::unsent)?;
                tokio::spawn(async { drop(connection.await) });
                Sender::Http1(sender)
            };
            Ok(Connection::new(sender, life))
        })
    }

    /// Takes back a connection whose answer has been read to the end.
    pub(super) fn keep(self: &Arc<Self>, connection: Connection) {
        let now = Instant::now();
        if !self.is_fit(&connection, now) || self.limits.max_idle == 0 {
            return;
        }
        let mut kept = self.kept();
        let surplus = if kept.idle.len() < self.limits.max_idle { None } else { kept.idle.pop_front() };
        kept.idle.push_back(Idle { connection, since: now });
        self.look_after(&mut kept);
        drop(kept);
        drop(surplus);
    }

    /// Has somebody see to it that what is kept is let go in time.
    fn look_after(self: &Arc<Self>, kept: &mut Kept) {
        // An answer may be let go when the runtime is gone; then so is the pool in a moment.
        if !kept.watched
            && let Ok(runtime) = Handle::try_current()
        {
            kept.watched = true;
            runtime.spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Whether a connection that was last used then waited for too long.
    fn is_over(&self, used: Option<Instant>) -> bool {
        used.is_some_and(|used| used.elapsed() >= self.limits.idle)
    }

    /// Whether another request may go over it. One that is too old is told so, for the count of the reasons of the end.
    fn is_fit(&self, connection: &Connection, now: Instant) -> bool {
        let aged = now - connection.opened() > self.limits.age;
        if aged {
            connection.retire();
        }
        !aged && !connection.is_closed()
    }

    /// Lets go of connections that waited too long, and says when to look again; nothing when none is left.
    fn let_go(&self) -> Option<Instant> {
        let mut kept = self.kept();
        while kept.idle.front().is_some_and(|first| self.is_over(Some(first.since))) {
            kept.idle.pop_front();
        }
        let open = kept.shared.as_ref().is_some_and(|shared| matches!(shared.get(), Some(Outcome::Open(_))));
        if open && self.is_over(kept.asked) {
            kept.shared = Some(Arc::default());
        }
        let shared = kept.asked.filter(|_| open && !self.is_over(kept.asked));
        let next = kept.idle.front().map(|first| first.since).into_iter().chain(shared).min();
        kept.watched = next.is_some();
        Some(next? + self.limits.idle)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while there are connections that wait, and while there is a pool.
async fn watch(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.let_go()) {
        sleep_until(next).await;
    }
}
