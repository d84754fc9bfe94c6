//! wonder-signer
pub mod config;
pub mod keystore;
pub mod signing;
