//! Why a request got no answer, and what is certain about its bytes.

use std::borrow::Cow;

use crate::{
    metrics::Sent,
    net::{
        connect::{ConnectError, Step},
        respond::{Code, Failure},
    },
};

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection: nothing was written.
    #[error("no connection")]
    Connect(Step, #[source] Source),
    /// A pooled connection was found closed before anything was written to it.
    #[error("the connection was closed before the request was written")]
    Unsent(#[source] Source),
    /// The request could not be put in order; a fault of ours.
    #[error("the request cannot be sent")]
    Unsendable(#[source] Source),
    /// What came back is not HTTP.
    #[error("the answer is not valid HTTP")]
    BadResponse(#[source] Source),
    /// The connection broke after some of the request may have been written.
    #[error("the connection broke before the answer")]
    Broken(#[source] Source),
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl SendError {
    /// Whether it is certain that no byte of the request was written.
    #[must_use]
    pub fn sent(&self) -> Sent {
        match self {
            Self::Connect(..) | Self::Unsent(_) | Self::Unsendable(_) => Sent::No,
            Self::BadResponse(_) | Self::Broken(_) => Sent::Maybe,
        }
    }

    /// The same, where it is known that the request was never handed to a connection: one that breaks between its
    /// handshake and its first request leaves that request unwritten.
    #[must_use]
    pub fn never_handed_over(self) -> Self {
        match self {
            Self::Broken(source) => Self::Unsent(source),
            other => other,
        }
    }

    /// Whether a second attempt may help and can do no harm.
    #[must_use]
    pub fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::Connect(Step::Tcp, _) => true,
            Self::Connect(..) | Self::Unsendable(_) | Self::BadResponse(_) | Self::Broken(_) => false,
        }
    }
}

impl From<hyper_util::client::legacy::Error> for SendError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        let connecting = error.is_connect();
        let Some(source) = std::error::Error::source(&error) else {
            return if connecting { Self::Unsent(Box::new(error)) } else { Self::Broken(Box::new(error)) };
        };
        if connecting {
            // The pool also calls it a connect error when the connection that it waited for was closed.
            return match source.downcast_ref::<ConnectError>() {
                Some(cause) => Self::Connect(cause.step, Box::new(error)),
                None => Self::Unsent(Box::new(error)),
            };
        }
        match source.downcast_ref::<hyper::Error>() {
            // hyper gives this out for requests that it hands back unwritten, and for no others.
            Some(cause) if cause.is_canceled() => Self::Unsent(Box::new(error)),
            // What hyper calls a user error is no proof of that: it is also what is left when an HTTP/2 connection ends
            // under a request that waited for its stream.
            Some(cause) if cause.is_parse() => Self::BadResponse(Box::new(error)),
            _ => Self::Broken(Box::new(error)),
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let (code, message) = match &error {
            SendError::Connect(step, source) => {
                let code = match step {
                    Step::Dns => Code::UpstreamDns,
                    Step::Tcp | Step::Tunnel(_) => Code::UpstreamConnect,
                    Step::Tls => Code::UpstreamTls,
                };
                // Its words name steps, keys and a status, and nothing that came from outside.
                let proxied = connect_error(source.as_ref()).filter(|error| error.proxied);
                let message: Cow<'static, str> = match (step, proxied) {
                    (Step::Tls, _) => "no TLS connection to the origin".into(),
                    (_, Some(error)) => error.to_string().into(),
                    (Step::Dns, None) => "the name of the origin cannot be resolved".into(),
                    (Step::Tcp | Step::Tunnel(_), None) => "no connection to the origin".into(),
                };
                (code, message)
            }
            SendError::Unsent(_) => (Code::UpstreamConnect, "the origin keeps closing connections".into()),
            SendError::Unsendable(_) => (Code::Internal, "the request could not be put on the wire".into()),
            SendError::BadResponse(_) => (Code::UpstreamBadResponse, "the origin did not answer in valid HTTP".into()),
            SendError::Broken(_) => {
                (Code::UpstreamReset, "the connection to the origin broke before the answer".into())
            }
        };
        Self::new(code, message).with_sent(error.sent()).because(&error)
    }
}

fn connect_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a ConnectError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
