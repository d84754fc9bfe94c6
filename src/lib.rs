//! wonder-signer
/// Configuration: raw layers in, finished types out.
pub mod config;
/// The signing keys by name.
pub mod keystore;
pub mod signing;
