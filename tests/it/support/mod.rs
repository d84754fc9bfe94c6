//! Doubles over real sockets: a sidecar in this process, an upstream that records bytes, and a client that sends them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken double is a failed test")]
#![allow(dead_code, reason = "not every test file needs every double")]

pub(crate) mod authority;
pub(crate) mod caller;
pub(crate) mod client;
pub(crate) mod closed;
pub(crate) mod faults;
pub(crate) mod frames;
pub(crate) mod identity;
pub(crate) mod logged;
pub(crate) mod origin;
pub(crate) mod patience;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod sidecar;
pub(crate) mod strict;
pub(crate) mod transport;
pub(crate) mod upstream;
pub(crate) mod volume;
pub(crate) mod webhooks;
pub(crate) mod wire;
