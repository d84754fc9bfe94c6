//! Commits changes, and delays each answer until they are committed.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::Method;

use super::{Journal, StateError, StateFile};
use crate::simulator::{Wonder, refusal::Refusal};

/// The delay before a failed commit is retried.
const PAUSE: Duration = Duration::from_secs(1);

/// Commits changes until it is dropped.
pub(crate) async fn write(wonder: Arc<Wonder>, state: Arc<StateFile>, journal: Arc<Journal>) {
    let mut failed = false;
    loop {
        if journal.changes() == journal.committed() {
            journal.changed().await;
            continue;
        }
        match commit(&wonder, &state, &journal).await {
            Ok(()) => {
                if failed {
                    tracing::info!("state file written again, with all changes since");
                }
                failed = false;
            }
            Err(reason) => {
                if !failed {
                    tracing::error!(reason, "state file not written; calls are refused until it is");
                }
                failed = true;
                journal.fail(reason);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Commits all changes so far.
pub(crate) async fn commit(wonder: &Arc<Wonder>, state: &Arc<StateFile>, journal: &Journal) -> Result<(), String> {
    // If an aborted task left a commit in its thread, that one ends first, because no other commit has its rows.
    let turn = journal.turn().await;
    // Read before the rows are taken: a change after this point may be committed twice, but is never missed.
    let changes = journal.changes();
    let (wonder, state) = (Arc::clone(wonder), Arc::clone(state));
    let done = tokio::task::spawn_blocking(move || {
        // The file is released before the permit, so that it is free when the last commit has ended.
        let (_turn, state) = (turn, state);
        let batch = wonder.changed_rows();
        if batch.is_empty() {
            return Ok(());
        }
        let done = state.commit(&batch);
        if done.is_err() {
            wonder.put_back(batch);
        }
        done
    });
    match done.await {
        Ok(Ok(())) => {
            journal.commit(changes);
            Ok(())
        }
        Ok(Err(StateError::Io(error))) => Err(error.to_string()),
        Ok(Err(error)) => Err(format!("it {error}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The layer. A call is not carried out while the state file cannot be written, and its answer waits until its changes are on the disk.
pub(crate) async fn settle(State(wonder): State<Arc<Wonder>>, request: Request, next: Next) -> Response {
    let Some(journal) = &wonder.journal else { return next.run(request).await };
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if let Some(reason) = journal.failure().filter(|_| !only_reads) {
        return Refusal::StateBlocked(reason.to_string()).into_response();
    }
    let response = next.run(request).await;
    match journal.settled().await {
        Ok(()) => response,
        // A page shows the data in memory.
        Err(_) if only_reads => response,
        Err(reason) => Refusal::StateNotWritten(reason.to_string()).into_response(),
    }
}
