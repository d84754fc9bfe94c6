//! Voids orders whose due date is over, also while no call arrives.

use std::{sync::Arc, time::Duration};

use super::super::Wonder;

/// How often the due dates are looked at. Each call looks at them too, so that no answer shows an order that should be void.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the due dates until it is dropped.
pub(crate) async fn watch(wonder: Arc<Wonder>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Taking the store voids what is overdue.
        drop(wonder.store());
    }
}
