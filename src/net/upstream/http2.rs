//! An HTTP/2 connection: the requests that it accepts, and whether a failed request was processed.
//!
//! It uses h2 without hyper, because the stream of a failed request decides whether `sent` is `no` or `maybe`, and hyper does not report
//! it. Three rules make it exact:
//!
//! * No request before the origin's SETTINGS, and none above the number of streams that they allow. h2 would queue it, and even open
//!   its stream after it was cancelled. A request that waits here was not written.
//! * An error of the stream itself is a GOAWAY below its id, or a `RST_STREAM`. The first, and the code `REFUSED_STREAM`, guarantee
//!   that the origin has not processed the request (RFC 9113 §6.8, §8.7). A GOAWAY does not end the streams that it covers.
//! * A connection that returned a request unprocessed accepts no other, so that a second attempt uses another connection.

mod download;
mod slot;

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, Reason,
    client::{ResponseFuture, SendRequest},
};
use http::{Request, Response, Version};
use http_body::Body as _;
use tokio::time::{Instant, sleep, timeout};

use self::{download::Cancel, slot::Streams};
pub(super) use self::{download::Download, slot::Slot};
use super::{failure::SendError, request_body::RequestBody};
use crate::net::{
    connect::{Life, UpstreamStream},
    response_head,
};

/// Buffered bytes of one answer with a slow reader.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The same for all answers on a connection: 256 times as much, so that callers that do not read cannot exhaust the window of the others.
/// With less than the sum of the streams, a few stuck answers would block the whole connection.
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;
/// How often a connection with requests on it is checked with a PING, and how long the answer may take.
const PING: Duration = Duration::from_secs(10);
/// h2's value for the origin's limit of streams before the origin has set one. No 32-bit setting has this value.
const NOT_SET: usize = usize::MAX - 1;

type Driven = h2::client::Connection<UpstreamStream, Bytes>;

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) struct Http2 {
    sender: SendRequest<Bytes>,
    streams: Arc<Streams>,
    life: Arc<Life>,
}

impl Http2 {
    /// Begins HTTP/2 on `stream`, and waits for the origin's SETTINGS.
    pub(super) async fn begin(stream: UpstreamStream, heads: response_head::HeadLimits) -> io::Result<Self> {
        let life = stream.life();
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(heads.as_list_size())
            .initial_max_send_streams(NOT_SET)
            .enable_push(false);
        let (sender, mut connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
        poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            if connection.max_concurrent_send_streams() != NOT_SET {
                return Poll::Ready(Ok(()));
            }
            ended.map(|ended| Err(ended.err().map_or_else(|| io::ErrorKind::UnexpectedEof.into(), io::Error::other)))
        })
        .await?;
        let streams = Arc::new(Streams::new(connection.max_concurrent_send_streams()));
        tokio::spawn(drive(connection, Arc::clone(&streams)));
        Ok(Self { sender, streams, life })
    }

    /// A stream for one request, if one is free.
    pub(super) fn stream(self) -> Option<(Self, Slot)> {
        let slot = self.streams.take()?;
        Some((self, slot))
    }

    /// Whether a slot is free now.
    pub(super) fn has_room(&self) -> bool {
        self.streams.has_room() && !self.is_closed()
    }

    /// Waits until a slot may be free, or until the connection accepts no more requests.
    pub(super) async fn room(&self) {
        self.streams.room().await;
    }

    /// The origin's limit of concurrent streams.
    pub(super) fn limit(&self) -> usize {
        self.streams.limit()
    }

    /// Whether it accepts no more requests: it has ended, or the origin has sent GOAWAY.
    pub(super) fn is_closed(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.streams.is_closed() || matches!(self.sender.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// The end of its last request; `None` while it has one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.streams.idle_since()
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &self,
        slot: Slot,
        request: Request<RequestBody>,
    ) -> Result<Response<Download>, SendError> {
        let (mut head, chunks) = request.into_parts();
        head.version = Version::HTTP_2;
        let opened = self.sender.clone().send_request(Request::from_parts(head, ()), chunks.is_end_stream());
        // h2 has not written a request that it rejects: the connection has ended, or has no more stream ids.
        let (response, mut stream) = opened.map_err(|error| {
            self.streams.close();
            SendError::unsent(error)
        })?;
        // The body is in memory anyway, so h2 may queue all of it. If h2 rejects it, the answer has the reason.
        let mut chunks = chunks.into_iter().peekable();
        while let Some(chunk) = chunks.next() {
            if stream.send_data(chunk, chunks.peek().is_none()).is_err() {
                break;
            }
        }
        let cancel = Cancel::new(stream);
        match answer(response).await {
            Ok(response) => Ok(response.map(|body| Download::new(body, cancel, slot))),
            Err((error, has_begun)) => {
                let unprocessed = !has_begun && guarantees_no_processing(&error);
                if unprocessed {
                    self.streams.close();
                }
                Err(SendError::of_stream(error, unprocessed))
            }
        }
    }
}

/// The final answer, or the error and whether an interim answer (1xx) arrived before: then the origin had begun to process the request,
/// whatever it sends later.
async fn answer(mut response: ResponseFuture) -> Result<Response<h2::RecvStream>, (h2::Error, bool)> {
    let mut has_begun = false;
    poll_fn(|cx| {
        while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
            has_begun = true;
        }
        Pin::new(&mut response).poll(cx)
    })
    .await
    .map_err(|error| (error, has_begun))
}

/// Whether the error of a stream without an answer means that the origin did not process its request (RFC 9113 §8.7). h2 ends a stream
/// with the origin's GOAWAY only where the stream's id is above the last one that the GOAWAY covers.
fn guarantees_no_processing(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    error.is_remote() && (error.is_go_away() || refused)
}

/// Runs the connection until it ends, or its path is dead.
async fn drive(mut connection: Driven, streams: Arc<Streams>) {
    let ping = connection.ping_pong();
    let mut path_is_dead = pin!(path_is_dead(ping, &streams));
    poll_fn(|cx| {
        let ended = Pin::new(&mut connection).poll(cx).map(drop);
        streams.set_limit(connection.max_concurrent_send_streams());
        if ended.is_pending() { path_is_dead.as_mut().poll(cx) } else { ended }
    })
    .await;
    // Before the streams receive their errors, so that no second attempt uses this connection.
    streams.close();
}

/// Ends when a PING is not answered. Without requests there is none: the pool does not keep such a connection for long.
async fn path_is_dead(ping: Option<PingPong>, streams: &Streams) {
    let Some(mut ping) = ping else { return std::future::pending().await };
    loop {
        sleep(PING).await;
        if streams.idle_since().is_none() && !matches!(timeout(PING, ping.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}
