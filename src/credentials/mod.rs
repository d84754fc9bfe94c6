//! The credentials in memory: AppID, keys and signer of each, looked up by name for every request.
//!
//! # Layout
//!
//! * [`Store`]: all credentials; its snapshot is replaced as a whole.
//! * [`Entry`]: one credential that can sign.
//! * `unit`: reads what belongs to one credential, at start and whenever its files change.
//! * `reload`: what a reading changes: the store, the log, the metrics.
//! * `signer`: the private-key operation; `permits`: how many of them run at a time.

mod permits;
mod reload;
mod signer;
mod store;
mod unit;

use std::sync::Arc;

pub(crate) use self::reload::load;
pub use self::{
    permits::Permits,
    signer::{SignError, Signer},
    store::{NoEntry, Store},
    unit::UnitError,
};
use crate::{
    config::CredentialConfig,
    signing::{AppId, SignatureMessage, Signed, Stamp, VerifyingKey},
};

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
    /// Reads the unit of the credential `name`; as a whole or not at all.
    ///
    /// # Errors
    /// The first part of it that cannot be used.
    pub fn read(name: &str, sources: &CredentialConfig, permits: &Arc<Permits>) -> Result<Self, UnitError> {
        let unit = unit::read(name, sources)?;
        Ok(Self {
            name: name.to_owned(),
            app_id: unit.app_id,
            verifying_key: unit.key.verifying_key().clone(),
            signer: Signer::local(unit.key, Arc::clone(permits)),
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
