//! wonder-signer
pub mod signing;
