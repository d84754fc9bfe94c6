//! The shutdown of all listeners, in stages. The application enters a stage, and every listener follows.

use std::future::Future;

use tokio::sync::watch;

/// The stages of a shutdown, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Serving: connections are kept for their next request.
    Serving,
    /// New connections are served, and the next answer on each connection is its last.
    Draining,
    /// No new connections; a connection without a request in flight is closed.
    Closing,
    /// A request that has not arrived is rejected, and those in flight are answered at once.
    Over,
}

/// The stage of all listeners. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(watch::Sender<Stage>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }
}

impl Shutdown {
    /// Enters a stage. An earlier stage cannot be entered again.
    pub(crate) fn enter(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let later = stage > *now;
            *now = stage.max(*now);
            later
        });
    }

    /// Whether `stage` has begun.
    #[must_use]
    pub(crate) fn has_reached(&self, stage: Stage) -> bool {
        *self.0.borrow() >= stage
    }

    /// Completes when `stage` has begun.
    pub(crate) fn reached(&self, stage: Stage) -> impl Future<Output = ()> + Send + use<> {
        let keep = self.clone();
        let mut stages = self.0.subscribe();
        async move {
            // Fails only without a sender, which `self` holds.
            let _ = stages.wait_for(|now| *now >= stage).await;
            drop(keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_stage_is_reached_with_every_later_one_and_never_left_for_an_earlier() {
        let shutdown = Shutdown::default();
        let draining = shutdown.reached(Stage::Draining);
        assert!(shutdown.reached(Stage::Draining).now_or_never().is_none());
        shutdown.clone().enter(Stage::Closing);
        shutdown.enter(Stage::Draining);
        assert!(draining.now_or_never().is_some());
        assert!(shutdown.has_reached(Stage::Closing) && !shutdown.has_reached(Stage::Over));
        assert!(shutdown.reached(Stage::Over).now_or_never().is_none());
    }
}
