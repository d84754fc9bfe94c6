//! Server-sent events: an open page is notified of a change and then reloads its content.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use tokio::sync::watch;

use crate::simulator::Wonder;

/// The minimum time between two notifications of a page, so that a thousand calls a second do not cause a thousand notifications.
const PAUSE: Duration = Duration::from_millis(250);
/// The minimum time grows by this for each open page, so that many pages cause no more notifications than a few.
const SHARE: Duration = Duration::from_millis(50);

/// Whether the simulator is shutting down. Each open page has a receiver.
pub(super) struct Closing(watch::Sender<bool>);

impl Closing {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn close(&self) {
        self.0.send_replace(true);
    }

    /// The time between two notifications of one page.
    fn pause(&self) -> Duration {
        let pages = u32::try_from(self.0.receiver_count()).unwrap_or(u32::MAX);
        PAUSE.max(SHARE.saturating_mul(pages))
    }
}

/// `GET /simulator/events`: the number of calls so far, at first and after each change.
pub(super) async fn events(State(wonder): State<Arc<Wonder>>) -> impl IntoResponse {
    let mut made = wonder.console.calls.made();
    made.mark_changed();
    let (closing, webhooks) = (wonder.console.closing.0.subscribe(), wonder.deliveries.changes());
    let first = (made, webhooks, closing, false);
    let notices = stream::unfold(first, move |(mut made, mut webhooks, mut closing, is_later)| {
        let wonder = Arc::clone(&wonder);
        async move {
            let next = async {
                if is_later {
                    tokio::time::sleep(wonder.console.closing.pause()).await;
                }
                tokio::select! {
                    changed = made.changed() => changed.ok(),
                    changed = webhooks.changed() => changed.ok(),
                }
            };
            tokio::select! {
                changed = next => changed?,
                _ = closing.wait_for(|closed| *closed) => return None,
            }
            let event = Event::default().data(made.borrow_and_update().to_string());
            // Notices that came in the meantime are this one.
            webhooks.borrow_and_update();
            Some((Ok::<_, Infallible>(event), (made, webhooks, closing, true)))
        }
    });
    Sse::new(notices).keep_alive(KeepAlive::default())
}
