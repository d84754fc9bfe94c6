//! Strict framing in front of hyper's server: only HTTP/1 that every parser reads in the same way reaches it.
//!
//! The code is our own because hyper is as lenient as the standard allows, and has no setting that changes it: it accepts a repeated
//! `Content-Length`, lets `Transfer-Encoding` override `Content-Length`, and removes a `#fragment` from a target. Requests here move
//! money, so bytes that two readers could read differently are rejected with a reason. hyper does not receive a rejected head. It reads
//! a harmless one in its place, and the service that is called with it finds the [`HeadError`] and answers in the error contract.
//!
//! The guard reads bytes in the buffer into which the socket wrote them. Only a head that arrives in several reads is copied. HTTP/2 is
//! rejected, because the signed target would be the output of an HTTP/2 library and not the caller's bytes.
//!
//! `timers` has the idle and write timers: it ends a connection whose peer sends nothing, or reads nothing. `linger` closes a connection
//! so that the last answer arrives. `stream` has what hyper reads and writes.

mod chunked;
mod head;
mod linger;
mod state;
mod stream;
mod timers;

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use self::{
    chunked::ChunkedBody,
    head::{Framing, Scan, Search},
    linger::Linger,
    timers::{Timers, Wait},
};
use super::shutdown::Stage;
pub(crate) use head::HeadError;
pub(crate) use state::{Active, ConnectionState};
pub(crate) use stream::Socket;

/// A peer that closes its sending side within this time after its last byte still waits for the answers. A peer that closes it later
/// has given up.
const HALF_CLOSE: Duration = Duration::from_millis(250);
/// The head that hyper reads in place of a rejected one.
const IN_PLACE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The limits of a head, in size and time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IntakeLimits {
    /// Header lines.
    pub(crate) headers: usize,
    /// Bytes of request line and headers together.
    pub(crate) header_bytes: usize,
    /// From a head's first byte to its last; also from accept to the first byte of the first head.
    pub(crate) head: Duration,
    /// Between two requests; also how long a peer may leave an answer unread.
    pub(crate) idle: Duration,
}

/// A connection with checked inbound bytes.
pub(crate) struct Guard<S> {
    stream: S,
    state: Arc<ConnectionState>,
    limits: IntakeLimits,
    position: Position,
    /// The permit of a connection whose first head is not complete.
    opening: Option<OwnedSemaphorePermit>,
    /// Part of a head, held back.
    inbox: BytesMut,
    /// The state of the search for the head's end in `inbox`.
    search: Search,
    /// Checked, not yet read by hyper.
    outbox: BytesMut,
    /// Whether hyper reads [`IN_PLACE`] next, after the bytes of earlier requests.
    refusing: bool,
    timers: Timers,
    linger: Option<Linger>,
    /// The arrival time of the last bytes.
    arrived: Option<Instant>,
}

enum Position {
    Head,
    Length(u64),
    Chunked(ChunkedBody),
    /// A head was rejected: the guard reads no more, and the answer is written.
    Refused,
    /// A body has no valid end: for hyper the connection ends within it.
    Broken,
}

impl<S> Guard<S> {
    /// Puts a guard on `stream`; `state` is shared with the service.
    pub(crate) fn new(stream: S, state: Arc<ConnectionState>, limits: IntakeLimits) -> Self {
        Self {
            stream,
            state,
            limits,
            position: Position::Head,
            opening: None,
            inbox: BytesMut::new(),
            search: Search::default(),
            outbox: BytesMut::new(),
            refusing: false,
            timers: Timers::default(),
            linger: None,
            arrived: None,
        }
    }

    /// The same, with a permit that is returned when the first head is complete.
    #[must_use]
    pub(crate) fn opening(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.opening = Some(permit);
        self
    }

