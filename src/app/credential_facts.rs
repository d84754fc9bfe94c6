//! What the admin pages show of the credentials.

use crate::{
    admin::{CredentialFact, KeyFact},
    credentials::{Store, UnitName, Units},
};

/// Every configured credential, also one without a key.
pub(super) fn of(store: &Store) -> Vec<CredentialFact> {
    store.all().iter().map(|(name, units)| credential(name, units)).collect()
}

fn credential(name: &str, units: &Units) -> CredentialFact {
    let key = units.in_use().map(|entry| &entry.verifying_key);
    let state = match (units.in_use().map(|entry| entry.unit), units.is_outdated()) {
        (None, _) if units.candidate().is_some() => "no key; its next unit is not proved",
        (None, _) => "no key; the log names the file that cannot be used",
        (Some(_), true) => "signs with what was read before; the log names the file that cannot be used",
        (Some(UnitName::Next), false) => "signs with its next unit",
        (Some(UnitName::Main), false) if units.candidate().is_some() => "signs; its next unit is not proved",
        (Some(UnitName::Main), false) => "signs",
    };
    let key = key.map(|key| KeyFact { fingerprint: key.fingerprint().to_owned(), bits: key.bits() });
    CredentialFact { name: name.to_owned(), key, state }
}
