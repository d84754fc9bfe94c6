//! The bound addresses of a sidecar.

use std::net::SocketAddr;

use crate::config::ListenAddress;

/// Where a sidecar listens, port 0 replaced by the port that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The signing listener's addresses, at least one.
    pub listen: Vec<ListenAddress>,
    /// The admin listener.
    pub admin: SocketAddr,
    /// The webhook listener, if there is one.
    pub webhook: Option<ListenAddress>,
}
