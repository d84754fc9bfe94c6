//! What a caller is promised: every error has a code with one status, every answer of our own says whether the request may
//! have reached Wonder, and its body has the shape of Wonder's envelope. Pure.
//!
//! `deploy/errors.md` explains each code to people; tests compare it with the table here.

mod code;
mod envelope;
mod sent;

pub use code::{Code, Row, Severity};
pub use envelope::{ERROR, Envelope, SENT};
pub use sent::Sent;
