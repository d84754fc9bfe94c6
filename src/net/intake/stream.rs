//! The guard as a stream: what hyper reads and writes.

use std::{
    io,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{Guard, HeadError, IN_PLACE, Position};
use crate::net::shutdown::Stage;

impl<S> Guard<S> {
    /// The result of a write, or an error if the peer has read nothing for too long.
    fn written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let stalled = self.timers.is_stalled();
        let written = self.timers.poll_written(written, self.limits.idle, cx);
        let stalls = self.timers.is_stalled();
        if stalled != stalls {
            self.state.stall(stalls);
            if !stalls
                && (self.state.stage() >= Stage::Closing || self.state.is_evicted() || self.state.is_half_closed())
            {
                // The connection may be idle now; reads check that, and the last read came before.
                cx.waker().wake_by_ref();
            }
        }
        written
    }
}

/// A stream that can end with a reset instead of an orderly close.
pub(crate) trait Socket {
    /// Whether closing resets the connection. It has no effect on a Unix socket, which has no reset.
    fn reset_at_close(&self, resets: bool);

    /// Whether the system has received bytes, of which the runtime is notified later.
    fn has_unread(&self) -> bool;
}

impl<S: Socket> Guard<S> {
    /// If only the end of the connection ends an answer, every end is a reset until the answer is whole, also when this task is aborted or
    /// the process dies.
    fn mark_unfinished(&self) {
        if self.state.ends_the_answer.load(Ordering::Relaxed) {
            self.stream.reset_at_close(true);
        }
    }
}

impl<S: AsyncRead + Socket + Unpin> AsyncRead for Guard<S> {
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
            match this.position {
                Position::Broken => return Poll::Ready(Ok(())),
                // The answer is written next, also to a peer that has closed its side.
                Position::Refused => return Poll::Pending,
                _ => {}
            }
            let before = buffer.filled().len();
            if Pin::new(&mut this.stream).poll_read(cx, buffer)?.is_pending() {
                let over = this.is_over();
                if !over {
                    ready!(this.poll_expired(cx));
                }
                if this.inbox.is_empty() {
                    // A request that has arrived by now is read when the runtime reports it.
                    return if this.stream.has_unread() { Poll::Pending } else { Poll::Ready(Ok(())) };
                }
                let refusal = if !over {
                    HeadError::HeadTimeout
                } else if this.state.is_evicted() {
                    HeadError::Evicted
                } else {
                    HeadError::Draining
                };
                this.refuse(refusal);
                continue;
            }
            let fresh = &buffer.filled()[before..];
            if fresh.is_empty() {
                if !this.is_half_closed() {
                    return Poll::Ready(Ok(()));
                }
                this.state.half_close();
                // hyper reads again after an answer, and the guard wakes it after an answer that the peer read slowly.
                return Poll::Pending;
            }
            this.arrived = Some(Instant::now());
            if this.inbox.is_empty() {
                let passed = this.vet(fresh);
                if !matches!(this.position, Position::Refused | Position::Broken) {
                    this.inbox.extend_from_slice(&fresh[passed..]);
                }
                buffer.set_filled(before + passed);
                this.timers.head_moved();
                if passed > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                let mut inbox = std::mem::take(&mut this.inbox);
                inbox.extend_from_slice(fresh);
                buffer.set_filled(before);
                let passed = this.vet(&inbox);
                if passed > 0 {
                    this.timers.head_moved();
                }
                this.outbox.extend_from_slice(&inbox[..passed]);
                if !matches!(this.position, Position::Refused | Position::Broken) {
                    inbox.advance(passed);
                    this.inbox = inbox;
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Socket + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.mark_unfinished();
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) && self.state.awaits_flush.swap(false, Ordering::Relaxed) {
            // The answer is cut. After a FIN some clients return what they have as the whole, though Content-Length says otherwise.
            self.stream.reset_at_close(true);
            cx.waker().wake_by_ref();
        }
        self.written(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // hyper shuts a connection down only after a whole answer.
        if this.state.ends_the_answer.swap(false, Ordering::Relaxed) {
            this.stream.reset_at_close(false);
        }
        if this.linger.is_none() {
            let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
            ready!(this.written(shut, cx))?;
        }
        let unfinished = !matches!(this.position, Position::Head) || !this.inbox.is_empty();
        let evicted = this.state.is_evicted();
        this.linger.get_or_insert_default().poll(&mut this.stream, unfinished, evicted, cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.mark_unfinished();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written, cx)
    }
}
