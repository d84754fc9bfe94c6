//! The body of an answer while its connection writes it. A failure in it comes after the head was written.
//!
//! hyper ends a connection at an error of a body, and discards unwritten bytes. The caller would get no byte at all, and many clients
//! then retry by themselves. So an error is held until hyper has flushed the bytes before it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Response, Version, header};
use http_body::{Body, Frame, SizeHint};

use crate::net::intake::Active;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A response body during which the connection is not idle.
pub(super) struct Outgoing<B> {
    body: B,
    /// The error that ends the body, held until it may be reported.
    failed: Option<Error>,
    active: Option<Active>,
}

impl<B: Body> Outgoing<B> {
    pub(super) fn new(body: B, active: Option<Active>) -> Self {
        Self { body, failed: None, active }
    }
}

/// Whether only the end of the connection ends this answer: HTTP/1.0 has no chunks (RFC 9112 §6.3).
pub(super) fn ends_with_the_connection<B: Body>(response: &Response<B>, caller: Version) -> bool {
    let body = response.body();
    caller == Version::HTTP_10
        && !body.is_end_stream()
        && body.size_hint().exact().is_none()
        && !response.headers().contains_key(header::CONTENT_LENGTH)
}

impl<B> Body for Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.failed.is_none() {
            // A panic would drop the connection with its unwritten bytes. The panic hook has logged it.
            match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(cx))) {
                Ok(polled) => match ready!(polled) {
                    Some(Err(error)) => this.failed = Some(error.into()),
                    frame => return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
                },
                Err(_) => this.failed = Some("a fault inside wonder-signer".into()),
            }
            if let Some(active) = &this.active {
                active.await_flush();
            }
        }
        // The guard wakes this task when hyper has flushed.
        if this.active.as_ref().is_some_and(Active::awaits_flush) {
            return Poll::Pending;
        }
        Poll::Ready(this.failed.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use futures_util::{FutureExt as _, StreamExt as _};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::net::intake::ConnectionState;

    /// One chunk, then a panic.
    fn faulty() -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames = futures_util::stream::iter([false, true]).map(|panics| {
            assert!(!panics, "a fault in a body");
            Ok(Frame::data(Bytes::from_static(b"piece")))
        });
        StreamBody::new(frames)
    }

    #[tokio::test]
    async fn a_panic_in_a_body_is_an_error_after_what_came_before_it_was_flushed() {
        let (active, _) = Arc::new(ConnectionState::default()).call();
        let mut body = Outgoing::new(faulty(), Some(active));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
        assert!(body.frame().now_or_never().is_none(), "it is not flushed yet");
        assert!(!body.is_end_stream());

        let mut body = Outgoing::new(faulty(), None);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "a fault inside wonder-signer");
        assert!(body.frame().await.is_none());
    }
}
