//! Voids orders whose due date has passed, also while no call arrives.

use std::{sync::Arc, time::Duration};

use super::super::Wonder;

/// How often the due dates are checked. Each call checks them too, so that no answer shows an order that should be void.
const EVERY: Duration = Duration::from_secs(1);

/// Checks the due dates until it is dropped.
pub(crate) async fn watch(wonder: Arc<Wonder>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Locking the store voids overdue orders.
        drop(wonder.store());
    }
}
