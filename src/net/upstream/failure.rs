//! Why a request received no answer, and whether the origin may have received it.

use std::{borrow::Cow, io, sync::Arc};

use http::Request;
use hyper::client::conn::TrySendError;

use super::request_body::RequestBody;
use crate::{
    contract::{Code, Sent},
    net::{
        connect::{ConnectError, Life, Step},
        respond::Failure,
    },
};

/// The reason why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// No connection: nothing was written.
    #[error("no connection")]
    Connect(#[source] Arc<ConnectError>),
    /// A connection that does not begin HTTP/2: nothing was written.
    #[error("the origin does not begin HTTP/2 (upstream.http_version)")]
    NoHttp2(#[source] Arc<io::Error>),
    /// No stream on any HTTP/2 connection: nothing was written.
    #[error(
        "no HTTP/2 stream was free within timeouts.connect; the origin allows {limit} on each connection \
         (SETTINGS_MAX_CONCURRENT_STREAMS)"
    )]
    NoStream {
        /// How many streams the origin allows on a connection.
        limit: usize,
    },
    /// The connection was found closed before anything of the request was written to it.
    #[error("the connection was closed before the request was written")]
    Unsent(#[source] Cause),
    /// The origin returned the request with the guarantee that it had not processed it (RFC 9113 §8.7).
    #[error("the origin refused the request before processing it")]
    Unprocessed(#[source] Cause),
    /// The origin rejected the TLS connection after our part of the handshake had ended.
    #[error("the origin rejected the TLS connection")]
    Rejected {
        /// The remedy, without text of the origin.
        advice: &'static str,
        /// Whether the request may have been written before.
        sent: Sent,
        /// The alert of the origin.
        #[source]
        cause: Cause,
    },
    /// The answer is not HTTP.
    #[error("the answer is not valid HTTP")]
    BadResponse(#[source] Cause),
    /// The connection broke after some of the request may have been written.
    #[error("the connection broke before the answer")]
    Broken(#[source] Cause),
}

type Cause = Arc<dyn std::error::Error + Send + Sync>;

impl SendError {
    /// Whether the request certainly was not processed; in most cases no byte of it was written.
    #[must_use]
    pub fn sent(&self) -> Sent {
        match self {
            Self::Connect(_) | Self::NoHttp2(_) | Self::NoStream { .. } | Self::Unsent(_) | Self::Unprocessed(_) => {
                Sent::No
            }
            Self::Rejected { sent, .. } => *sent,
            Self::BadResponse(_) | Self::Broken(_) => Sent::Maybe,
        }
    }

    /// Whether a second attempt may help and is safe.
    #[must_use]
    pub fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_be_tried_again(),
            Self::Unsent(_) | Self::Unprocessed(_) => true,
            Self::NoHttp2(_)
            | Self::NoStream { .. }
            | Self::Rejected { .. }
            | Self::BadResponse(_)
            | Self::Broken(_) => false,
        }
    }

    /// The failure of a connection that ended before it had a request.
    pub(super) fn unsent(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unsent(Arc::new(error))
    }

    pub(super) fn no_http2(error: io::Error) -> Self {
        Self::NoHttp2(Arc::new(error))
    }

    /// The same error, or the reason that the origin sent for ending the connection.
    pub(super) fn explained(self, life: &Life) -> Self {
        let Some(trouble) = life.rejection() else { return self };
        let cause = Arc::new(io::Error::other(trouble.detail.clone()));
        Self::Rejected { advice: trouble.advice, sent: self.sent(), cause }
    }

    /// A stream that ended without an answer. An error that h2 detects itself means that the origin violated the protocol.
    pub(super) fn of_stream(error: h2::Error, unprocessed: bool) -> Self {
        match (unprocessed, error.is_library()) {
            (true, _) => Self::Unprocessed(Arc::new(error)),
            (false, true) => Self::BadResponse(Arc::new(error)),
            (false, false) => Self::Broken(Arc::new(error)),
        }
    }
}

impl From<ConnectError> for SendError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Arc::new(error))
    }
}

impl From<TrySendError<Request<RequestBody>>> for SendError {
    fn from(error: TrySendError<Request<RequestBody>>) -> Self {
        // hyper returns a request only if it has written nothing of it.
        let unwritten = error.message().is_some();
        let error = error.into_error();
        let is_parse = error.is_parse();
        let error = Arc::new(error);
        if unwritten {
            Self::Unsent(error)
        } else if is_parse {
            Self::BadResponse(error)
        } else {
            Self::Broken(error)
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let (code, message) = match &error {
            SendError::Connect(error) => {
                let code = match error.step {
                    Step::Dns => Code::UpstreamDns,
                    Step::Tcp | Step::Tunnel(_) => Code::UpstreamConnect,
                    Step::Tls => Code::UpstreamTls,
                };
                let message: Cow<'static, str> = match (error.step, error.proxied) {
                    (Step::Tls, _) => match error.advice {
                        Some(advice) => format!("no TLS connection to the origin: {advice}").into(),
                        None => "no TLS connection to the origin".into(),
                    },
                    // Its text has steps, keys and a status, and no text from the network.
                    (_, true) => error.to_string().into(),
                    (Step::Dns, false) => "the name of the origin cannot be resolved".into(),
                    (Step::Tcp | Step::Tunnel(_), false) => "no connection to the origin".into(),
                };
                (code, message)
            }
            SendError::NoHttp2(_) | SendError::NoStream { .. } => (Code::UpstreamConnect, error.to_string().into()),
            SendError::Unsent(_) => (Code::UpstreamConnect, "the origin keeps closing connections".into()),
            SendError::Unprocessed(_) => {
                let message = "the origin refused the request before processing it (HTTP/2 GOAWAY or REFUSED_STREAM)";
                (Code::UpstreamConnect, message.into())
            }
            SendError::Rejected { advice, .. } => {
                (Code::UpstreamTls, format!("no TLS connection to the origin: {advice}").into())
            }
            SendError::BadResponse(cause) => {
                let error = cause.downcast_ref::<hyper::Error>();
                let message = match error {
                    Some(error) if error.is_parse_too_large() => {
                        "the head of the origin's answer is too large (limits.response_headers, limits.response_header_bytes), \
                         or the length that it declares"
                    }
                    Some(_) => "the origin did not answer in valid HTTP",
                    None => {
                        "the origin did not answer in valid HTTP/2, or the head of its answer is too large \
                         (limits.response_header_bytes)"
                    }
                };
                (Code::UpstreamBadResponse, message.into())
            }
            SendError::Broken(_) => {
                (Code::UpstreamReset, "the connection to the origin broke before the answer".into())
            }
        };
        Self::new(code, message).with_sent(error.sent()).because(&error)
    }
}
