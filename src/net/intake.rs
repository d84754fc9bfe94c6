//! Stands between a downstream connection and hyper's server, and lets through only HTTP/1 that can be read in one way.
//!
//! hyper is as lenient as the standard allows: it takes a repeated `Content-Length`, lets `Transfer-Encoding` win over
//! `Content-Length`, and cuts a `#fragment` off a target without a word. Before something that moves money, whatever two
//! readers might read differently is refused, with a reason. A refused head is kept from hyper; a harmless one goes in
//! its place, and the service that is called with it finds the [`Refusal`] and answers it in the error contract.
//!
//! Bytes are looked at where the socket put them; only a head that comes in pieces is held back and copied. HTTP/2 with
//! prior knowledge passes as it is: its framing leaves nothing to guess.
//!
//! This is also where a connection runs out of time that has nothing to say, or does not take what it is told.

mod chunks;
mod head;
mod line;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use self::{
    chunks::Chunks,
    head::{Framing, Scan, Search},
};
pub use head::Refusal;
pub use line::{Active, Line};

/// How HTTP/2 with prior knowledge begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What hyper reads in place of a refused head.
const IN_PLACE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// How much is read and thrown away at the end, so that what a peer had still sent does not reset the connection under
/// the answer.
const LINGER: usize = 256 * 1024;
/// How long a peer that is told goodbye may say nothing at all before it is taken for gone.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a head may be, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Header lines.
    pub headers: usize,
    /// Bytes of request line and headers together.
    pub header_bytes: usize,
    /// From a head's first byte to its last; also from accept to the first byte.
    pub head: Duration,
    /// Between two requests; and between two bytes of what is written, which is how long a peer may leave an answer untaken.
    pub idle: Duration,
}

/// A connection whose incoming bytes are vetted.
pub struct Guard<S> {
    stream: S,
    line: Arc<Line>,
    limits: Limits,
    stage: Stage,
    /// Whole heads so far.
    heads: usize,
    /// Part of a head, held back.
    inbox: BytesMut,
    /// How far `inbox` has been searched for its end.
    search: Search,
    /// Vetted, not yet read.
    outbox: BytesMut,
    /// Whether the stand-in for a refused head comes next, after what was vetted before it.
    refusing: bool,
    /// When the head that is held back began.
    head_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Runs while the peer has yet to take what was written.
    stall: Option<Pin<Box<Sleep>>>,
    /// When the peer first said anything after it was told goodbye.
    heard: Option<Instant>,
}

enum Stage {
    /// Not a byte yet, or too few to tell the version.
    Opening,
    Head,
    Length(u64),
    Chunked(Chunks),
    Http2,
    /// A head was refused: nothing more gets through, while the answer does.
    Refused,
    /// A body whose end cannot be known: to the reader it ends here, short.
    Broken,
}

impl<S> Guard<S> {
    /// Puts a guard on `stream`; `line` is shared with the service.
    pub fn new(stream: S, line: Arc<Line>, limits: Limits) -> Self {
        Self {
            stream,
            line,
            limits,
            stage: Stage::Opening,
            heads: 0,
            inbox: BytesMut::new(),
            search: Search::default(),
            outbox: BytesMut::new(),
            refusing: false,
            head_since: None,
            timer: None,
            stall: None,
            heard: None,
        }
    }

    /// Says how many of `bytes`, from the front, may pass now.
    fn vet(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let rest @ [first, ..] = &bytes[passed..] {
            match &mut self.stage {
                Stage::Opening if rest.starts_with(PREFACE) => self.open(Stage::Http2),
                Stage::Opening if PREFACE.starts_with(rest) => break,
                Stage::Opening => self.open(Stage::Head),
                Stage::Http2 => {
                    if self.heard.is_none() && self.line.is_leaving() {
                        self.heard = Some(Instant::now());
                    }
                    passed = bytes.len();
                }
                // An empty line before a request line is to be ignored (RFC 9112 §2.2).
                Stage::Head if rest.starts_with(b"\r\n") => passed += 2,
                Stage::Head if *first == b'\r' && rest.len() == 1 => break,
                Stage::Head => match self.vet_head(rest) {
                    Some(length) => passed += length,
                    None => break,
                },
                Stage::Length(left) => {
                    let taken = usize::try_from(*left).map_or(rest.len(), |left| rest.len().min(left));
                    *left -= taken as u64;
                    passed += taken;
                    if *left == 0 {
                        self.stage = Stage::Head;
                    }
                }
                Stage::Chunked(chunks) => {
                    passed += chunks.pass(rest);
                    if chunks.ended() {
                        self.stage = Stage::Head;
                    } else if chunks.broken() {
                        self.stage = Stage::Broken;
                    }
                }
                Stage::Refused | Stage::Broken => break,
            }
        }
        passed
    }

