//! Why there is no connection.

use std::{io, net::SocketAddr};

use http::StatusCode;

/// Why there is no connection. No byte of any request was written.
#[derive(Debug, thiserror::Error)]
#[error("{}", .step.trouble(*.proxied))]
pub struct ConnectError {
    /// The step that failed.
    pub(crate) step: Step,
    /// Whether an egress proxy is configured; name and TCP address are then those of the proxy.
    pub(crate) proxied: bool,
    /// The remedy, if one is known. It has no text of the peer.
    pub(crate) advice: Option<&'static str>,
    #[source]
    pub(super) cause: io::Error,
}

impl ConnectError {
    pub(super) fn new(step: Step, proxied: bool, cause: io::Error) -> Self {
        Self { step, proxied, advice: None, cause }
    }

    /// Whether a second attempt may help: TCP failed or the resolver did not answer, perhaps because a packet was lost.
    #[must_use]
    pub(crate) fn may_be_tried_again(&self) -> bool {
        match self.step {
            Step::Tcp => true,
            Step::Dns => self.cause.kind() == io::ErrorKind::TimedOut,
            Step::Tunnel(_) | Step::Tls => false,
        }
    }

    /// One error for several failed addresses: the step is the furthest that any of them reached, and the cause lists all of them.
    pub(super) fn of_all(mut failures: Vec<(SocketAddr, Self)>) -> Option<Self> {
        if failures.len() == 1 {
            return failures.pop().map(|(_, error)| error);
        }
        let causes: Vec<String> = failures.iter().map(|(_, error)| error.cause.to_string()).collect();
        let (_, furthest) = failures.into_iter().max_by_key(|(_, error)| error.step.distance())?;
        let cause = io::Error::new(furthest.cause.kind(), causes.join("; "));
        Some(Self { cause, ..furthest })
    }
}

/// The steps to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// From name to addresses.
    Dns,
    /// The TCP handshake.
    Tcp,
    /// The egress proxy's tunnel, with the status if the proxy refused it.
    Tunnel(Option<StatusCode>),
    /// The TLS handshake: certificate, version, or not TLS at all.
    Tls,
}

impl Step {
    fn trouble(self, proxied: bool) -> String {
        match (self, proxied) {
            (Self::Dns, false) => "cannot resolve the name of the origin".to_owned(),
            (Self::Dns, true) => "cannot resolve the name of the egress proxy (upstream.proxy)".to_owned(),
            (Self::Tcp, false) => "cannot connect to the origin".to_owned(),
            (Self::Tcp, true) => "cannot connect to the egress proxy (upstream.proxy)".to_owned(),
            (Self::Tunnel(Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)), _) => {
                "the egress proxy does not accept the user and password of upstream.proxy (status 407)".to_owned()
            }
            (Self::Tunnel(Some(status)), _) => {
                format!(
                    "the egress proxy refuses a tunnel to the origin with status {} (upstream.proxy)",
                    status.as_u16()
                )
            }
            (Self::Tunnel(None), _) => "the egress proxy does not open a tunnel (upstream.proxy)".to_owned(),
            (Self::Tls, _) => "cannot agree on TLS with the origin".to_owned(),
        }
    }

    fn distance(self) -> u8 {
        match self {
            Self::Dns => 0,
            Self::Tcp => 1,
            Self::Tunnel(None) => 2,
            Self::Tunnel(Some(_)) => 3,
            Self::Tls => 4,
        }
    }

    /// Whether another address would fail in the same way: the proxy has refused the tunnel, and not because of a
    /// fault of its own.
    pub(super) fn holds_for_all(self) -> bool {
        matches!(self, Self::Tunnel(Some(status)) if !status.is_server_error())
    }
}
