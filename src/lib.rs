//! wonder-signer
/// Every metric of the program: names, labels and the verbs that count.
pub mod metrics;
/// The catalogue of Wonder's named operations.
pub mod operations;
pub mod signing;
