//! The credentials in memory: AppID, keys and signer of each, looked up by name for every request.
//!
//! # Layout
//!
//! * [`Store`]: all credentials; its snapshot is replaced as a whole, and the metrics show it.
//! * [`Entry`]: one credential that can sign.
//! * `units`: the unit that signs, and those around it.
//! * `unit`: reads the parts of one credential, at start and whenever its files change.
//! * `reload`: applies a reading to the store and the log.
//! * [`Rotation`]: the switch from one unit to the next.
//! * `signer`: the private-key operation; `permits`: how many of them run at a time.

mod permits;
mod reload;
mod rotation;
mod signer;
mod store;
mod unit;
mod units;

use std::sync::Arc;

use tokio::sync::Notify;

pub(crate) use self::reload::{Rotating, load};
pub(crate) use self::unit::{PASSPHRASE_CAP, is_world_readable, passphrase};
pub(crate) use self::units::Units;
pub(crate) use self::{
    permits::Permits,
    rotation::{Proof, Prove, Rotation},
    signer::{SignError, Signer},
    store::{NoEntry, Store},
    unit::UnitError,
};
use crate::{
    config::UnitConfig,
    metrics::CredentialAnswers,
    signing::{AppId, SignatureMessage, Signed, Stamp, VerifyingKey},
};

/// One of the two units of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum UnitName {
    /// The unit of `[credentials.NAME]`.
    #[default]
    Main,
    /// The unit of `[credentials.NAME.next]`.
    Next,
}

impl UnitName {
    /// The name in logs and metrics.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Next => "next",
        }
    }

    /// The table of the credential `name` in the configuration.
    fn table(self, name: &str) -> String {
        match self {
            Self::Main => format!("credentials.{name}"),
            Self::Next => format!("credentials.{name}.next"),
        }
    }
}

/// One credential, ready to sign.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// Which of its units this is.
    pub(crate) unit: UnitName,
    /// The id of the application at Wonder.
    pub(crate) app_id: AppId,
    /// The public half of the key that it signs with.
    pub(crate) verifying_key: VerifyingKey,
    /// Makes its signatures.
    pub(crate) signer: Signer,
    /// Verifies Wonder's webhooks for this AppID.
    pub(crate) webhook_key: Option<VerifyingKey>,
    /// Notified when Wonder rejects a request that it signed.
    rejections: Arc<Notify>,
    /// Counts Wonder's answers, where they are counted.
    answers: Option<CredentialAnswers>,
}

impl Entry {
    /// Reads a unit of the credential `name`, as a whole or not at all.
    ///
    /// # Errors
    /// The first part of it that cannot be used.
    pub(crate) fn read(
        name: &str,
        unit: UnitName,
        sources: &UnitConfig,
        permits: &Arc<Permits>,
    ) -> Result<Self, UnitError> {
        let read = unit::read(&unit.table(name), sources)?;
        Ok(Self {
            name: name.to_owned(),
            unit,
            app_id: read.app_id,
            verifying_key: read.key.verifying_key().clone(),
            signer: Signer::local(read.key, Arc::clone(permits)),
            webhook_key: read.webhook_key,
            rejections: Arc::default(),
            answers: None,
        })
    }

    /// Rejects a webhook key that is the public half of a request key of another unit in `all`, because the holder of that request key could
    /// forge webhooks.
    ///
    /// # Errors
    /// An error about the webhook key.
    pub(crate) fn check_webhook_key<'a>(
        &self,
        sources: &UnitConfig,
        all: impl IntoIterator<Item = &'a Self>,
    ) -> Result<(), UnitError> {
        let Some(key) = &self.webhook_key else { return Ok(()) };
        let request_keys = all.into_iter().filter(|other| !self.is_same_place(other)).map(|other| &other.verifying_key);
        unit::check_webhook_key(&self.unit.table(&self.name), sources, key, request_keys)
    }

    /// Rejects a request key whose public half is the webhook key of another unit in `all`.
    ///
    /// # Errors
    /// An error about the request key.
    fn check_request_key<'a>(
        &self,
        sources: &UnitConfig,
        all: impl IntoIterator<Item = &'a Self>,
    ) -> Result<(), UnitError> {
        let mixed_up =
            |other: &&Self| !self.is_same_place(other) && other.webhook_key.as_ref() == Some(&self.verifying_key);
        match all.into_iter().find(mixed_up) {
            Some(other) => Err(unit::is_webhook_key(&self.unit.table(&self.name), sources, &other.name)),
            None => Ok(()),
        }
    }

    fn is_same_place(&self, other: &Self) -> bool {
        (&self.name, self.unit) == (&other.name, other.unit)
    }

    /// Whether both have the same AppID and the same key.
    pub(crate) fn is_same_unit(&self, other: &Self) -> bool {
        self.app_id == other.app_id && self.verifying_key == other.verifying_key
    }

    /// What both have in common that two units cannot have at Wonder, as the end of a sentence; empty if there is nothing.
    fn mixed_up_with(&self, signing: &Self) -> &'static str {
        match (self.app_id == signing.app_id, self.verifying_key == signing.verifying_key) {
            (true, false) => {
                "; it has the AppID of the unit that signs and another key, and at Wonder a new key needs a new AppID"
            }
            (false, true) => {
                "; it has the key of the unit that signs and another AppID, and at Wonder each AppID has a key of its own: do both \
                 files come from the same moment?"
            }
            _ => "",
        }
    }

    /// Records Wonder's answer to a request that this unit signed; `rejected` means 401 or 403.
    pub(crate) fn answered(&self, rejected: bool) {
        if let Some(answers) = &self.answers {
            answers.count(rejected);
        }
        if rejected {
            self.rejections.notify_one();
        }
    }

    /// Signs the message that `stamped` makes for a stamp. It is called as late as possible, so that a wait for the signer does not age
    /// the stamp.
    ///
    /// # Errors
    /// [`SignError::Overloaded`] if the queue for the signer is too long.
    pub(crate) async fn sign(&self, stamped: impl FnOnce() -> (Stamp, SignatureMessage)) -> Result<Signed, SignError> {
        let (stamp, signature) = self.signer.sign(stamped).await?;
        Ok(Signed::new(&self.app_id, &stamp, &signature))
    }
}

#[cfg(test)]
mod tests;
