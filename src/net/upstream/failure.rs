//! Why a request got no answer, and what is certain about its bytes.

use std::{borrow::Cow, sync::Arc};

use http::Request;
use hyper::client::conn::TrySendError;

use super::chunks::Chunks;
use crate::{
    metrics::Sent,
    net::{
        connect::{ConnectError, Step},
        respond::{Code, Failure},
    },
};

/// Why no answer came.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// No connection: nothing was written.
    #[error("no connection")]
    Connect(#[source] Arc<ConnectError>),
    /// The connection was found closed before anything of the request was written to it.
    #[error("the connection was closed before the request was written")]
    Unsent(#[source] Arc<hyper::Error>),
    /// What came back is not HTTP.
    #[error("the answer is not valid HTTP")]
    BadResponse(#[source] Arc<hyper::Error>),
    /// The connection broke after some of the request may have been written.
    #[error("the connection broke before the answer")]
    Broken(#[source] Arc<hyper::Error>),
}

impl SendError {
    /// Whether it is certain that no byte of the request was written.
    #[must_use]
    pub fn sent(&self) -> Sent {
        match self {
            Self::Connect(_) | Self::Unsent(_) => Sent::No,
            Self::BadResponse(_) | Self::Broken(_) => Sent::Maybe,
        }
    }

    /// Whether a second attempt may help and can do no harm.
    #[must_use]
    pub fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_be_tried_again(),
            Self::Unsent(_) => true,
            Self::BadResponse(_) | Self::Broken(_) => false,
        }
    }

    /// A connection that ended before it had a request.
    pub(super) fn unsent(error: hyper::Error) -> Self {
        Self::Unsent(Arc::new(error))
    }
}

impl From<ConnectError> for SendError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Arc::new(error))
    }
}

impl From<TrySendError<Request<Chunks>>> for SendError {
    fn from(error: TrySendError<Request<Chunks>>) -> Self {
        // hyper hands back what it has written nothing of, and only that.
        let unwritten = error.message().is_some();
        let error = Arc::new(error.into_error());
        if unwritten {
            Self::Unsent(error)
        } else if error.is_parse() {
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
                    (Step::Tls, _) => "no TLS connection to the origin".into(),
                    // Its words name steps, keys and a status, and nothing that came from outside.
                    (_, true) => error.to_string().into(),
                    (Step::Dns, false) => "the name of the origin cannot be resolved".into(),
                    (Step::Tcp | Step::Tunnel(_), false) => "no connection to the origin".into(),
                };
                (code, message)
            }
            SendError::Unsent(_) => (Code::UpstreamConnect, "the origin keeps closing connections".into()),
            SendError::BadResponse(_) => (Code::UpstreamBadResponse, "the origin did not answer in valid HTTP".into()),
            SendError::Broken(_) => {
                (Code::UpstreamReset, "the connection to the origin broke before the answer".into())
            }
        };
        Self::new(code, message).with_sent(error.sent()).because(&error)
    }
}
