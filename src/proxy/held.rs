//! Reads a small response whole before its head is forwarded.
//!
//! Many clients repeat a request when the connection closes before the first byte of the response, and Wonder has no idempotency key.
//! A response that breaks off before its head was forwarded can still be replaced by an answer of the error contract.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration, vec};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::{
    contract::{Code, Sent},
    net::{
        admission::{
            budget::{Budget, Reservation},
            chunk_buffer::ChunkBuffer,
        },
        respond::Failure,
        response_head,
        upstream::{BodyError, Streamed},
    },
};

/// The body of Wonder's response when its head may be forwarded.
pub(super) struct Held {
    /// The part that was read.
    pub(super) ahead: Ahead,
    /// The part that has not been read, if any.
    pub(super) rest: Option<Streamed>,
    /// The memory of `ahead`, if it took several reads.
    pub(super) reservation: Option<Reservation>,
}

/// The beginning of a body, in the parts in which it arrived.
#[derive(Default)]
pub(super) struct Ahead {
    first: Option<Bytes>,
    others: vec::IntoIter<Bytes>,
    left: usize,
}

/// The limits of holding.
#[derive(Clone, Copy)]
pub(super) struct Hold<'a> {
    /// The largest body that is held.
    pub(super) limit: usize,
    /// The longest wait between two parts.
    pub(super) idle: Duration,
    /// The memory for all bodies.
    pub(super) budget: &'a Budget,
}

type NextFrame = Option<Result<Frame<Bytes>, BodyError>>;

impl Hold<'_> {
    /// Reads `body` whole if it is within the limit and there is memory for it. Of a larger body it reads only up to the limit. Returns an
    /// error if the body breaks off before.
    pub(super) async fn read(self, headers: &HeaderMap, mut body: Streamed) -> Result<Held, Failure> {
        let declared = response_head::length(headers).unwrap_or(0);
        if body.is_end_stream() || self.limit == 0 || declared > self.limit {
            return Ok(Held::new(Ahead::default(), body, None));
        }
        // Most responses arrive together with their head in one chunk. They need no reservation, because no memory is held over a wait.
        let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
        match first {
            Poll::Ready(Some(Ok(frame))) if body.is_end_stream() => {
                Ok(Held::new(frame.into_data().unwrap_or_default().into(), body, None))
            }
            // Boxed, because few responses need it and the future of every request would be larger.
            first => Box::pin(self.read_on(declared, first, body)).await,
        }
    }

    async fn read_on(self, declared: usize, first: Poll<NextFrame>, mut body: Streamed) -> Result<Held, Failure> {
        let (mut chunks, mut reservation) = (ChunkBuffer::default(), self.budget.reservation());
        let mut fits = reservation.extend_to(declared);
        let mut next = first;
        loop {
            let frame = match next {
                Poll::Ready(frame) => frame,
                Poll::Pending if !fits => break,
                Poll::Pending => timeout(self.idle, body.frame()).await.map_err(|_| late())?,
            };
            let Some(frame) = frame else { break };
            chunks.push(frame.map_err(|error| broken(&error))?.into_data().unwrap_or_default());
            fits = fits && chunks.length() <= self.limit && reservation.extend_to(chunks.length());
            if !fits || body.is_end_stream() {
                break;
            }
            next = Poll::Pending;
        }
        Ok(Held::new(chunks.into(), body, Some(reservation)))
    }
}

impl Held {
    /// The body of a response that cannot have one. Bytes that the origin sends anyway are not read.
    pub(super) fn without(body: Streamed) -> Self {
        drop(body);
        Self { ahead: Ahead::default(), rest: None, reservation: None }
    }

    fn new(ahead: Ahead, body: Streamed, reservation: Option<Reservation>) -> Self {
        // A body that was read to its end is dropped here, because that returns its connection before the response is forwarded.
        let rest = Some(body).filter(|body| !body.is_end_stream());
        Self { ahead, rest, reservation }
    }
}

impl From<Bytes> for Ahead {
    fn from(piece: Bytes) -> Self {
        Self { left: piece.len(), first: Some(piece), others: Vec::new().into_iter() }
    }
}

impl From<ChunkBuffer> for Ahead {
    fn from(chunks: ChunkBuffer) -> Self {
        let (others, left) = chunks.finish();
        Self { first: None, others: others.into_iter(), left }
    }
}

impl Ahead {
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let piece = self.first.take().or_else(|| self.others.next());
        self.left -= piece.as_ref().map_or(0, Bytes::len);
        piece
    }

    /// The bytes that `next` has not returned.
    pub(super) fn left(&self) -> usize {
        self.left
    }
}

fn late() -> Failure {
    let message = "the answer of the origin did not continue in time (timeouts.response_idle)";
    Failure::new(Code::UpstreamTimeout, message).with_sent(Sent::Maybe)
}

fn broken(error: &BodyError) -> Failure {
    let code = error.code();
    let message = match code {
        Code::UpstreamBadResponse => "the origin did not answer in valid HTTP",
        _ => "the connection to the origin broke within the answer",
    };
    Failure::new(code, message).with_sent(Sent::Maybe).because(error)
}
