//! The webhook key pair of each AppID: configured, or generated when the first webhook is signed.

use std::sync::Arc;

use rand::rngs::OsRng;
use tokio::sync::OnceCell;

use crate::{
    signing::{AppId, KeyError, SigningKey},
    simulator::state::Journal,
};

/// The size of a generated key, in bits.
const BITS: usize = 2048;

/// The keys of all AppIDs.
pub(crate) struct Keys {
    keys: Vec<(AppId, OnceCell<Arc<SigningKey>>)>,
    /// Stores generated keys.
    journal: Option<Arc<Journal>>,
}

impl Keys {
    /// The configured keys. The key of another AppID is generated when it is first needed, because that takes longer than the start.
    pub(crate) fn new<'a>(
        app_ids: impl IntoIterator<Item = &'a AppId>,
        given: &[(AppId, Arc<SigningKey>)],
        journal: Option<Arc<Journal>>,
    ) -> Self {
        let key = |wanted: &AppId| given.iter().find(|(app_id, _)| app_id == wanted).map(|(_, key)| Arc::clone(key));
        let keys = app_ids.into_iter().map(|app_id| (app_id.clone(), OnceCell::new_with(key(app_id))));
        Self { keys: keys.collect(), journal }
    }

    /// The key of an AppID.
    pub(super) async fn of(&self, app_id: &AppId) -> Result<Arc<SigningKey>, KeyError> {
        let found = self.keys.iter().find(|(other, _)| other == app_id).map(|(_, key)| key);
        let key = found.ok_or(KeyError::Empty)?.get_or_try_init(|| async {
            let made = tokio::task::spawn_blocking(|| SigningKey::generate(&mut OsRng, BITS));
            let (key, pem) = made.await.unwrap_or(Err(KeyError::Damaged))?;
            if let Some(journal) = &self.journal {
                journal.keep_key(app_id.clone(), pem);
            }
            tracing::info!(%app_id, key = key.verifying_key().fingerprint(), "webhook key made");
            Ok(Arc::new(key))
        });
        key.await.map(Arc::clone)
    }
}
