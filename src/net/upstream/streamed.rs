//! The body of an answer, streamed from the origin.

use std::{
    error::Error as _,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{connection::Source, pool::Pool};
use crate::contract::Code;

/// A body that returns its connection to the pool when it has been read to its end. Dropping it before ends its stream; over HTTP/1 that
/// is the connection.
pub struct Streamed {
    source: Source,
    ended: bool,
    opened: Instant,
    pool: Arc<Pool>,
}

/// The reason why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// On an HTTP/1 connection.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// On an HTTP/2 stream.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl BodyError {
    /// The error code: the origin sent an invalid body, or the body broke off.
    #[must_use]
    pub(crate) fn code(&self) -> Code {
        let malformed = match self {
            Self::Http1(error) => error.source().and_then(|source| source.downcast_ref()).is_some_and(is_malformed),
            // h2 itself detected a protocol error of the origin.
            Self::Http2(error) => error.is_library(),
        };
        if malformed { Code::UpstreamBadResponse } else { Code::UpstreamReset }
    }
}

/// Whether the error is from the decoder of the chunked coding. TLS has errors of the same kinds, which mean a broken connection.
fn is_malformed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        && error.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>())
}

impl Streamed {
    pub(super) fn new(source: Source, opened: tokio::time::Instant, pool: &Arc<Pool>) -> Self {
        Self { source, ended: false, opened: opened.into_std(), pool: Arc::clone(pool) }
    }

    /// The time at which its connection was ready for requests.
    #[must_use]
    pub(crate) fn connection_opened(&self) -> Instant {
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
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let frame = match &mut self.source {
                Source::Http1(body, _) => {
                    ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(BodyError::from))
                }
                Source::Http2(body) => {
                    ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(BodyError::from))
                }
            };
            // Trailers are not forwarded (RFC 9110 §6.5.1): callers need none, and a trailer with a name of ours would be forged.
            if !matches!(&frame, Some(Ok(frame)) if frame.is_trailers()) {
                self.ended |= frame.is_none();
                return Poll::Ready(frame);
            }
        }
    }

    /// A chunked body reports its end only when it is polled for the next frame.
    fn is_end_stream(&self) -> bool {
        self.ended
            || match &self.source {
                Source::Http1(body, _) => body.is_end_stream(),
                Source::Http2(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1(body, _) => body.size_hint(),
            Source::Http2(body) => body.size_hint(),
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if self.is_end_stream()
            && let Source::Http1(_, connection) = &mut self.source
            && let Some(connection) = connection.take()
        {
            self.pool.keep(connection);
        }
    }
}
