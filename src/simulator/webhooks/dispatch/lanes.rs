//! Lanes: one queue for each order and URL, and the task that processes it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, MutexGuard, PoisonError},
};

use tokio::{sync::mpsc, task::JoinSet};

use super::Webhooks;
use crate::simulator::{
    faults::WebhookFault,
    webhooks::{Callback, history::Outcome},
};

/// The deliveries that wait, in one queue for each order and URL.
#[derive(Default)]
pub(super) struct Lanes {
    queues: HashMap<Lane, VecDeque<u64>>,
    pub(super) waiting: usize,
}

/// The number of an order, and a URL.
pub(crate) type Lane = (String, Callback);

impl Lanes {
    /// Empties all queues.
    pub(super) fn clear(&mut self) {
        let queued: usize = self.queues.values_mut().map(|queue| queue.drain(..).count()).sum();
        self.waiting -= queued;
    }
}

impl Webhooks {
    /// Delivers the waiting events and those reported from now on; never ends.
    pub(crate) async fn deliver(self: Arc<Self>, mut begun: mpsc::UnboundedReceiver<Lane>) {
        self.resume();
        let mut tasks = JoinSet::new();
        loop {
            let lane = tokio::select! {
                lane = begun.recv() => lane,
                Some(_) = tasks.join_next() => continue,
            };
            let Some(lane) = lane else { break };
            let this = Arc::clone(&self);
            tasks.spawn(async move { this.work(lane).await });
        }
    }

    /// Queues the deliveries that a restart interrupted.
    fn resume(&self) {
        for delivery in self.history.waiting() {
            let to = delivery.pending.as_ref().and_then(|pending| pending.url.parse::<Callback>().ok());
            match to.filter(|to| self.settings.allow(&self.way_to(to))) {
                Some(to) => self.queue(delivery.id, (delivery.order_number, to)),
                None => self.history.change(delivery.id, |delivery| delivery.outcome = Outcome::Refused),
            }
        }
    }

    pub(super) fn queue(&self, id: u64, lane: Lane) {
        let mut lanes = self.lanes();
        lanes.waiting += 1;
        if let Some(queue) = lanes.queues.get_mut(&lane) {
            queue.push_back(id);
            drop(lanes);
            self.arrived.send_replace(());
            return;
        }
        lanes.queues.insert(lane.clone(), VecDeque::from([id]));
        let _ = self.begun.send(lane);
    }

    /// Delivers the queue of a lane in sequence, and removes the lane when it is empty.
    async fn work(&self, lane: Lane) {
        loop {
            let id = {
                let mut lanes = self.lanes();
                let Some(id) = lanes.queues.get_mut(&lane).and_then(VecDeque::pop_front) else {
                    lanes.queues.remove(&lane);
                    return;
                };
                id
            };
            let is_held = self
                .history
                .pending(id)
                .is_some_and(|delivery| delivery.fault == Some(WebhookFault::Reorder) && delivery.attempts.is_empty());
            if is_held && let Some(next) = self.overtaking(&lane).await {
                self.attempt_until_done(&lane.1, next).await;
                self.lanes().waiting -= 1;
            }
            self.attempt_until_done(&lane.1, id).await;
            self.lanes().waiting -= 1;
        }
    }

    /// The next delivery of a lane, which overtakes a held one; `None` if none is queued within the delay of the first retry.
    async fn overtaking(&self, lane: &Lane) -> Option<u64> {
        let (mut arrived, mut forgotten) = (self.arrived.subscribe(), self.forgotten.subscribe());
        let longest = tokio::time::sleep(self.settings.time_scale.delay(1).unwrap_or_default());
        tokio::pin!(longest);
        loop {
            if let Some(next) = self.lanes().queues.get_mut(lane).and_then(VecDeque::pop_front) {
                return Some(next);
            }
            tokio::select! {
                _ = arrived.changed() => {}
                _ = forgotten.changed() => return None,
                () = &mut longest => return None,
            }
        }
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