    /// Returns how many of `bytes`, from the front, may be forwarded now.
    fn vet(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let rest @ [first, ..] = &bytes[passed..] {
            match &mut self.position {
                // An empty line before a request line is ignored (RFC 9112 §2.2).
                Position::Head if rest.starts_with(b"\r\n") => passed += 2,
                Position::Head if *first == b'\r' && rest.len() == 1 => break,
                Position::Head => match self.vet_head(rest) {
                    Some(length) => passed += length,
                    None => break,
                },
                Position::Length(left) => {
                    let taken = usize::try_from(*left).map_or(rest.len(), |left| rest.len().min(left));
                    *left -= taken as u64;
                    passed += taken;
                    if *left == 0 {
                        self.position = Position::Head;
                    }
                }
                Position::Chunked(chunks) => {
                    passed += chunks.pass(rest);
                    if chunks.ended() {
                        self.position = Position::Head;
                    } else if chunks.broken() {
                        self.position = Position::Broken;
                    }
                }
                Position::Refused | Position::Broken => break,
            }
        }
        passed
    }

    /// The length of the head that `rest` begins with, if it is complete and valid.
    fn vet_head(&mut self, rest: &[u8]) -> Option<usize> {
        let framing = match head::scan(rest, &mut self.search) {
            Scan::Partial if rest.len() > self.limits.header_bytes => Err(HeadError::HeadTooLarge),
            Scan::Partial => return None,
            Scan::Wrong(refusal) => Err(refusal),
            Scan::Whole(length) if length > self.limits.header_bytes => Err(HeadError::HeadTooLarge),
            Scan::Whole(length) => {
                head::check(&rest[..length], self.search, self.limits.headers).map(|framing| (length, framing))
            }
        };
        match framing {
            Ok((length, framing)) => {
                if self.state.heads.fetch_add(1, Ordering::Relaxed) == 0 {
                    // From now on the shorter of the two limits may apply.
                    self.timers.restart(self.limits.idle);
                    self.opening = None;
                }
                self.search = Search::default();
                self.position = match framing {
                    Framing::None => Position::Head,
                    Framing::Length(length) => Position::Length(length),
                    Framing::Chunked => Position::Chunked(ChunkedBody::default()),
                };
                Some(length)
            }
            Err(refusal) => {
                self.refuse(refusal);
                None
            }
        }
    }

    fn refuse(&mut self, refusal: HeadError) {
        self.refusing = self.state.refused.set((self.heads(), refusal)).is_ok();
        self.inbox.clear();
        self.position = Position::Refused;
    }

    fn heads(&self) -> usize {
        self.state.heads.load(Ordering::Relaxed)
    }

    /// Called when there is nothing to read: whether a drain or an eviction ends the connection or the unfinished head.
    fn is_over(&self) -> bool {
        match self.position {
            // With an answer that the peer has yet to read, the connection is not idle.
            Position::Head if self.inbox.is_empty() => {
                (self.state.stage() >= Stage::Closing || self.state.is_evicted())
                    && self.state.idle_since().is_some()
                    && !self.timers.is_stalled()
            }
            Position::Head => self.state.stage() == Stage::Over || self.state.is_evicted(),
            _ => false,
        }
    }

    /// Whether the peer has closed only its sending side, right after its requests, and still reads answers. hyper treats the end of the
    /// inbound bytes as the end of the connection, so it must not read that end before the answers are written. A peer that gives up closes
    /// both sides, which looks the same but happens later.
    fn is_half_closed(&self) -> bool {
        let body_is_awaited = !matches!(self.position, Position::Head) && self.state.awaits_body();
        let answers = self.state.idle_since().is_none() || self.timers.is_stalled();
        answers
            && !body_is_awaited
            && (self.state.is_half_closed() || self.arrived.is_some_and(|arrived| arrived.elapsed() < HALF_CLOSE))
    }

    /// Ready when the peer has been silent for too long. Polled when there is nothing to read.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wait = match self.position {
            Position::Head if !self.inbox.is_empty() => Wait::Head(self.limits.head),
            Position::Head if self.heads() == 0 => Wait::Since(Some(self.state.opened), self.limits.head),
            Position::Head => Wait::Since(self.state.idle_since(), self.limits.idle),
            _ => return Poll::Pending,
        };
        self.timers.poll_silent(wait, cx)
    }
}

#[cfg(test)]
mod tests;
