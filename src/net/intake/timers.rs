//! The two timers of a connection: how long its peer sends nothing, and how long it reads nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What is due on a silent connection.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// The rest of a head, within this time.
    Head(Duration),
    /// The next request, within this time since then; no limit while a request is in flight.
    Since(Option<Instant>, Duration),
}

#[derive(Default)]
pub(super) struct Timers {
    /// The start of an unfinished head.
    head_since: Option<Instant>,
    silence: Option<Pin<Box<Sleep>>>,
    /// Runs while written bytes are unread by the peer.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Timers {
    /// The measured head is complete.
    pub(super) fn head_moved(&mut self) {
        self.head_since = None;
    }

    /// Changes the limit, which may be shorter than that of the running timer.
    pub(super) fn restart(&mut self, limit: Duration) {
        if let Some(silence) = &mut self.silence {
            silence.as_mut().reset(Instant::now() + limit);
        }
    }

    /// Ready when the peer has been silent for too long.
    ///
    /// No code polls this when a request ends, so the timer also runs while a request is in flight, and is set again when it elapses.
    pub(super) fn poll_silent(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<()> {
        let (since, limit) = match wait {
            Wait::Head(limit) => (Some(*self.head_since.get_or_insert_with(Instant::now)), limit),
            Wait::Since(since, limit) => (since, limit),
        };
        loop {
            // While a request is in flight, any timer that has not elapsed is good enough. One that elapses too early is set again,
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

    /// Whether written bytes are unread by the peer.
    pub(super) fn is_stalled(&self) -> bool {
        self.stall.is_some()
    }

    /// The result of a write, or an error if the peer reads nothing for `limit`, because its request would hold its slot forever.
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
