//! Why a sidecar could not start.

use std::io;

use crate::{
    credentials::UnitError,
    net::{tls::TlsError, upstream::UpstreamError},
    webhook::RedisSetupError,
};

/// Why a sidecar could not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A credential cannot be used, and no file can change that.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The client cannot be set up.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The TLS of a listener cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connections to Redis cannot be set up.
    #[error(transparent)]
    Redis(#[from] RedisSetupError),
    /// An application of webhooks is a listener of this sidecar.
    #[error("{key} {application}: {reason}")]
    OwnListener {
        /// The configuration key of the application.
        key: String,
        /// The application.
        application: String,
        /// Which listener, and the remedy.
        reason: String,
    },
    /// A listener cannot bind its address.
    #[error("{key} {address}: {}", bind_reason(.address, .cause))]
    Bind {
        /// The configuration key that the address came from.
        key: &'static str,
        /// The address.
        address: String,
        /// The system's error.
        cause: io::Error,
    },
}

impl StartError {
    /// Whether an argument, a setting, or a file that one of them names must change. Otherwise something outside prevents the start.
    #[must_use]
    pub(crate) fn is_configuration(&self) -> bool {
        match self {
            Self::Unit(_) | Self::Upstream(_) | Self::Tls(_) | Self::Redis(_) | Self::OwnListener { .. } => true,
            Self::Bind { .. } => false,
        }
    }
}

/// Why a listener cannot bind its address, and the remedy.
pub(crate) fn bind_reason(address: &str, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse if address.starts_with("unix:") => {
            "the socket is taken; stop the other program or choose another file".to_owned()
        }
        io::ErrorKind::PermissionDenied if address.starts_with("unix:") => {
            "not permitted; this user must be able to create files in the socket's directory, and to connect to an existing socket"
                .to_owned()
        }
        io::ErrorKind::NotFound if address.starts_with("unix:") => "the socket's directory does not exist".to_owned(),
        io::ErrorKind::AddrInUse => "the port is taken; stop the other program or choose another port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "not permitted; ports below 1024 need a privilege".to_owned(),
        _ => cause.to_string(),
    }
}

pub(super) fn failed(key: &'static str, address: impl ToString) -> impl FnOnce(io::Error) -> StartError {
    move |cause| StartError::Bind { key, address: address.to_string(), cause }
}