    /// The peer has shown its protocol.
    fn open(&mut self, stage: Stage) {
        self.stage = stage;
        self.line.idle();
        // From here on another limit holds, and nobody may ask before it has run out.
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(Instant::now() + self.limits.idle);
        }
    }

    /// The length of the head that `rest` begins with, if it is whole and good.
    fn vet_head(&mut self, rest: &[u8]) -> Option<usize> {
        let framing = match head::scan(rest, &mut self.search) {
            Scan::Partial if rest.len() > self.limits.header_bytes => Err(Refusal::HeadTooLarge),
            Scan::Partial => return None,
            Scan::Wrong(refusal) => Err(refusal),
            Scan::Whole(length) if length > self.limits.header_bytes => Err(Refusal::HeadTooLarge),
            Scan::Whole(length) => {
                head::check(&rest[..length], self.search, self.limits.headers).map(|framing| (length, framing))
            }
        };
        match framing {
            Ok((length, framing)) => {
                self.heads += 1;
                self.search = Search::default();
                self.stage = match framing {
                    Framing::None => Stage::Head,
                    Framing::Length(length) => Stage::Length(length),
                    Framing::Chunked => Stage::Chunked(Chunks::default()),
                };
                Some(length)
            }
            Err(refusal) => {
                self.refuse(refusal);
                None
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refusing = self.line.refused.set((self.heads, refusal)).is_ok();
        self.inbox.clear();
        self.stage = Stage::Refused;
    }

    /// What came of writing; an error if the peer has taken nothing for too long, or else it could hold a request's place for ever.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            // Reading, which is where other time is kept, came before.
            if self.stall.take().is_some() && self.line.is_leaving() {
                cx.waker().wake_by_ref();
            }
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(self.limits.idle)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the caller takes nothing of what is written (timeouts.idle)",
        )))
    }

    /// Whether the peer has had long enough to say something.
    ///
    /// It is asked when there is nothing to read. Nobody asks again when a request ends, so there is a timer while one is
    /// at work too; when it runs out it is set anew.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (since, limit) = match self.stage {
                Stage::Opening => (Some(self.line.opened), self.limits.head),
                Stage::Head if !self.inbox.is_empty() => {
                    (Some(*self.head_since.get_or_insert_with(Instant::now)), self.limits.head)
                }
                Stage::Http2 if let Some(leaving) = self.line.leaving_since() => {
                    // Who answers is waited for by the HTTP library, which ends the connection when all has been said. The end of
                    // an answer may still be on its way, to a slow reader or one with a small window.
                    let gone = self.heard.is_none() && self.stall.is_none();
                    let limit = if gone { FAREWELL } else { FAREWELL.max(self.limits.idle) };
                    (self.line.idle_since().map(|idle| idle.max(self.heard.unwrap_or(leaving))), limit)
                }
                Stage::Head | Stage::Http2 => (self.line.idle_since(), self.limits.idle),
                _ => return Poll::Pending,
            };
            // Any timer that has not run out will do for now: one that runs out too early is set anew then, which is cheaper
            // than setting it, or reading the clock, for every request. One that runs out too late must not hold up the end.
            if since.is_none()
                && !self.line.is_leaving()
                && let Some(timer) = self.timer.as_mut().filter(|timer| !timer.is_elapsed())
            {
                ready!(timer.as_mut().poll(cx));
                continue;
            }
            let now = Instant::now();
            let deadline = since.unwrap_or(now) + limit;
            if since.is_some() && now >= deadline {
                return Poll::Ready(());
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.deadline() > deadline || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.outbox.is_empty() {
                let taken = this.outbox.len().min(buffer.remaining());
                buffer.put_slice(&this.outbox[..taken]);
                this.outbox.advance(taken);
                return Poll::Ready(Ok(()));
            }
            if std::mem::take(&mut this.refusing) {
                this.outbox.extend_from_slice(IN_PLACE);
                continue;
            }
            if matches!(this.stage, Stage::Broken) {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            if Pin::new(&mut this.stream).poll_read(cx, buffer)?.is_pending() {
                ready!(this.poll_expired(cx));
                // An end without a word leaves who has just sent a request in doubt, where HTTP/2 has a word for it: GOAWAY
                // (RFC 9113 §6.8). So it is asked for, and the connection is read on.
                if matches!(this.stage, Stage::Http2) && this.line.leave() {
                    continue;
                }
                if this.inbox.is_empty() || matches!(this.stage, Stage::Opening) {
                    return Poll::Ready(Ok(()));
                }
                this.refuse(Refusal::HeadTimeout);
                continue;
            }
            let fresh = &buffer.filled()[before..];
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if this.inbox.is_empty() {
                let passed = this.vet(fresh);
                if !matches!(this.stage, Stage::Refused | Stage::Broken) {
                    this.inbox.extend_from_slice(&fresh[passed..]);
                }
                buffer.set_filled(before + passed);
                this.head_since = None;
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                let mut inbox = std::mem::take(&mut this.inbox);
                inbox.extend_from_slice(fresh);
                buffer.set_filled(before);
                let passed = this.vet(&inbox);
                if passed > 0 {
                    this.head_since = None;
                }
                this.outbox.extend_from_slice(&inbox[..passed]);
                if !matches!(this.stage, Stage::Refused | Stage::Broken) {
                    inbox.advance(passed);
                    this.inbox = inbox;
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        ready!(self.written(shut, cx))?;
        let mut scrap = [0; 4096];
        for _ in 0..LINGER / scrap.len() {
            let mut buffer = ReadBuf::new(&mut scrap);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written, cx)
    }
}

#[cfg(test)]
mod tests;
