//! One connection for one request, and the body of its answer.

use std::sync::Arc;

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http1};

use super::{
    failure::SendError,
    http2::{Download, Http2, Slot},
    request_body::RequestBody,
};
use crate::net::{connect::Life, response_head};

/// A connection for one request.
pub(super) enum Connection {
    Http1(Http1),
    /// A stream of a shared connection.
    Http2(Http2, Slot),
}

/// The body of an answer, as the version of HTTP frames it.
pub(super) enum Source {
    /// The connection, until it returns to the pool.
    Http1(Incoming, Option<Http1>),
    Http2(Box<Download>),
}

/// A connection that takes one request at a time.
pub(super) struct Http1 {
    sender: http1::SendRequest<RequestBody>,
    life: Arc<Life>,
}

impl Http1 {
    pub(super) fn new(sender: http1::SendRequest<RequestBody>, life: Arc<Life>) -> Self {
        Self { sender, life }
    }

    /// Whether it accepts a request now. After an answer the connection may still have to send the rest of the last request.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }
}

impl Connection {
    pub(super) fn is_http1(&self) -> bool {
        matches!(self, Self::Http1(_))
    }

    /// The connection's age and peer.
    pub(super) fn life(&self) -> &Life {
        match self {
            Self::Http1(connection) => connection.life(),
            Self::Http2(connection, _) => connection.life(),
        }
    }

    /// Sends a request and waits for the head of its answer. The body owns the connection.
    pub(super) async fn send(self, request: Request<RequestBody>) -> Result<Response<Source>, SendError> {
        match self {
            Self::Http1(mut connection) => {
                let method = request.method().clone();
                let response = connection.sender.try_send_request(request).await;
                let response = response.map_err(|error| SendError::from(error).explained(&connection.life))?;
                // If the origin sends a body that an answer cannot have, the next request on the connection would receive it as an answer.
                let kept = response_head::has_body(&method, response.status()).then_some(connection);
                Ok(response.map(|body| Source::Http1(body, kept)))
            }
            Self::Http2(connection, slot) => {
                let response = connection.send(slot, request).await;
                let response = response.map_err(|error| error.explained(connection.life()))?;
                Ok(response.map(|body| Source::Http2(Box::new(body))))
            }
        }
    }
}
