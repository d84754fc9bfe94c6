//! State that survives a restart, in one file.
//!
//! Calls read and change memory only. A change marks its row in the [`Journal`]. The [writer](write) takes all marked rows between two
//! calls and commits them together, so that the file always has a state that memory had between two calls. An answer waits for the
//! commit of its call. Concurrent calls share one commit.
//!
//! # Layout
//!
//! * `journal`: changes that are not committed yet; `rows`: rows as bytes; `file`: the file and its errors; `writer`: commits.

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
