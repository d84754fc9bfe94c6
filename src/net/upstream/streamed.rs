//! The body of an answer, as it comes from the origin.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{connection::Connection, pool::Pool};

/// A body that gives its connection back when it has been read to the end. Dropped before, the connection ends with it.
pub struct Streamed {
    body: Incoming,
    ended: bool,
    opened: Instant,
    lease: Option<(Arc<Pool>, Connection)>,
}

impl Streamed {
    pub(super) fn new(body: Incoming, connection: Connection, pool: &Arc<Pool>) -> Self {
        let opened = connection.opened().into_std();
        // One that is shared has its handle in the pool.
        let lease = connection.is_http1().then(|| (Arc::clone(pool), connection));
        Self { body, ended: false, opened, lease }
    }

    /// When the connection that it comes over was ready for requests.
    #[must_use]
    pub fn connection_opened(&self) -> Instant {
        self.opened
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended |= frame.is_none();
        Poll::Ready(frame)
    }

    /// Chunked bodies know their end only when it has been asked for.
    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some((pool, connection)) = self.lease.take().filter(|_| self.is_end_stream()) {
            pool.keep(connection);
        }
    }
}
