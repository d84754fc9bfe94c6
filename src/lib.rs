//! wonder-signer
/// Probes, metrics and a status page for people, on a listener of their own.
pub mod admin;
/// Every metric of the program: names, labels and the verbs that count.
pub mod metrics;
/// The catalogue of Wonder's named operations.
pub mod operations;
pub mod signing;
/// Logs on standard error, with a level that can change while running.
pub mod telemetry;
