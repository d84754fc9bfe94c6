//! The units of one credential: the one that signs, and those around it. Pure state; `store` replaces it as a whole.

use std::sync::Arc;

use super::{Entry, UnitName};

/// The units of one credential.
#[derive(Debug, Clone, Default)]
pub(crate) struct Units {
    in_use: Option<Arc<Entry>>,
    /// The one that signed before the last switch, until it is dropped.
    old: Option<Arc<Entry>>,
    main: Slot,
    next: Slot,
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

    /// Takes what was read. A unit of `[credentials.NAME]` signs at once, unless the next unit signs. A next unit signs only after
    /// [`switch`](Self::switch), also where another next unit signs already.
    pub(super) fn put(&mut self, entry: Arc<Entry>) {
        let signs = match (&self.in_use, entry.unit) {
            (None, UnitName::Main) => true,
            // The same unit in other files: the rotation is over.
            (Some(in_use), _) if in_use.is_same_unit(&entry) => {
                in_use.unit == entry.unit || entry.unit == UnitName::Main
            }
            (Some(in_use), UnitName::Main) => in_use.unit == UnitName::Main,
            (_, UnitName::Next) => false,
        };
        if signs {
            self.in_use = Some(Arc::clone(&entry));
        }
        let slot = self.slot(entry.unit);
        *slot = Slot { entry: Some(entry), failed: false };
    }

    /// The files of `unit` cannot be used. What was read before is kept; the credential is not switched to it.
    pub(super) fn fail(&mut self, unit: UnitName) {
        self.slot(unit).failed = true;
    }

    /// Signs with `entry` from now on, if it is the next unit still, or the old one.
    pub(super) fn switch(&mut self, entry: &Arc<Entry>) -> bool {
        let is = |known: Option<&Arc<Entry>>| known.is_some_and(|known| Arc::ptr_eq(known, entry));
        let (is_old, is_candidate) = (is(self.old()), is(self.candidate()));
        if is_old || is_candidate {
            let before = self.in_use.replace(Arc::clone(entry));
            self.old = before.filter(|_| !is_old);
        }
        is_old || is_candidate
    }

    /// Drops the old unit; its key leaves the memory with the last request that it signed.
    pub(super) fn forget(&mut self) {
        let Some(old) = self.old.take() else { return };
        if self.main.entry.as_ref().is_some_and(|main| main.is_same_unit(&old)) {
            self.main.entry = None;
        }
    }

    fn slot(&mut self, unit: UnitName) -> &mut Slot {
        match unit {
            UnitName::Main => &mut self.main,
            UnitName::Next => &mut self.next,
        }
    }
}
