//! The body of every response: forwards its chunks, and reports the end to the exchange.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use tokio::time::sleep;

use super::{
    exchange::{CUT, Exchange},
    held::{Ahead, Held},
};
use crate::{
    contract::Code,
    net::{admission::budget::Reservation, respond::chain, upstream::Streamed},
};

/// The body of Wonder's response, held or streamed, or of one of our own. The exchange ends when it is dropped.
pub(crate) struct Answer {
    ahead: Ahead,
    /// The part that has not been read from the origin. Boxed, because few responses are larger than the held part.
    rest: Option<Box<Rest>>,
    _reservation: Option<Reservation>,
    ours: bool,
    exchange: Arc<Exchange>,
}

struct Rest {
    body: Streamed,
    idle: Duration,
    wait: Option<Wait>,
}

/// Ends when the origin has sent nothing for too long, or when a drain breaks the response off; returns which.
type Wait = BoxFuture<'static, BrokenOff>;

impl Answer {
    pub(super) fn our_own(body: Bytes, exchange: Arc<Exchange>) -> Self {
        Self { ahead: body.into(), rest: None, _reservation: None, ours: true, exchange }
    }

    /// `idle` is the longest wait between two parts. The whole has no limit: while the origin sends, only the caller and the end of a
    /// drain can end the response.
    pub(super) fn of_upstream(held: Held, exchange: Arc<Exchange>, idle: Duration) -> Self {
        let rest = held.rest.map(|body| Box::new(Rest { body, idle, wait: None }));
        Self { ahead: held.ahead, rest, _reservation: held.reservation, ours: false, exchange }
    }
}

/// Why a response broke off: the code that is counted, and the cause for the log.
type BrokenOff = (Code, String);

impl Rest {
    fn poll(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if exchange.is_cutting() && !self.body.is_end_stream() {
            return Poll::Ready(Some(Err(drained())));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.wait = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err((error.code(), chain(&error))))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                // Made at the first wait, because there is none if the origin is faster than the caller.
                let idle = self.idle;
                let wait = self.wait.get_or_insert_with(|| {
                    let cutting = exchange.cutting();
                    Box::pin(async move {
                        tokio::select! {
                            () = cutting => drained(),
                            () = sleep(idle) => late(),
                        }
                    })
                });
                wait.as_mut().poll(cx).map(|cut| Some(Err(cut)))
            }
        }
    }
}

fn late() -> BrokenOff {
    (Code::UpstreamTimeout, "the answer did not continue in time (timeouts.response_idle)".to_owned())
}

fn drained() -> BrokenOff {
    (Code::Draining, CUT.to_owned())
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let frame = match (this.ahead.next(), &mut this.rest) {
            (Some(piece), _) => Some(Ok(Frame::data(piece))),
            (None, Some(rest)) => ready!(rest.poll(&this.exchange, cx)),
            (None, None) => None,
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                this.exchange.response_data(frame.data_ref().map_or(0, Bytes::len));
                Some(Ok(frame))
            }
            Some(Err((code, cause))) => {
                // The head was forwarded, so an answer of the contract is no longer possible. An error here makes the server close the
                // connection before the end that the head declared.
                this.exchange.response_broken(code, cause);
                Some(Err(io::Error::other("the answer was cut short upstream")))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.left() == 0 && self.rest.as_ref().is_none_or(|rest| rest.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.left() as u64;
        let Some(rest) = &self.rest else { return SizeHint::with_exact(ahead) };
        let rest = rest.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(ahead + upper);
        }
        hint
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.ours || self.is_end_stream() {
            self.exchange.response_end();
        }
    }
}
