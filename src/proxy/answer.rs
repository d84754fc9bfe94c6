//! The body of every answer, watched to its end.

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

use super::exchange::{CUT, Exchange};
use crate::net::{respond::Code, upstream::Streamed};

/// Wonder's answer as it streams through, or one of ours. Holds its exchange open until it is dropped.
pub struct Answer {
    content: Content,
    exchange: Arc<Exchange>,
}

enum Content {
    OurOwn(Option<Bytes>),
    PassedOn(PassedOn),
}

struct PassedOn {
    body: Streamed,
    idle: Duration,
    wait: Option<Wait>,
}

/// Ends when an answer has not continued for too long, or is to be broken off; says which.
type Wait = BoxFuture<'static, Cut>;

impl Answer {
    pub(super) fn our_own(body: Bytes, exchange: Arc<Exchange>) -> Self {
        exchange.passed(body.len());
        Self { content: Content::OurOwn(Some(body)), exchange }
    }

    /// `idle` is the longest wait between two pieces. Nothing limits the whole: as long as an answer continues, only its caller
    /// and the end of a drain cut it.
    pub(super) fn passed_on(body: Streamed, exchange: Arc<Exchange>, idle: Duration) -> Self {
        Self { content: Content::PassedOn(PassedOn { body, idle, wait: None }), exchange }
    }
}

/// Why an answer broke off: the code that is counted, and the cause for the log.
type Cut = (Code, String);

impl PassedOn {
    fn poll(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if exchange.is_cutting() && !self.body.is_end_stream() {
            return Poll::Ready(Some(Err(drained())));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.wait = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err((Code::UpstreamReset, error.to_string())))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                // Made at the first wait: most answers come in one piece and never need it.
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

fn late() -> Cut {
    (Code::UpstreamTimeout, "the answer did not continue in time (timeouts.response_idle)".to_owned())
}

fn drained() -> Cut {
    (Code::Draining, CUT.to_owned())
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let passed_on = match &mut this.content {
            Content::OurOwn(body) => return Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Content::PassedOn(passed_on) => passed_on,
        };
        Poll::Ready(match ready!(passed_on.poll(&this.exchange, cx)) {
            Some(Ok(frame)) => {
                this.exchange.passed(frame.data_ref().map_or(0, Bytes::len));
                Some(Ok(frame))
            }
            Some(Err((code, cause))) => {
                // The head is gone, so the contract's answer is no longer possible. An error here makes the server end
                // the connection (or the stream) short of the announced end, which every client can see.
                this.exchange.cut(code, cause);
                Some(Err(io::Error::other("the answer was cut short upstream")))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::OurOwn(body) => body.is_none(),
            Content::PassedOn(passed_on) => passed_on.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::OurOwn(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Content::PassedOn(passed_on) => passed_on.body.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        match &self.content {
            Content::OurOwn(_) => self.exchange.ended(),
            Content::PassedOn(passed_on) if passed_on.body.is_end_stream() => self.exchange.passed_on(),
            Content::PassedOn(_) => {}
        }
    }
}
