//! All credentials at one moment, read by every request without a lock and replaced as a whole.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{
    Entry, UnitName,
    units::{Role, Units},
};
use crate::{
    clock,
    metrics::{LoadedKey, Metrics},
};

/// The credentials, by name. A request looks its entry up once and keeps it to its end, even if the entry is replaced meanwhile.
#[derive(Debug)]
pub(crate) struct Store {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a new snapshot is made from the old one.
    writing: Mutex<()>,
    /// Whether no first proof is to come.
    proved: watch::Sender<bool>,
    /// Whether that is so, and every credential can sign.
    usable: watch::Sender<bool>,
    /// They show which unit signs, and whether files cannot be used.
    metrics: Metrics,
}

/// Every configured name.
type Snapshot = BTreeMap<String, Units>;

/// Why there is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEntry {
    /// The configuration has no such credential.
    Unknown,
    /// Its files have been unusable since the start.
    NoKey,
}

impl Store {
    /// Makes a store with the credentials of `names`, none of which can sign yet.
    #[must_use]
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a String>, metrics: Metrics) -> Self {
        let snapshot: Snapshot = names.into_iter().map(|name| (name.clone(), Units::default())).collect();
        metrics.set_credentials(snapshot.keys().map(String::as_str));
        let (proved, usable) = (watch::Sender::new(true), watch::Sender::new(snapshot.is_empty()));
        Self { snapshot: ArcSwap::from_pointee(snapshot), writing: Mutex::new(()), proved, usable, metrics }
    }

    /// The credential of that name.
    ///
    /// # Errors
    /// If it cannot sign, or is not configured.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Entry>, NoEntry> {
        self.snapshot.load().get(name).ok_or(NoEntry::Unknown)?.in_use().cloned().ok_or(NoEntry::NoKey)
    }

    /// The units of that credential; `None` if it is not configured.
    #[must_use]
    pub(crate) fn units(&self, name: &str) -> Units {
        self.snapshot.load().get(name).cloned().unwrap_or_default()
    }

    /// The units of every credential, in the order of the names.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<(String, Units)> {
        self.snapshot.load().iter().map(|(name, units)| (name.clone(), units.clone())).collect()
    }

    /// All credentials that can sign, in the order of their names.
    #[must_use]
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.snapshot.load().values().filter_map(Units::in_use).cloned().collect()
    }

    /// Every usable unit, signing or not, because a webhook may be for the AppID of each.
    #[must_use]
    pub(crate) fn all_units(&self) -> Vec<Arc<Entry>> {
        self.snapshot.load().values().flat_map(Units::all).cloned().collect()
    }

    /// Takes a unit that was read; [`Units`] decides its role.
    pub(super) fn put(&self, entry: Arc<Entry>) -> Role {
        self.change(&entry.name.clone(), |units| units.put(entry))
    }

    /// The files of a unit cannot be used.
    pub(super) fn fail(&self, name: &str, unit: UnitName) {
        self.change(name, |units| units.fail(unit));
    }

    /// Requests that come from now on are signed with `entry`; returns whether it is a unit of the credential still.
    pub(super) fn switch(&self, name: &str, entry: &Entry) -> bool {
        self.change(name, |units| units.switch(entry))
    }

    /// Drops the unit that signed before the last switch.
    pub(super) fn forget(&self, name: &str) {
        self.change(name, Units::forget);
    }

    /// The credential is not ready before [`decided`](Self::decided).
    pub(crate) fn prove_first(&self, name: &str) {
        self.change(name, |units| units.set_unproved(true));
    }

    /// Which unit of the credential signs is decided.
    pub(super) fn decided(&self, name: &str) {
        self.change(name, |units| units.set_unproved(false));
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Units) -> T) -> T {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        let units = snapshot.entry(name.to_owned()).or_default();
        let before = units.in_use().map(Arc::as_ptr);
        let changed = change(units);
        let is_outdated = units.is_outdated();
        let signs_now = units.in_use().filter(|entry| before != Some(Arc::as_ptr(entry))).cloned();
        let proved = !snapshot.values().any(Units::is_unproved);
        let usable = proved && snapshot.values().all(|units| units.in_use().is_some());
        self.snapshot.store(Arc::new(snapshot));
        self.proved.send_replace(proved);
        self.usable.send_replace(usable);
        // Last: the metrics show what requests already use.
        self.metrics.credential_outdated(name, is_outdated);
        if let Some(entry) = signs_now {
            self.metrics.key_loaded(&LoadedKey {
                credential: name,
                fingerprint: entry.verifying_key.fingerprint(),
                unix_seconds: clock::since_1970().as_secs(),
            });
        }
        changed
    }

    /// Whether every credential can sign.
    #[must_use]
    pub(crate) fn is_usable(&self) -> bool {
        *self.usable.borrow()
    }

    /// Waits until every credential can sign.
    pub(crate) async fn wait_until_usable(&self) {
        // Fails only without a sender, and the store has it.
        let _ = self.usable.subscribe().wait_for(|usable| *usable).await;
    }

    /// Whether no first proof is to come.
    #[must_use]
    pub(crate) fn proved(&self) -> watch::Receiver<bool> {
        self.proved.subscribe()
    }

    /// Whether every credential can sign, for those that look at it often.
    #[must_use]
    pub(crate) fn usable(&self) -> watch::Receiver<bool> {
        self.usable.subscribe()
    }
}
