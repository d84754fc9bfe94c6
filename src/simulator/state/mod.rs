//! State that survives a restart, in one file.
//!
//! Memory remains what calls read and change. A change marks its row in the [`Journal`]; the [writer](write) takes all marked rows between
//! two calls, and commits them together, so that the file always is what it was between two calls. An answer waits for the commit of its
//! call, and calls at the same time share one.
//!
//! # Layout
//!
//! * `journal`: what is not committed yet; `rows`: rows as bytes; `file`: the file and its errors; `writer`: commits.

mod file;
mod journal;
mod rows;
mod writer;

pub use self::file::{StateError, StateFile};
pub(super) use self::{
    journal::{Journal, Touched},
    rows::{Batch, Counters, Row, Rows, Stored},
    writer::{commit, settle, write},
};
