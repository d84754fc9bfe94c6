//! The body of an answer over HTTP/2.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http_body::{Body, Frame, SizeHint};

use super::Slot;

/// A body that holds its stream's slot. It is complete only when the origin has ended the stream. A reset before that, with any code, is
/// an error.
pub(in super::super) struct Download {
    body: RecvStream,
    data_ended: bool,
    _cancel: Cancel,
    _slot: Slot,
}

impl Download {
    pub(super) fn new(body: RecvStream, cancel: Cancel, slot: Slot) -> Self {
        Self { body, data_ended: false, _cancel: cancel, _slot: slot }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_ended {
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Fails only if the stream has ended, which the next frame reports.
                    let _ = self.body.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(self.body.poll_trailers(cx));
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.body.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

/// Resets the stream when it is dropped, and with it what is queued of the request. A stream that has ended stays as it is.
pub(super) struct Cancel(SendStream<Bytes>);

impl Cancel {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self(stream)
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.send_reset(Reason::CANCEL);
    }
}
