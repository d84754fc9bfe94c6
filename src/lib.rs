//! wonder-signer
pub mod signing;
/// A strict local stand-in for the Wonder gateway.
pub mod simulator;
