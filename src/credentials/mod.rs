//! The credentials in memory: AppID, keys and signer of each, looked up by name for every request.
//!
//! # Layout
//!
//! * [`Store`]: all credentials; its snapshot is replaced as a whole.
//! * [`Entry`]: one credential that can sign.
//! * `unit`: reads what belongs to one credential, at start and whenever its files change.
//! * `signer`: the private-key operation; `permits`: how many of them run at a time.

mod permits;
mod signer;
mod unit;

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

pub use self::{
    permits::Permits,
    signer::{SignError, Signer},
    unit::UnitError,
};
use crate::{
    config::CredentialConfig,
    signing::{AppId, SignatureMessage, Signed, Stamp, VerifyingKey},
};

/// All credentials, by name. A request takes its entry once and keeps it to its end, whatever is swapped in meanwhile.
#[derive(Debug)]
pub struct Store {
    snapshot: ArcSwap<Snapshot>,
}

/// The credentials at one moment.
type Snapshot = BTreeMap<String, Arc<Entry>>;

impl Store {
    /// Reads every unit; one that cannot be used fails the whole.
    ///
    /// # Errors
    /// The first [`UnitError`] in the order of the names.
    pub fn load(credentials: &BTreeMap<String, CredentialConfig>, permits: &Arc<Permits>) -> Result<Self, UnitError> {
        let entries = credentials.iter().map(|(name, sources)| {
            let entry = Entry::read(name, sources, Arc::clone(permits))?;
            Ok((name.clone(), Arc::new(entry)))
        });
        let snapshot = entries.collect::<Result<Snapshot, _>>()?;
        Ok(Self { snapshot: ArcSwap::from_pointee(snapshot) })
    }

    /// The credential of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Entry>> {
        self.snapshot.load().get(name).cloned()
    }

    /// All credentials, in the order of their names.
    #[must_use]
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.snapshot.load().values().cloned().collect()
    }
}

/// One credential, ready to sign.
#[derive(Debug)]
pub struct Entry {
    /// The name it has in the configuration.
    pub name: String,
    /// Names the application to Wonder.
    pub app_id: AppId,
    /// The public half of the key that it signs with.
    pub verifying_key: VerifyingKey,
    /// Makes its signatures.
    pub signer: Signer,
    /// Verifies Wonder's webhooks for this AppID.
    pub webhook_key: Option<VerifyingKey>,
}

impl Entry {
    fn read(name: &str, sources: &CredentialConfig, permits: Arc<Permits>) -> Result<Self, UnitError> {
        let unit = unit::read(name, sources)?;
        Ok(Self {
            name: name.to_owned(),
            app_id: unit.app_id,
            verifying_key: unit.key.verifying_key().clone(),
            signer: Signer::local(unit.key, permits),
            webhook_key: unit.webhook_key,
        })
    }

    /// Signs the message that `stamped` makes for a stamp. It is called as late as possible, so that a wait for the signer does not age
    /// the stamp.
    ///
    /// # Errors
    /// [`SignError::Overloaded`] when the signer has more to do than it can.
    pub async fn sign(&self, stamped: impl FnOnce() -> (Stamp, SignatureMessage)) -> Result<Signed, SignError> {
        let (stamp, signature) = self.signer.sign(stamped).await?;
        Ok(Signed::new(&self.app_id, &stamp, &signature))
    }
}

#[cfg(test)]
mod tests;
