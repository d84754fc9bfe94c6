//! The two timers of a connection: how long its peer sends nothing, and how long it reads nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What a silent connection waits for.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// The rest of a head, within this time.
    Head(Duration),
    /// The next request, for so long since then; none while a request is in flight.
    Since(Option<Instant>, Duration),
}

#[derive(Default)]
pub(super) struct Clock {
    /// When the head began of which only a part has arrived.
    head_since: Option<Instant>,
    silence: Option<Pin<Box<Sleep>>>,
    /// Runs while the peer has yet to read what was written.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    /// The head whose time is measured is complete.
    pub(super) fn head_moved(&mut self) {
        self.head_since = None;
    }

    /// The limit is now `limit`, which may be shorter than the one the timer was set for.
    pub(super) fn restart(&mut self, limit: Duration) {
        if let Some(silence) = &mut self.silence {
            silence.as_mut().reset(Instant::now() + limit);
        }
    }

    /// Ready when the peer has been silent for too long.
    ///
    /// Nothing polls this when a request ends, so the timer also runs while one is in flight; it is set again when it elapses.
    pub(super) fn poll_silent(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<()> {
        let (since, limit) = match wait {
            Wait::Head(limit) => (Some(*self.head_since.get_or_insert_with(Instant::now)), limit),
            Wait::Since(since, limit) => (since, limit),
        };
        loop {
            // With a request in flight any timer that has not elapsed will do. One that elapses too early is set again then,
            // which is cheaper than setting it, or reading the clock, for every request.
            if since.is_none()
                && let Some(silence) = self.silence.as_mut().filter(|silence| !silence.is_elapsed())
            {
                ready!(silence.as_mut().poll(cx));
                continue;
            }
            let now = Instant::now();
            let deadline = since.unwrap_or(now) + limit;
            if since.is_some() && now >= deadline {
                return Poll::Ready(());
            }
            let silence = self.silence.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if silence.deadline() > deadline || silence.is_elapsed() {
                silence.as_mut().reset(deadline);
            }
            ready!(silence.as_mut().poll(cx));
        }
    }

    /// Whether the peer has yet to read what was written.
    pub(super) fn is_stalled(&self) -> bool {
        self.stall.is_some()
    }

    /// The outcome of a write. A peer that reads nothing for `limit` is an error, because its request would hold its place for ever.
    pub(super) fn poll_written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the caller reads nothing of the answer (timeouts.idle)",
        )))
    }
}
