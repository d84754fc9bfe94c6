//! Remembers acknowledged deliveries in memory.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Identity;

/// The stored part of an identity: half of the hash. The probability that two of ten million deliveries share it is 10^-25.
type Short = [u8; 16];

/// The last acknowledged deliveries. Each is kept until its repeat would be rejected for its time, and for at most `most` later
/// deliveries.
pub(super) struct Memory {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    all: HashSet<Short>,
    /// In the order of their acknowledgement, with the second since 1970 from which they are not needed.
    order: VecDeque<(Short, u32)>,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    pub(super) fn contains(&self, identity: &Identity) -> bool {
        self.kept().all.contains(&short(identity))
    }

    /// Remembers a delivery until the second `until`, at the second `now`.
    pub(super) fn add(&self, identity: &Identity, until: u64, now: u64) {
        let mut kept = self.kept();
        let Kept { all, order } = &mut *kept;
        let is_over = |until: u32| u64::from(until) <= now;
        while order.len() >= self.most || order.front().is_some_and(|(_, until)| is_over(*until)) {
            let Some((oldest, _)) = order.pop_front() else { return };
            all.remove(&oldest);
        }
        let identity = short(identity);
        if all.insert(identity) {
            order.push_back((identity, u32::try_from(until).unwrap_or(u32::MAX)));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is held.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn short(identity: &Identity) -> Short {
    let mut short = [0; 16];
    short.copy_from_slice(&identity[..16]);
    short
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn identity(number: u32) -> Identity {
        Sha256::digest(number.to_be_bytes()).into()
    }

    fn known(memory: &Memory, numbers: std::ops::Range<u32>) -> Vec<u32> {
        numbers.filter(|number| memory.contains(&identity(*number))).collect()
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let memory = Memory::new(3);
        for number in [1, 2, 2, 3, 4, 4, 5] {
            memory.add(&identity(number), 100, 0);
        }
        assert_eq!(known(&memory, 0..10), [3, 4, 5]);
    }

    #[test]
    fn a_delivery_is_forgotten_when_its_time_is_over() {
        let memory = Memory::new(100);
        memory.add(&identity(1), 10, 0);
        memory.add(&identity(2), 20, 5);
        memory.add(&identity(3), 30, 10);
        assert_eq!(known(&memory, 0..10), [2, 3]);
    }

    #[test]
    fn with_room_for_none_nothing_is_remembered() {
        let memory = Memory::new(0);
        memory.add(&identity(1), 10, 0);
        assert!(!memory.contains(&identity(1)));
    }

    #[test]
    fn a_million_deliveries_take_less_than_100_mib() {
        let information = allocation_counter::measure(|| {
            let memory = Memory::new(1_000_000);
            for number in 0..1_000_100 {
                memory.add(&identity(number), u64::from(u32::MAX) - 1, 0);
            }
            assert!(memory.contains(&identity(1_000_000)) && memory.contains(&identity(100)));
            assert!(!memory.contains(&identity(99)));
        });
        assert!(information.bytes_max < 100 << 20, "{} bytes", information.bytes_max);
    }
}
