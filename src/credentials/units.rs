//! The units of one credential: the one that signs, and those around it. Pure state; `store` replaces it as a whole.

use std::sync::Arc;

use super::{Entry, UnitName};
use crate::signing::{AppId, VerifyingKey};

/// The units of one credential.
#[derive(Debug, Clone, Default)]
pub(crate) struct Units {
    in_use: Option<Arc<Entry>>,
    /// The one that signed before the last switch, until it is dropped.
    old: Option<Arc<Entry>>,
    main: Slot,
    next: Slot,
    /// What the main files held when another unit was switched to. Wonder may have deactivated it since, so it does not sign again because
    /// its files are read again.
    replaced: Option<Identity>,
    /// Whether the first proof of the next unit is still to come.
    unproved: bool,
}

/// What was read from the files of a unit.
#[derive(Debug, Clone, Default)]
struct Slot {
    entry: Option<Arc<Entry>>,
    /// Whether the files, as they are now, cannot be used.
    failed: bool,
}

/// Distinguishes one unit from another, without its private key.
#[derive(Debug, Clone)]
struct Identity(AppId, VerifyingKey);

impl Identity {
    fn of(entry: &Entry) -> Self {
        Self(entry.app_id.clone(), entry.verifying_key.clone())
    }

    fn is_of(&self, entry: &Entry) -> bool {
        (&self.0, &self.1) == (&entry.app_id, &entry.verifying_key)
    }
}

impl Units {
    /// The unit that signs.
    pub(crate) fn in_use(&self) -> Option<&Arc<Entry>> {
        self.in_use.as_ref()
    }

    /// The unit that signed before.
    pub(crate) fn old(&self) -> Option<&Arc<Entry>> {
        self.old.as_ref()
    }

    /// The next unit, if it is another one than the unit that signs and its files can be used.
    pub(crate) fn candidate(&self) -> Option<&Arc<Entry>> {
        self.next
            .entry
            .as_ref()
            .filter(|next| !self.next.failed && self.in_use.as_ref().is_none_or(|in_use| !in_use.is_same_unit(next)))
    }

    /// What was last read from the files of the next unit, whether or not they can be used now.
    pub(crate) fn next(&self) -> Option<&Arc<Entry>> {
        self.next.entry.as_ref()
    }

    /// Every unit that may be named by Wonder, each once.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Entry>> {
        [&self.in_use, &self.old, &self.main.entry, &self.next.entry].into_iter().flatten()
    }

    /// Whether the files of a unit cannot be used.
    pub(crate) fn is_outdated(&self) -> bool {
        self.main.failed || self.next.failed
    }

    /// Whether requests have to wait for the first proof of the next unit.
    pub(crate) fn is_unproved(&self) -> bool {
        self.unproved
    }

    pub(super) fn set_unproved(&mut self, unproved: bool) {
        self.unproved = unproved;
    }

    /// Takes what was read, and returns its role from now on. A unit of `[credentials.NAME]` signs at once, unless a proof has chosen
    /// another unit. A next unit signs only after [`switch`](Self::switch), also where another next unit signs already.
    pub(super) fn put(&mut self, entry: Arc<Entry>) -> Role {
        let in_use = self.in_use.as_deref();
        // In the main files, it is the end of the rotation.
        let signs_already = in_use.is_some_and(|in_use| {
            in_use.is_same_unit(&entry) && (in_use.unit == entry.unit || entry.unit == UnitName::Main)
        });
        let is_replaced = self.replaced.as_ref().is_some_and(|replaced| replaced.is_of(&entry));
        let role = match entry.unit {
            _ if signs_already => Role::Signs,
            UnitName::Next => Role::Next,
            UnitName::Main if is_replaced => Role::Replaced,
            UnitName::Main if self.next_signs() && !self.next.failed => Role::Waits,
            UnitName::Main => Role::Signs,
        };
        if entry.unit == UnitName::Main && role != Role::Replaced {
            self.replaced = None;
        }
        if role == Role::Signs {
            self.in_use = Some(Arc::clone(&entry));
        }
        let slot = self.slot(entry.unit);
        slot.failed = false;
        // Dropped after `keep_old`, it is not taken again.
        if role != Role::Replaced || slot.entry.is_some() {
            slot.entry = Some(entry);
        }
        role
    }

    /// The files of `unit` cannot be used. What was read before is kept; the credential is not switched to it. If a unit in the main files
    /// waits for them, it signs.
    pub(super) fn fail(&mut self, unit: UnitName) {
        self.slot(unit).failed = true;
        if unit == UnitName::Next
            && self.next_signs()
            && self.replaced.is_none()
            && let Some(main) = self.main.entry.clone()
        {
            self.in_use = Some(main);
        }
    }

    /// Signs with the unit of `proved` from now on, if it is the next unit still, or the old one. The files may have been read again
    /// meanwhile.
    pub(super) fn switch(&mut self, proved: &Entry) -> bool {
        let same = |known: Option<&Arc<Entry>>| known.filter(|known| known.is_same_unit(proved)).cloned();
        let (old, candidate) = (same(self.old()), same(self.candidate()));
        let is_old = old.is_some();
        let Some(chosen) = old.or(candidate) else { return false };
        self.replaced = self.main.entry.as_deref().filter(|main| !main.is_same_unit(&chosen)).map(Identity::of);
        let before = self.in_use.replace(chosen);
        self.old = before.filter(|_| !is_old);
        true
    }

    /// Drops the old unit; its key leaves the memory with the last request that it signed.
    pub(super) fn forget(&mut self) {
        self.old = None;
        if let (Some(replaced), Some(main)) = (&self.replaced, &self.main.entry)
            && replaced.is_of(main)
        {
            self.main.entry = None;
        }
    }

    fn next_signs(&self) -> bool {
        self.in_use.as_ref().is_some_and(|in_use| in_use.unit == UnitName::Next)
    }

    fn slot(&mut self, unit: UnitName) -> &mut Slot {
        match unit {
            UnitName::Main => &mut self.main,
            UnitName::Next => &mut self.next,
        }
    }
}

/// What a unit that was read is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It signs.
    Signs,
    /// It signs after a proof.
    Next,
    /// In the main files, and not the one that a switch has replaced: it does not sign while the next unit does.
    Waits,
    /// In the main files, and replaced by a switch.
    Replaced,
}

#[cfg(test)]
mod tests;
