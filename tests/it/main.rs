//! Integration tests over real sockets, in one binary.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and its support is read by nobody but its tests; clippy's own exceptions \
              end at `#[test]` functions"
)]

mod simulator;
