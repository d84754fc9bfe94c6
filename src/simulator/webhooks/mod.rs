//! Webhooks: takes up the store's events.

use tokio::sync::mpsc;

use super::store::Event;

/// Takes up events until the store is gone.
pub(super) async fn deliver(mut events: mpsc::Receiver<Event>) {
    while events.recv().await.is_some() {}
}
