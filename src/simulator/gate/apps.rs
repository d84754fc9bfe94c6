//! The AppIDs that may call, each with the public key that verifies its signatures. They can change while the simulator runs, because Wonder
//! accepts a key only some time after its upload.

use std::sync::{Arc, PoisonError, RwLock};

use crate::signing::{AppId, VerifyingKey};

/// The AppIDs of a simulator, shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct Apps(Arc<RwLock<Known>>);

type Known = Vec<(AppId, Arc<VerifyingKey>)>;

impl Apps {
    pub(crate) fn new(apps: Vec<(AppId, VerifyingKey)>) -> Self {
        Self(Arc::new(RwLock::new(apps.into_iter().map(|(app_id, key)| (app_id, Arc::new(key))).collect())))
    }

    /// Verifies the signatures of `app_id` with `key` from now on.
    pub fn learn(&self, app_id: AppId, key: VerifyingKey) {
        let mut apps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        apps.retain(|(known, _)| *known != app_id);
        apps.push((app_id, Arc::new(key)));
    }

    /// Accepts no request of `app_id` from now on.
    pub fn forget(&self, app_id: &AppId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != app_id);
    }

    pub(super) fn key(&self, app_id: &AppId) -> Option<Arc<VerifyingKey>> {
        let apps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        apps.iter().find(|(known, _)| known == app_id).map(|(_, key)| Arc::clone(key))
    }
}
