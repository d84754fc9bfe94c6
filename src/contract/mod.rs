//! The error contract. Every error has a code, and each code has a status. Every response of the sidecar's own states whether the
//! request may have reached Wonder. Its body has the shape of Wonder's envelope. Pure.
//!
//! `deploy/errors.md` explains each code. Tests compare it with the table here.

mod code;
mod envelope;
mod sent;

pub use code::{Code, Row, Severity};
pub use envelope::Envelope;
pub(crate) use envelope::{ERROR, SENT};
pub use sent::Sent;
