//! The client of one application: forwards verified webhooks over plain HTTP/1.1, to loopback or to a Unix socket as a rule.
//!
//! It is not the client of Wonder, because it needs no TLS, egress proxy, version negotiation or clock comparison, and a delivery may be
//! forwarded twice where a request to Wonder must not.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    time::{Instant, timeout_at},
};

use crate::{
    config,
    net::{listen::Stream, respond::chain, upstream::RequestBody},
};

/// How long an idle connection is kept. Servers keep theirs longer, so no webhook uses a connection that is being closed.
const IDLE: Duration = Duration::from_secs(1);
/// Idle connections kept.
const MOST_IDLE: usize = 32;
/// How long the body of an acknowledgement may take. It is read only so that the connection can be kept.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(1);
/// The largest body of an answer that is read.
const ANSWER: usize = 64 * 1024;
/// Header lines of an answer, as of Wonder's.
const ANSWER_HEADERS: usize = 256;

/// One application, with its idle connections.
pub(super) struct Application {
    place: config::Application,
    host: HeaderValue,
    idle: Mutex<Vec<(SendRequest<RequestBody>, Instant)>>,
}

/// A webhook as the application receives it.
#[derive(Clone)]
pub(super) struct Forwarded {
    pub(super) target: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
}

/// What the application answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<HeaderValue>,
    /// Empty if it did not arrive whole, or was larger than the limit.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("cannot be connected to: {0}")]
    Connect(io::Error),
    #[error("broke off: {}", chain(.0))]
    Broken(hyper::Error),
    #[error("gave no answer within {0:?} (webhook.forward_timeout)")]
    Late(Duration),
}

impl Application {
    pub(super) fn new(place: config::Application) -> Self {
        let host = match &place {
            config::Application::Http(origin) => origin.authority().parse().ok(),
            config::Application::Unix(_) => None,
        };
        Self { place, host: host.unwrap_or(HeaderValue::from_static("localhost")), idle: Mutex::default() }
    }

    /// Forwards a webhook and reads the answer, all within `limit`.
    pub(super) async fn forward(&self, mut webhook: Forwarded, limit: Duration) -> Result<Answer, NoAnswer> {
        let deadline = Instant::now() + limit;
        webhook.headers.insert(header::HOST, self.host.clone());
        let sending = timeout_at(deadline, self.send(webhook)).await;
        let (response, connection) = sending.unwrap_or(Err(NoAnswer::Late(limit)))?;
        let (mut head, body) = response.into_parts();
        // Wonder must not wait for an answer whose body does not end: the application has acknowledged the webhook with the head.
        let limit = if head.status.is_success() { deadline.min(Instant::now() + ACKNOWLEDGEMENT) } else { deadline };
        let body = timeout_at(limit, Limited::new(body, ANSWER).collect()).await;
        // The status decides, so a body that breaks off changes nothing.
        let body = body.ok().and_then(Result::ok).map(Collected::to_bytes);
        if body.is_some() && head.status.is_success() {
            self.keep(connection);
        }
        Ok(Answer {
            status: head.status,
            content_type: head.headers.remove(header::CONTENT_TYPE),
            body: body.unwrap_or_default(),
        })
    }

    async fn send(&self, webhook: Forwarded) -> Result<(Response<Incoming>, SendRequest<RequestBody>), NoAnswer> {
        let mut request = webhook.into_request();
        while let Some(mut connection) = self.idle_connection() {
            match connection.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                // The application closed it, and no byte was written.
                Err(mut error) => match error.take_message() {
                    Some(message) => request = message,
                    None => return Err(NoAnswer::Broken(error.into_error())),
                },
            }
        }
        let mut connection = self.connect().await?;
        let response = connection.send_request(request).await.map_err(NoAnswer::Broken)?;
        Ok((response, connection))
    }

    async fn connect(&self) -> Result<SendRequest<RequestBody>, NoAnswer> {
        let stream = match &self.place {
            config::Application::Http(origin) => {
                let stream = TcpStream::connect((origin.host(), origin.port())).await;
                stream.and_then(|stream| stream.set_nodelay(true).map(|()| Stream::Tcp(stream)))
            }
            config::Application::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        };
        let stream = TokioIo::new(stream.map_err(NoAnswer::Connect)?);
        let begun = http1::Builder::new().max_headers(ANSWER_HEADERS).handshake(stream).await;
        let (sender, connection) = begun.map_err(NoAnswer::Broken)?;
        // The request on it receives its error.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }

    fn idle_connection(&self) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle();
        let now = Instant::now();
        idle.retain(|(connection, since)| !connection.is_closed() && now < *since + IDLE);
        // The most recently used one, so that the others become idle and are closed.
        let ready = idle.iter().rposition(|(connection, _)| connection.is_ready())?;
        Some(idle.swap_remove(ready).0)
    }

    fn keep(&self, connection: SendRequest<RequestBody>) {
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push((connection, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(SendRequest<RequestBody>, Instant)>> {
        // Nothing panics while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forwarded {
    fn into_request(self) -> Request<RequestBody> {
        let mut request = Request::new(self.body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.into();
        *request.headers_mut() = self.headers;
        request
    }
}
