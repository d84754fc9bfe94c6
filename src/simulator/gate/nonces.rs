//! The used nonces, so that each request is accepted only once.

use std::collections::HashSet;

use crate::signing::{Nonce, window::REQUEST_TOLERANCE_SECONDS};

/// How many nonces one generation holds.
const GENERATION: usize = 1 << 20;

/// The nonces of the last one to two hours, in two generations. The older generation is dropped as a whole.
///
/// A request is acceptable for at most an hour, from half an hour before its own time to half an hour after it, so a
/// generation is kept for at least an hour. A generation that is full earlier is replaced early. Memory is therefore bounded
/// (about 70 MiB), and a replay from more than a million requests ago can be accepted.
#[derive(Default)]
pub(super) struct UsedNonces {
    young: HashSet<Nonce>,
    old: HashSet<Nonce>,
    since: u64,
}

impl UsedNonces {
    pub(super) fn contains(&self, nonce: &Nonce) -> bool {
        self.young.contains(nonce) || self.old.contains(nonce)
    }

    /// Returns whether the nonce was new.
    pub(super) fn insert(&mut self, nonce: Nonce, now: u64) -> bool {
        if now.saturating_sub(self.since) > 2 * REQUEST_TOLERANCE_SECONDS || self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        !self.old.contains(&nonce) && self.young.insert(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_a_nonce_for_an_hour_and_forgets_it_after_two() {
        let [first, second, third]: [Nonce; 3] =
            ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"].map(|text| text.parse().unwrap());
        let mut used = UsedNonces::default();
        let start = 1_771_061_405;
        assert!(used.insert(first, start));
        assert!(!used.insert(first, start + 3600));
        assert!(used.insert(second, start + 3601));
        assert!(!used.insert(first, start + 3601), "an hour after its generation began");
        assert!(used.insert(third, start + 7202));
        assert!(!used.contains(&first));
        assert!(used.contains(&second));
    }
}
