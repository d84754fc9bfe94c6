//! The lingering close: closing a connection with unread bytes resets it, and a reset may destroy an answer that the peer has not read
//! (RFC 9112 §9.6). So after the FIN, arriving bytes are read and discarded for a while.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a peer may still send the rest of an answered request, and how much.
const LONGEST: Duration = Duration::from_secs(2);
/// The same for an evicted connection, whose buffers are needed.
const EVICTED: Duration = Duration::from_millis(100);
const MOST: usize = 64 << 20;
/// How much is discarded if no request has begun.
const BETWEEN: usize = 256 << 10;

#[derive(Default)]
pub(super) struct Linger {
    discarded: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Linger {
    /// Ready when the peer has closed its side too, or has exceeded a limit. With `unfinished`, a part of a request has not been read;
    /// otherwise only bytes that have already arrived are discarded.
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        unfinished: bool,
        evicted: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut scrap = [0; 8192];
        let most = if unfinished { MOST } else { BETWEEN };
        while self.discarded < most {
            let mut buffer = ReadBuf::new(&mut scrap);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.discarded += buffer.filled().len(),
                Poll::Pending if unfinished => {
                    ready!(
                        self.timer
                            .get_or_insert_with(|| Box::pin(sleep(if evicted { EVICTED } else { LONGEST })))
                            .as_mut()
                            .poll(cx)
                    );
                    break;
                }
                // An end or an error: either the peer no longer reads, or no unread byte can destroy the answer.
                _ => break,
            }
        }
        Poll::Ready(())
    }
}
