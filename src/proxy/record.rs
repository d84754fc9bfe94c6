//! The known facts of one request and its response, from the events that an [`Exchange`](super::exchange::Exchange) observes. Pure:
//! times are arguments, and count from the request head.
//!
//! ```text
//! body_read → signed → attempt_started → response_head → head_forwarded → response_data, … → response_end → closed
//! ```
//!
//! * `attempt_failed` follows an attempt without a response. There is at most one more attempt, which is signed again.
//! * `failed` replaces Wonder's response by an error of our own; `response_broken` ends a response whose head was forwarded.
//! * `cancelled` and `drained` end a request that got no whole response.
//!
//! There is no event for "sent", because only the connection can determine whether a byte of the request was written. Events that depend
//! on it receive that fact as an argument.

use std::time::Duration;

use http::StatusCode;

use crate::{
    contract::{Code, Sent},
    metrics::Responder,
    net::drain::End,
    telemetry::{Phase, Phases},
};

/// The events of one request so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    attempts: u32,
    /// The start of the current attempt.
    attempt: Option<Duration>,
    response_head: Option<Duration>,
    response_end: Option<Duration>,
    status: Option<StatusCode>,
    /// The response is an error of our own.
    is_own: bool,
    error: Option<Code>,
    cause: Option<String>,
    cancelled: bool,
    /// Whether a request without a whole response of Wonder may have been sent.
    sent: Option<Sent>,
    request_bytes: u64,
    response_bytes: u64,
    phases: Phases,
    total: Duration,
}

/// Events.
impl Record {
    /// The last byte of the request body was read, `took` after the first read began.
    pub(super) fn body_read(&mut self, at: Duration, took: Duration, bytes: u64) {
        self.request_bytes = bytes;
        self.phases.body = Phase { ended: at, took };
    }

    /// The request was signed for its next attempt.
    pub(super) fn signed(&mut self, at: Duration, took: Duration) {
        self.phases.sign = Phase { ended: at, took };
        self.phases.signing += took;
    }

    /// The signed request was handed to the upstream client, which waits for a connection if no pooled one is idle.
    pub(super) fn attempt_started(&mut self, at: Duration) {
        self.attempts += 1;
        self.attempt = Some(at);
        (self.phases.connect, self.phases.upstream) = Default::default();
    }

    /// The attempt got no response: it ended on a connection, or while it waited for one.
    pub(super) fn attempt_failed(&mut self, at: Duration, sent: Sent) {
        let Some(started) = self.attempt.take() else { return };
        let phase = Phase { ended: at, took: at.saturating_sub(started) };
        self.phases.waiting += phase.took;
        match sent {
            Sent::No => self.phases.connect = phase,
            Sent::Maybe => self.phases.upstream = phase,
        }
    }

    /// The response head arrived on a connection that was ready for requests at `connected`. If that was after the attempt started,
    /// the attempt waited for it. Returns how long the attempt took.
    pub(super) fn response_head(&mut self, at: Duration, connected: Duration) -> Duration {
        let started = self.attempt.take().unwrap_or(at);
        let (took, waited) = (at.saturating_sub(started), connected.saturating_sub(started));
        if !waited.is_zero() {
            self.phases.connect = Phase { ended: connected, took: waited };
        }
        self.phases.upstream = Phase { ended: at, took: took.saturating_sub(waited) };
        self.phases.waiting += took;
        self.response_head = Some(at);
        took
    }

    /// Wonder's response head was forwarded. `cause` is the known cause of an error response.
    pub(super) fn head_forwarded(&mut self, status: StatusCode, cause: Option<String>) {
        self.status = Some(status);
        self.cause = cause;
    }

    /// A part of the response body was handed to the caller's connection.
    pub(super) fn response_data(&mut self, bytes: usize) {
        self.response_bytes += bytes as u64;
    }

    /// The last byte of the response was handed to the caller's connection. For a response of Wonder, returns how long after its head.
    pub(super) fn response_end(&mut self, at: Duration) -> Option<Duration> {
        self.response_end = Some(at);
        self.response_head.filter(|_| !self.is_own).map(|head| at.saturating_sub(head))
    }

    /// The request is answered with an error of our own.
    pub(super) fn failed(&mut self, at: Duration, status: StatusCode, code: Code, sent: Sent, cause: String) {
        self.attempt_failed(at, sent);
        self.status = Some(status);
        self.is_own = true;
        self.broken(code, sent, cause);
    }

    /// The response broke off after its head was forwarded. The caller does not get the rest.
    pub(super) fn response_broken(&mut self, code: Code, cause: String) {
        self.broken(code, Sent::Maybe, cause);
    }

    /// The caller closed its connection, or stopped reading, before the end of the response.
    pub(super) fn cancelled(&mut self, at: Duration, sent: Sent) {
        self.attempt_failed(at, sent);
        self.cancelled = true;
        self.sent = Some(sent);
    }

    /// The end of a drain closed the caller's connection before the end of the response.
    pub(super) fn drained(&mut self, at: Duration, sent: Sent, cause: String) {
        self.attempt_failed(at, sent);
        self.broken(Code::Draining, sent, cause);
    }

    /// No event follows.
    pub(super) fn closed(&mut self, at: Duration) {
        self.total = at;
        if let Some(head) = self.response_head {
            let ended = self.response_end.unwrap_or(at);
            self.phases.response = Phase { ended, took: ended.saturating_sub(head) };
        }
    }

    fn broken(&mut self, code: Code, sent: Sent, cause: String) {
        self.error = Some(code);
        self.sent = Some(sent);
        self.cause = Some(cause);
    }
}

/// The summary of the events.
impl Record {
    /// Whether neither the end of a response nor an error was recorded.
    pub(super) fn is_open(&self) -> bool {
        self.response_end.is_none() && self.error.is_none()
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The origin of the response.
    pub(super) fn responder(&self) -> Responder {
        if self.is_own { Responder::Signer } else { Responder::Upstream }
    }

    /// Whether the request was answered with an error of our own that the caller caused.
    pub(super) fn is_rejected(&self) -> bool {
        self.is_own && self.status.is_some_and(|status| status.is_client_error())
    }

    pub(super) fn error(&self) -> Option<Code> {
        self.error
    }

    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Whether the request may have been sent; `None` if a response of Wonder was forwarded whole.
    pub(super) fn sent(&self) -> Option<Sent> {
        self.sent
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn request_bytes(&self) -> u64 {
        self.request_bytes
    }

    pub(super) fn response_bytes(&self) -> u64 {
        self.response_bytes
    }

    pub(super) fn phases(&self) -> Phases {
        self.phases
    }

    /// From the request head to the close.
    pub(super) fn total(&self) -> Duration {
        self.total
    }

    /// The time that neither the caller nor Wonder took, for a request that Wonder answered.
    pub(super) fn added(&self) -> Option<Duration> {
        let Phases { body, waiting, response, .. } = self.phases;
        self.response_head.and(self.response_end)?;
        Some(self.total.saturating_sub(body.took + waiting + response.took))
    }

    /// The request's entry in the receipt of a drain.
    pub(super) fn end(&self) -> End {
        match self.error {
            Some(Code::Draining) => End::Cut(self.sent.unwrap_or(Sent::No)),
            Some(_) if !self.is_own => End::GivenUp,
            _ if self.response_end.is_some() => End::Answered,
            _ => End::GivenUp,
        }
    }
}

#[cfg(test)]
mod tests;
