//! Integration tests over real sockets, in one binary.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy's own exception ends at `#[test]` functions"
)]

mod admin;
