//! What a reading of a unit's files changes: the store, the log, the metrics. A unit that cannot be used changes nothing that signs.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Entry, Permits, Store, UnitError, unit};
use crate::{
    config::CredentialConfig,
    files::{Commit, Subject, steady},
    metrics::{LoadedKey, Metrics},
};

/// Reads every unit into `store`, and returns what is to be watched.
///
/// A unit in files that cannot be used is logged: its credential cannot sign until they can. One without files can only be corrected by
/// another configuration.
///
/// # Errors
/// The first unit without files that cannot be used.
pub(crate) fn load(
    credentials: &BTreeMap<String, CredentialConfig>,
    permits: &Arc<Permits>,
    store: &Arc<Store>,
    metrics: &Metrics,
) -> Result<Vec<Subject>, UnitError> {
    metrics.set_credentials(credentials.keys().map(String::as_str));
    let subjects = credentials.iter().filter_map(|(name, sources)| {
        let paths = unit::paths(sources);
        let (fingerprint, read) = steady(&paths, || Entry::read(name, sources, permits));
        match read {
            Err(error) if paths.is_empty() => return Some(Err(error)),
            Err(error) => {
                tracing::error!(
                    credential = name,
                    error = error.to_string(),
                    "credential cannot be used; its requests get 503 no_key until its files can be read"
                );
                metrics.credential_outdated(name, true);
            }
            Ok(entry) => {
                put(entry, store, metrics);
            }
        }
        let reader = Reader {
            name: name.clone(),
            sources: sources.clone(),
            permits: Arc::clone(permits),
            store: Arc::clone(store),
            metrics: metrics.clone(),
        };
        (!paths.is_empty()).then(|| Ok(Subject::new(paths, fingerprint, move || reader.read())))
    });
    subjects.collect()
}

/// Reads one unit again.
struct Reader {
    name: String,
    sources: CredentialConfig,
    permits: Arc<Permits>,
    store: Arc<Store>,
    metrics: Metrics,
}

impl Reader {
    fn read(&self) -> Commit {
        let (name, store, metrics) = (self.name.clone(), Arc::clone(&self.store), self.metrics.clone());
        let read = Entry::read(&self.name, &self.sources, &self.permits);
        Box::new(move || {
            metrics.credential_reloaded(&name, read.is_ok());
            metrics.credential_outdated(&name, read.is_err());
            match read {
                Ok(entry) => {
                    tracing::info!(
                        credential = name,
                        app_id = %entry.app_id,
                        key = %entry.verifying_key,
                        "credential reloaded"
                    );
                    put(entry, &store, &metrics);
                }
                Err(error) if store.get(&name).is_ok() => tracing::error!(
                    credential = name,
                    error = error.to_string(),
                    "credential cannot be reloaded; the one read before stays in use"
                ),
                Err(error) => tracing::error!(
                    credential = name,
                    error = error.to_string(),
                    "credential cannot be used; its requests get 503 no_key until its files can be read"
                ),
            }
        })
    }
}

fn put(entry: Entry, store: &Store, metrics: &Metrics) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let loaded =
        LoadedKey { credential: &entry.name, fingerprint: entry.verifying_key.fingerprint(), unix_seconds: now };
    metrics.key_loaded(&loaded);
    store.put(Arc::new(entry));
}
