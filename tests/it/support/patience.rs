//! How long a test waits for what must come. Nothing is waited for without an end: a test that hangs says nothing.

use std::{panic::Location, time::Duration};

use tokio::time::timeout;

/// Longer than anything may take that a test waits for, on a busy machine too; reaching it is a hang.
pub(crate) const HANG: Duration = Duration::from_mins(1);

/// What `event` gives; the test has failed if nothing comes of it, and says where it waited.
#[track_caller]
pub(crate) fn soon<T>(event: impl Future<Output = T>) -> impl Future<Output = T> {
    let here = Location::caller();
    async move { timeout(HANG, event).await.unwrap_or_else(|_| panic!("waited in vain at {here}")) }
}
