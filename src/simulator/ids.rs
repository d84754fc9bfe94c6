//! Random values: uuids, the first order number and the nonces of webhooks. They come from the system's random numbers, or from a seed,
//! so that the same calls get the same values.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::{SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::signing::Nonce;

/// 2026-01-01T00:00:00Z: the time of the first change with a seed.
const FIRST_SECOND: u64 = 1_767_225_600;

/// The source of ids.
#[derive(Default)]
pub(super) struct Ids {
    seed: Option<[u8; 32]>,
    /// The number of uuids taken from the seed.
    drawn: AtomicU64,
    /// The number of times taken from the seed.
    seconds: AtomicU64,
}

impl Ids {
    pub(super) fn new(seed: Option<&str>) -> Self {
        Self { seed: seed.map(|seed| Sha256::digest(seed).into()), ..Self::default() }
    }

    /// A version 4 UUID (RFC 9562 §5.4).
    pub(super) fn uuid(&self) -> Uuid {
        let bytes = match self.derive("uuid", || self.drawn.fetch_add(1, Ordering::Relaxed), 0) {
            Some(derived) => *derived.first_chunk().unwrap_or(&[0; 16]),
            None => rand::random(),
        };
        Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A number below `limit`, always the same with a seed.
    pub(super) fn below(&self, limit: u64) -> u64 {
        let derived = self.derive("number", || 0, 0).and_then(|derived| derived.first_chunk().copied());
        derived.map_or_else(rand::random, u64::from_be_bytes) % limit
    }

    /// The nonce of an attempt of a delivery.
    pub(super) fn nonce(&self, delivery: u64, attempt: usize) -> Nonce {
        let mut random = match self.derive("nonce", || delivery, attempt) {
            Some(derived) => StdRng::from_seed(derived),
            None => StdRng::from_entropy(),
        };
        Nonce::generate(&mut random)
    }

    /// The time of a change, in seconds since 1970: `now`, or with a seed a second after the previous change.
    pub(super) fn time(&self, now: u64) -> u64 {
        if self.seed.is_some() { FIRST_SECOND + self.seconds.fetch_add(1, Ordering::Relaxed) } else { now }
    }

    /// The number of values taken, to continue after a restart.
    pub(super) fn position(&self) -> [u64; 2] {
        [self.drawn.load(Ordering::Relaxed), self.seconds.load(Ordering::Relaxed)]
    }

    pub(super) fn go_on_from(&self, [drawn, seconds]: [u64; 2]) {
        self.drawn.store(drawn, Ordering::Relaxed);
        self.seconds.store(seconds, Ordering::Relaxed);
    }

    /// Whether a reset produces the same ids again.
    pub(super) fn are_seeded(&self) -> bool {
        self.seed.is_some()
    }

    fn derive(&self, purpose: &str, at: impl FnOnce() -> u64, then: usize) -> Option<[u8; 32]> {
        let seed = self.seed?;
        let digest = Sha256::new().chain_update(seed).chain_update(purpose).chain_update(at().to_be_bytes());
        Some(digest.chain_update((then as u64).to_be_bytes()).finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_gives_others() {
        let drawn = |seed| {
            let ids = Ids::new(seed);
            (ids.below(1000), [ids.uuid(), ids.uuid()], ids.nonce(1, 0), ids.nonce(1, 1), [ids.time(7), ids.time(7)])
        };
        assert_eq!(drawn(Some("a")), drawn(Some("a")));
        let (first, second) = (drawn(Some("a")), drawn(Some("b")));
        assert_ne!(first.1, second.1);
        assert_ne!(first.1[0], first.1[1]);
        assert_ne!(first.2, first.3);
        assert_eq!(first.4, [FIRST_SECOND, FIRST_SECOND + 1]);
        assert_ne!(drawn(None).1, drawn(None).1);
        assert_eq!(drawn(None).4, [7, 7]);
    }

    #[test]
    fn goes_on_where_it_stopped() {
        let (before, after) = (Ids::new(Some("a")), Ids::new(Some("a")));
        let first = before.uuid();
        after.go_on_from(before.position());
        assert_ne!(after.uuid(), first);
        assert_eq!(after.position(), [2, 0]);
    }
}
