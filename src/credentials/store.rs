//! All credentials at one moment, read by every request without a lock and replaced as a whole.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Entry, UnitName};

/// The credentials, by name. A request takes its entry once and keeps it to its end, whatever is put in meanwhile.
#[derive(Debug)]
pub struct Store {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a new snapshot is made of the old one.
    writing: Mutex<()>,
    usable: watch::Sender<bool>,
}

/// Every configured name.
type Snapshot = BTreeMap<String, Units>;

/// The units of one credential, of which one is in use.
#[derive(Debug, Clone, Default)]
pub struct Units {
    /// The unit of `[credentials.NAME]`, if it can be used and was not forgotten.
    pub main: Option<Arc<Entry>>,
    /// The unit of `[credentials.NAME.next]`, if there is one that can be used.
    pub next: Option<Arc<Entry>>,
    /// Which of them signs.
    pub active: UnitName,
}

impl Units {
    /// The unit that signs.
    #[must_use]
    pub fn in_use(&self) -> Option<&Arc<Entry>> {
        self.get(self.active)
    }

    /// The unit of that name.
    #[must_use]
    pub fn get(&self, unit: UnitName) -> Option<&Arc<Entry>> {
        match unit {
            UnitName::Main => self.main.as_ref(),
            UnitName::Next => self.next.as_ref(),
        }
    }

    fn set(&mut self, unit: UnitName, entry: Option<Arc<Entry>>) {
        match unit {
            UnitName::Main => self.main = entry,
            UnitName::Next => self.next = entry,
        }
    }
}

/// Why there is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEntry {
    /// The configuration has no such credential.
    Unknown,
    /// Its files could not be used since the start.
    NoKey,
}

impl Store {
    /// With the credentials of `names`, none of which can sign yet.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        let snapshot: Snapshot = names.into_iter().map(|name| (name.clone(), Units::default())).collect();
        let usable = watch::Sender::new(snapshot.is_empty());
        Self { snapshot: ArcSwap::from_pointee(snapshot), writing: Mutex::new(()), usable }
    }

    /// The credential of that name.
    ///
    /// # Errors
    /// When it cannot sign, or is not configured.
    pub fn get(&self, name: &str) -> Result<Arc<Entry>, NoEntry> {
        self.snapshot.load().get(name).ok_or(NoEntry::Unknown)?.in_use().cloned().ok_or(NoEntry::NoKey)
    }

    /// The units of that credential; none of one that is not configured.
    #[must_use]
    pub fn units(&self, name: &str) -> Units {
        self.snapshot.load().get(name).cloned().unwrap_or_default()
    }

    /// All credentials that can sign, in the order of their names.
    #[must_use]
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.snapshot.load().values().filter_map(Units::in_use).cloned().collect()
    }

    /// Every unit that can be used, whether it signs or not: a webhook may be for the AppID of each.
    #[must_use]
    pub fn all_units(&self) -> Vec<Arc<Entry>> {
        self.snapshot.load().values().flat_map(|units| [&units.main, &units.next]).flatten().cloned().collect()
    }

    /// Replaces a unit. If it is the one in use, requests that come from now on are signed with `entry`.
    pub fn put(&self, entry: Arc<Entry>) {
        self.change(&entry.name.clone(), |units| units.set(entry.unit, Some(entry)));
    }

    /// Requests that come from now on are signed with `unit`.
    pub fn switch(&self, name: &str, unit: UnitName) {
        self.change(name, |units| units.active = unit);
    }

    /// Drops a unit that is not in use; its key leaves the memory with the last request that it signed.
    pub fn forget(&self, name: &str, unit: UnitName) {
        self.change(name, |units| {
            if units.active != unit {
                units.set(unit, None);
            }
        });
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Units)) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        change(snapshot.entry(name.to_owned()).or_default());
        let usable = snapshot.values().all(|units| units.in_use().is_some());
        self.snapshot.store(Arc::new(snapshot));
        self.usable.send_replace(usable);
    }

    /// Whether every credential can sign.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        *self.usable.borrow()
    }

    /// Waits until every credential can sign.
    pub async fn wait_until_usable(&self) {
        // Fails only without a sender, and the store has it.
        let _ = self.usable.subscribe().wait_for(|usable| *usable).await;
    }

    /// The same, for those that look at it often.
    #[must_use]
    pub fn usable(&self) -> watch::Receiver<bool> {
        self.usable.subscribe()
    }
}
