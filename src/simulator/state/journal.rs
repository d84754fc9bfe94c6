//! The changes that are not in the state file yet. A call waits here until its own changes are.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, watch};
use zeroize::Zeroizing;

use crate::signing::AppId;

/// Counts changes and commits.
#[derive(Default)]
pub(crate) struct Journal {
    changes: AtomicU64,
    changed: Notify,
    /// New webhook keys that are not in the file yet, as PEM.
    keys: Mutex<Vec<(AppId, Zeroizing<String>)>>,
    progress: watch::Sender<Progress>,
    committing: Arc<AsyncMutex<()>>,
}

/// The progress of the writer.
#[derive(Clone, Default)]
struct Progress {
    /// The number of changes in the file.
    committed: u64,
    /// Why the last commit failed.
    failure: Option<Arc<str>>,
}

impl Journal {
    /// Counts a change. The caller holds the lock of the changed data until the change is complete.
    pub(crate) fn mark(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_one();
    }

    /// Adds a new webhook key.
    pub(crate) fn keep_key(&self, app_id: AppId, pem: Zeroizing<String>) {
        self.keys().push((app_id, pem));
        self.mark();
    }

    /// The webhook keys that are not in the file yet.
    pub(crate) fn keys(&self) -> MutexGuard<'_, Vec<(AppId, Zeroizing<String>)>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last commit failed, if it did.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.progress.borrow().failure.clone()
    }

    /// Waits until all changes so far are in the file, or returns the reason why they are not.
    pub(crate) async fn settled(&self) -> Result<(), Arc<str>> {
        let wanted = self.changes();
        let mut progress = self.progress.subscribe();
        let done = progress.wait_for(|progress| progress.committed >= wanted || progress.failure.is_some()).await;
        match done {
            Ok(progress) if progress.committed >= wanted => Ok(()),
            Ok(progress) => Err(progress.failure.clone().unwrap_or_default()),
            Err(_) => Ok(()),
        }
    }

    /// Waits without limit until all changes so far are in the file.
    pub(crate) async fn settled_at_last(&self) {
        let wanted = self.changes();
        let _ = self.progress.subscribe().wait_for(|progress| progress.committed >= wanted).await;
    }

    /// The permit to commit.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.committing).lock_owned().await
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Waits until something may have changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn committed(&self) -> u64 {
        self.progress.borrow().committed
    }

    pub(super) fn commit(&self, committed: u64) {
        self.progress.send_replace(Progress { committed, failure: None });
    }

    pub(super) fn fail(&self, reason: String) {
        self.progress.send_modify(|progress| progress.failure = Some(reason.into()));
    }
}

/// The keys of rows that changed since the last commit. Without a state file it is always empty.
pub(crate) struct Touched<K> {
    journal: Option<Arc<Journal>>,
    keys: BTreeSet<K>,
}

impl<K: Ord> Touched<K> {
    pub(crate) fn new(journal: Option<Arc<Journal>>) -> Self {
        Self { journal, keys: BTreeSet::new() }
    }

    /// Records that the row with this key was added, changed or removed.
    pub(crate) fn add(&mut self, key: K) {
        if let Some(journal) = &self.journal {
            self.keys.insert(key);
            journal.mark();
        }
    }

    pub(crate) fn take(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.keys)
    }

    /// Adds keys again whose rows could not be committed.
    pub(crate) fn put_back(&mut self, keys: impl IntoIterator<Item = K>) {
        self.keys.extend(keys);
    }
}
