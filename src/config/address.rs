//! The address of a listener: an IP address with port or a Unix socket.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// One address of the signing listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `127.0.0.1:8080`, `[::1]:8080`. Port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// `unix:/run/wonder-signer/signer.sock`. The mode of the file and its directory decide which users may connect.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether no two sockets can be bound to both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => {
                // Whether [::] takes the addresses of IPv4 too is a setting of the system.
                let is_wide = one.ip().is_unspecified() || other.ip().is_unspecified();
                let is_same = one.ip() == other.ip() || is_wide && one.is_ipv4() == other.is_ipv4();
                one.port() != 0 && one.port() == other.port() && is_same
            }
            (Self::Unix(one), Self::Unix(other)) => one == other,
            _ => false,
        }
    }

    /// Whether only processes on this machine (or in this pod) can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        // The longest path that fits the system's structure for socket addresses.
        const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && path.len() <= LONGEST && !path.ends_with('/') => {
                Ok(Self::Unix(path.into()))
            }
            Some(_) => Err(NotAnAddress(format!(
                "not a socket; write for example \"unix:/run/signer.sock\", {LONGEST} bytes at most"
            ))),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                NotAnAddress("not an IP address with port; write for example \"127.0.0.1:8080\"".to_owned())
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The text is neither an address nor a socket. The error names the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnAddress(String);
