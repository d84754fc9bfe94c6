//! The facts about the sidecar that the admin pages show.

use std::sync::Arc;

use super::{addresses::Addresses, settings::hosts};
use crate::{
    admin::{CredentialFact, KeyFact, StatusFacts},
    config::Config,
    credentials::{Store, UnitName, Units},
};

/// The facts about this sidecar for the admin pages.
pub(super) fn facts(config: &Config, credentials: &Arc<Store>, addresses: &Addresses) -> StatusFacts {
    let (credentials, masked) = (Arc::clone(credentials), config.to_masked_json());
    StatusFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // In Kubernetes this is the pod's name.
        instance: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        environment: config.upstream.environment.to_string(),
        origin: config.upstream.origin.to_string(),
        hosts: hosts(config, addresses),
        credentials: Arc::new(move || of(&credentials)),
        config: Arc::new(move || masked.clone()),
    }
}

/// Every configured credential, also one without a key.
fn of(store: &Store) -> Vec<CredentialFact> {
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
