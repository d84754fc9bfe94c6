//! How long a test waits for an event. Every wait has a limit, because a test that hangs reports nothing.

use std::{panic::Location, time::Duration};

use tokio::time::timeout;

/// Longer than any event takes, even on a busy machine. A test that reaches it hangs.
pub(crate) const HANG: Duration = Duration::from_mins(1);

/// Waits for `event`. After [`HANG`] the test fails and names the place of the wait.
#[track_caller]
pub(crate) fn soon<T>(event: impl Future<Output = T>) -> impl Future<Output = T> {
    let here = Location::caller();
    async move { timeout(HANG, event).await.unwrap_or_else(|_| panic!("waited in vain at {here}")) }
}
