//! One connection, as far as requests see it.

use std::sync::Arc;

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use tokio::time::Instant;

use super::chunks::Chunks;
use crate::net::connect::Life;

/// A connection that takes one request at a time, or a handle of one that takes many.
pub(super) struct Connection {
    sender: Sender,
    life: Arc<Life>,
}

pub(super) enum Sender {
    Http1(http1::SendRequest<Chunks>),
    Http2(http2::SendRequest<Chunks>),
}

impl Connection {
    pub(super) fn new(sender: Sender, life: Arc<Life>) -> Self {
        Self { sender, life }
    }

    pub(super) fn is_http1(&self) -> bool {
        matches!(self.sender, Sender::Http1(_))
    }

    /// One more handle, where it takes many requests at a time.
    pub(super) fn handle(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self { sender: Sender::Http2(sender.clone()), life: Arc::clone(&self.life) }),
        }
    }

    /// Whether it takes a request now. One that has ended its last answer may still have to finish its request.
    pub(super) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// When it was ready for requests.
    pub(super) fn opened(&self) -> Instant {
        self.life.opened()
    }

    /// It gets no more requests because of its age.
    pub(super) fn retire(&self) {
        self.life.retire();
    }

    /// Sends a request and waits for the head of its answer. The error has the request where none of it was written.
    pub(super) async fn send(
        &mut self,
        request: Request<Chunks>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Chunks>>> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}
