//! All credentials at one moment, read by every request without a lock and replaced as a whole.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Entry;

/// The credentials, by name. A request takes its entry once and keeps it to its end, whatever is put in meanwhile.
#[derive(Debug)]
pub struct Store {
    snapshot: ArcSwap<Snapshot>,
    /// Held while a new snapshot is made of the old one.
    writing: Mutex<()>,
    usable: watch::Sender<bool>,
}

/// Every configured name. One without an entry has no usable unit yet.
type Snapshot = BTreeMap<String, Option<Arc<Entry>>>;

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
        let snapshot: Snapshot = names.into_iter().map(|name| (name.clone(), None)).collect();
        let usable = watch::Sender::new(snapshot.is_empty());
        Self { snapshot: ArcSwap::from_pointee(snapshot), writing: Mutex::new(()), usable }
    }

    /// The credential of that name.
    ///
    /// # Errors
    /// When it cannot sign, or is not configured.
    pub fn get(&self, name: &str) -> Result<Arc<Entry>, NoEntry> {
        self.snapshot.load().get(name).ok_or(NoEntry::Unknown)?.clone().ok_or(NoEntry::NoKey)
    }

    /// All credentials that can sign, in the order of their names.
    #[must_use]
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.snapshot.load().values().flatten().cloned().collect()
    }

    /// Requests that come from now on get `entry` under its name.
    pub fn put(&self, entry: Arc<Entry>) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        snapshot.insert(entry.name.clone(), Some(entry));
        let usable = snapshot.values().all(Option::is_some);
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
