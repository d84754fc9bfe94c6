//! The connections to the origin: idle HTTP/1 connections, and HTTP/2 connections that requests share.
//!
//! A request uses a kept connection or stream, or opens a connection. The connection returns to the pool when the answer has been read to
//! its end.
//!
//! The code is our own because the pool decides the value of `sent`: for each request it must be certain that no byte was written, or that
//! the origin returned it unprocessed. hyper-util's pooled client retries by itself, and does not report which of these is the case.

mod kept;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use self::kept::{Found, Kept, Opening};
use super::{
    connection::{Connection, Http1},
    destination::PoolLimits,
    failure::SendError,
    http2::Http2,
};
use crate::net::{connect::Connector, response_head};

/// The maximum size of one read from an HTTP/1 connection, hyper's default.
const READ_BUFFER: usize = 8192 + 4096 * 100;

/// Opens connections and keeps them for the next request.
pub(super) struct Pool {
    connector: Connector,
    limits: PoolLimits,
    /// How long the origin may take to start HTTP/2, and how long a request waits for a stream.
    connect: Duration,
    heads: response_head::HeadLimits,
    only_http2: bool,
    kept: Mutex<Kept>,
}

/// A connection that has just been opened.
enum Opened {
    Http1(Http1),
    Http2(Http2),
}

impl Pool {
    /// An empty pool. With `only_http2` no version is negotiated, or the connector accepts no other.
    pub(super) fn new(
        connector: Connector,
        limits: PoolLimits,
        connect: Duration,
        heads: response_head::HeadLimits,
        only_http2: bool,
    ) -> Self {
        Self { connector, limits, connect, heads, only_http2, kept: Mutex::new(Kept::new(only_http2)) }
    }

    /// A connection for one request that is sent at `now`; a new one if it must be `fresh`.
    pub(super) async fn connection(self: &Arc<Self>, now: Instant, mut fresh: bool) -> Result<Connection, SendError> {
        let deadline = now + self.connect;
        loop {
            let found = self.kept().find(Instant::now(), fresh, &self.limits);
            fresh = false;
            match found {
                Found::Connection(connection) => return Ok(connection),
                Found::Opening(opening) => match self.join(&opening).await {
                    Ok(Some(connection)) => return Ok(connection),
                    Ok(None) => {}
                    // The origin may also limit connections, and a stream of an open one may become free.
                    Err(error) => {
                        let full = self.kept().full();
                        wait(&full.ok_or(error)?, deadline).await?;
                    }
                },
                Found::Full(full) => wait(&full, deadline).await?,
                Found::Nothing => match self.open().await? {
                    Opened::Http1(connection) => return Ok(Connection::Http1(connection)),
                    Opened::Http2(connection) => self.share(&connection, false),
                },
            }
        }
    }

    /// Waits for the HTTP/2 connection that is being opened, or opens it. Returns a stream of it, if one is free, or the connection if the
    /// origin negotiated HTTP/1.
    async fn join(self: &Arc<Self>, opening: &Opening) -> Result<Option<Connection>, SendError> {
        let mut own = None;
        let open = async {
            let opened = self.open().await;
            self.kept().opened();
            Ok(match opened? {
                Opened::Http2(connection) => {
                    self.share(&connection, true);
                    Some(connection)
                }
                // The origin no longer negotiates HTTP/2. The other requests open their own connections.
                Opened::Http1(connection) => {
                    self.kept().unshare();
                    own = Some(Connection::Http1(connection));
                    None
                }
            })
        };
        let shared = opening.get_or_init(|| open).await.clone()?;
        Ok(own.or_else(|| shared.and_then(Http2::stream).map(|(shared, slot)| Connection::Http2(shared, slot))))
    }

    /// Adds a connection that all requests share. If another has room, only one that `is_needed` is added.
    fn share(self: &Arc<Self>, connection: &Http2, is_needed: bool) {
        let mut kept = self.kept();
        kept.share(connection, is_needed);
        self.ensure_watch(&mut kept);
    }

    /// Boxed, because few requests need it and it would enlarge the future of each request.
    fn open(&self) -> BoxFuture<'_, Result<Opened, SendError>> {
        Box::pin(async {
            let stream = self.connector.connect().await?;
            let life = stream.life();
            if self.only_http2 || stream.speaks_http2() {
                let begun = timeout(self.connect, Http2::begin(stream, self.heads)).await;
                let begun = begun.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
                return begun.map(Opened::Http2).map_err(|error| SendError::no_http2(error).explained(&life));
            }
            let begun = http1::Builder::new()
                .max_headers(self.heads.headers)
                .max_header_size(self.heads.bytes)
                .max_buf_size(READ_BUFFER.max(self.heads.bytes))
                // RFC 9112 §5.1: a proxy removes the space.
                .allow_spaces_after_header_name_in_responses(true)
                .handshake(TokioIo::new(stream));
            let (sender, connection) = begun.await.map_err(SendError::unsent)?;
            // The stream records how it ends, and reports it to the request on it.
            tokio::spawn(async { drop(connection.await) });
            Ok(Opened::Http1(Http1::new(sender, life)))
        })
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(super) fn keep(self: &Arc<Self>, connection: Http1) {
        let mut kept = self.kept();
        let surplus = kept.keep(connection, &self.limits);
        self.ensure_watch(&mut kept);
        drop(kept);
        drop(surplus);
    }

    /// Starts the task that evicts idle connections, unless it runs.
    fn ensure_watch(self: &Arc<Self>, kept: &mut Kept) {
        // An answer may be dropped after the runtime; then the pool is dropped too.
        if !kept.is_empty()
            && !kept.watched
            && let Ok(runtime) = Handle::try_current()
        {
            kept.watched = true;
            runtime.spawn(watch(Arc::downgrade(self)));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a stream of a connection whose streams are all in use.
async fn wait(full: &Http2, deadline: Instant) -> Result<(), SendError> {
    timeout_at(deadline, full.room()).await.map_err(|_| SendError::NoStream { limit: full.limit() })
}

/// Runs while the pool exists and has connections.
async fn watch(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.kept().evict(&pool.limits)) {
        sleep_until(next).await;
    }
}
