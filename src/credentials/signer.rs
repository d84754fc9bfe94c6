//! The private-key operation of a credential, for any location of its key.

use std::{fmt, sync::Arc};

use super::permits::Permits;
use crate::signing::{self, RawSignature, SignatureMessage, SigningKey, Stamp};

/// Makes the signatures of one credential.
#[derive(Debug)]
pub(crate) enum Signer {
    /// With a key in this process's memory.
    Local(Local),
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignError {
    /// The request waited for longer than the queue allows.
    #[error("more requests than can be signed (timeouts.sign); add processor time or instances")]
    Overloaded,
    /// The private-key operation failed.
    #[error(transparent)]
    Failed(#[from] signing::SignError),
}

impl Signer {
    /// Signs with `key`, as many signatures at a time as `permits` allows.
    #[must_use]
    pub(crate) fn local(key: SigningKey, permits: Arc<Permits>) -> Self {
        Self::Local(Local { key, permits })
    }

    /// Signs what `stamped` returns.
    pub(super) async fn sign(
        &self,
        stamped: impl FnOnce() -> (Stamp, SignatureMessage),
    ) -> Result<(Stamp, RawSignature), SignError> {
        match self {
            Self::Local(local) => {
                // The message is made under the permit, because hashing a large body takes as long as a signature.
                let _permit = local.permits.acquire().await?;
                let (stamp, message) = stamped();
                let signature = signing::sign_message(&local.key, &message)?;
                Ok((stamp, signature))
            }
        }
    }
}

/// A key in memory, and the permits that all such keys share.
pub(crate) struct Local {
    key: SigningKey,
    permits: Arc<Permits>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}
