//! The metrics of credentials: which key signs, and what became of readings, proofs and requests.

use prometheus::IntCounter;

use super::Metrics;

/// The results of a proof of a unit.
const PROOFS: [&str; 3] = ["accepted", "rejected", "unknown"];

impl Metrics {
    /// These are the configured credentials; each is at zero from now on.
    pub(crate) fn set_credentials<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            for result in ["ok", "failed"] {
                self.0.credential_reloads.with_label_values(&[name, result]);
            }
            for result in ["accepted", "rejected"] {
                self.0.credential_responses.with_label_values(&[name, result]);
            }
            for (unit, result) in ["main", "next"].iter().flat_map(|unit| PROOFS.map(|result| (*unit, result))) {
                self.0.credential_proofs.with_label_values(&[name, unit, result]);
            }
            self.0.credential_usable.with_label_values(&[name]).set(0);
            self.credential_outdated(name, false);
        }
    }

    /// This key signs for its credential from now on, and no other.
    pub(crate) fn key_loaded(&self, key: &LoadedKey<'_>) {
        let seconds = i64::try_from(key.unix_seconds).unwrap_or(i64::MAX);
        self.0.keys.replace_one([key.credential, key.fingerprint], seconds);
        self.0.credential_usable.with_label_values(&[key.credential]).set(1);
    }

    /// The files of a credential were read again.
    pub(crate) fn credential_reloaded(&self, credential: &str, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.0.credential_reloads.with_label_values(&[credential, result]).inc();
    }

    /// Whether the files of a credential, as they are now, cannot be used.
    pub(crate) fn credential_outdated(&self, credential: &str, outdated: bool) {
        self.0.credential_outdated.with_label_values(&[credential]).set(outdated.into());
    }

    /// An echo call tested whether Wonder accepts a unit of a credential.
    pub(crate) fn unit_proved(&self, credential: &str, unit: &str, result: &str) {
        self.0.credential_proofs.with_label_values(&[credential, unit, result]).inc();
    }

    /// The counts of Wonder's answers to requests that are signed with a credential.
    #[must_use]
    pub(crate) fn credential_answers(&self, credential: &str) -> CredentialAnswers {
        let [accepted, rejected] =
            ["accepted", "rejected"].map(|result| self.0.credential_responses.with_label_values(&[credential, result]));
        CredentialAnswers { accepted, rejected }
    }
}

/// A signing key as `wonder_signer_key_loaded_timestamp_seconds` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadedKey<'a> {
    /// The credential's name in the configuration.
    pub(crate) credential: &'a str,
    /// The first 8 hex digits of SHA-256 over the public key.
    pub(crate) fingerprint: &'a str,
    /// When it was loaded, seconds since 1970-01-01T00:00:00Z.
    pub(crate) unix_seconds: u64,
}

/// How many requests that were signed with a credential Wonder accepted, and how many it rejected with 401 or 403.
#[derive(Debug, Clone)]
pub(crate) struct CredentialAnswers {
    accepted: IntCounter,
    rejected: IntCounter,
}

impl CredentialAnswers {
    /// Counts one answer.
    pub(crate) fn count(&self, rejected: bool) {
        if rejected { &self.rejected } else { &self.accepted }.inc();
    }
}
