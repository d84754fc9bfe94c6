//! Where plain requests are taken: an IP address with port, or a Unix socket.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// One address of the signing listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `127.0.0.1:8080`, `[::1]:8080`. Port 0 lets the system choose one.
    Tcp(SocketAddr),
    /// `unix:/run/wonder-signer/signer.sock`: who may connect is decided by the file's mode and directory.
    Unix(PathBuf),
}

impl ListenAddress {
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
        const LONGEST: usize = 107;
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && path.len() <= LONGEST && !path.ends_with('/') => {
                Ok(Self::Unix(path.into()))
            }
            Some(_) => {
                Err(NotAnAddress("not a socket; write for example \"unix:/run/signer.sock\", 107 bytes at most"))
            }
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| NotAnAddress("not an IP address with port; write for example \"127.0.0.1:8080\"")),
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

/// Neither address nor socket; says what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnAddress(&'static str);
