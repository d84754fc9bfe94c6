//! Remembers the acknowledged deliveries, so that a repeat gets 200 and is not forwarded again.
//!
//! A delivery is identified by its [`Identity`]. Of several concurrent copies one is forwarded, and the others wait for its outcome. A
//! repeat of an unacknowledged delivery is forwarded.
//!
//! * `copies`: the copies in this process, of which one at a time is processed.
//! * `memory`: remembers the deliveries that were acknowledged in this process, up to a number.
//! * `redis`: remembers in Redis as well, for replicas that share an address. A replica claims a delivery before it forwards it.

mod copies;
mod memory;
mod redis;

use std::time::Duration;

pub(crate) use self::redis::{Connections, RedisSetupError};
use self::{
    copies::{Copies, Only},
    memory::Memory,
};
use crate::metrics::{DuplicateStore, StoreOperation, Webhooks};

/// SHA-256 of request time, nonce and signature.
pub(super) type Identity = [u8; 32];

/// Remembers deliveries.
pub(super) struct Duplicates {
    copies: Copies,
    memory: Memory,
    redis: Option<redis::Redis>,
    metrics: Webhooks,
}

/// The right to forward a delivery. While it is held, no other copy is forwarded.
pub(super) struct Claim {
    only: Only,
    token: Option<redis::Token>,
}

impl Duplicates {
    /// In memory, up to `remember` deliveries.
    pub(super) fn new(remember: usize, metrics: Webhooks) -> Self {
        Self { copies: Copies::default(), memory: Memory::new(remember), redis: None, metrics }
    }

    /// The same, in Redis too; an application may take as long as `forward`.
    pub(super) fn shared(self, connections: Connections, limit: Duration, forward: Duration) -> Self {
        Self { redis: Some(redis::Redis::new(connections, limit, forward)), ..self }
    }

    /// Waits until no other copy is being forwarded. `None` if the application has acknowledged the delivery.
    pub(super) async fn claim(&self, identity: Identity) -> Option<Claim> {
        let only = self.copies.only(identity).await;
        if self.memory.contains(&identity) {
            self.metrics.duplicate(DuplicateStore::Memory);
            return None;
        }
        let token = match &self.redis {
            None => None,
            Some(redis) => match redis.claim(&identity).await {
                Ok(redis::Found::Acknowledged) => {
                    self.metrics.duplicate(DuplicateStore::Redis);
                    return None;
                }
                Ok(redis::Found::Claimed(token)) => Some(token),
                Err(error) => {
                    self.store_failed(StoreOperation::Claim, &error);
                    None
                }
            },
        };
        Some(Claim { only, token })
    }

    /// The application has acknowledged the delivery. It is remembered until the second `until`; it is the second `now`.
    pub(super) async fn acknowledge(&self, claim: Claim, until: u64, now: u64) {
        let identity = claim.only.identity();
        self.memory.add(identity, until, now);
        if let Some(redis) = &self.redis {
            let keep = Duration::from_secs(until.saturating_sub(now));
            if let Err(error) = redis.acknowledge(identity, keep).await {
                self.store_failed(StoreOperation::Acknowledge, &error);
            }
        }
    }

    /// The application has not acknowledged the delivery: the next copy is forwarded.
    pub(super) async fn release(&self, claim: Claim) {
        if let (Some(redis), Some(token)) = (&self.redis, &claim.token)
            && let Err(error) = redis.release(token).await
        {
            self.store_failed(StoreOperation::Release, &error);
        }
        drop(claim);
    }

    fn store_failed(&self, operation: StoreOperation, error: &redis::Failure) {
        self.metrics.store_failed(operation);
        // During an outage each webhook fails here, so only the first in a second is logged.
        if !matches!(error, redis::Failure::Resting) {
            tracing::warn!(
                %error,
                operation = operation.as_str(),
                "Redis failed: webhooks are forwarded without it, and a repeat at another replica is forwarded again"
            );
        }
    }
}
