//! Parses the addresses of options. The error has an example that fits the option.

use std::net::SocketAddr;

/// The admin listener's.
pub(super) fn admin(text: &str) -> Result<SocketAddr, String> {
    parse(text, "127.0.0.1:9090")
}

/// The simulator's.
#[cfg(feature = "simulator")]
pub(super) fn simulator(text: &str) -> Result<SocketAddr, String> {
    parse(text, "127.0.0.1:4443")
}

fn parse(text: &str, example: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_| format!("not an IP address with port; write for example {example}"))
}
