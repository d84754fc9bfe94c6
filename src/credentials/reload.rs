//! Applies a reading of a unit's files to the store and the log. An unusable unit does not change the signing unit.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::{Entry, Permits, Store, UnitError, UnitName, unit, units::Role};
use crate::{
    config::{CredentialConfig, UnitConfig},
    files::{Commit, Fingerprint, Subject, steady},
    metrics::Metrics,
};

/// The rotations to notify after a reading, by credential.
pub(crate) type Rotating = BTreeMap<String, (Arc<Notify>, Arc<Notify>)>;

/// Reads every unit into `store`, and returns the subjects to watch.
///
/// Unusable files of a unit are logged, and its credential cannot sign until they are usable. A unit without files can only be corrected
/// in the configuration.
///
/// # Errors
/// The first unusable unit without files.
pub(crate) fn load(
    credentials: &BTreeMap<String, CredentialConfig>,
    permits: &Arc<Permits>,
    store: &Arc<Store>,
    metrics: &Metrics,
    rotating: &Rotating,
) -> Result<Vec<Subject>, UnitError> {
    let (all_readers, mut read) = (Arc::new(OnceLock::new()), Vec::new());
    for (name, credential) in credentials {
        let next = credential.next.iter().map(|next| (UnitName::Next, next));
        for (unit, sources) in std::iter::once((UnitName::Main, &credential.unit)).chain(next) {
            let (changed, rejections) = rotating.get(name).cloned().unwrap_or_default();
            let reader = Arc::new(Reader {
                name: name.clone(),
                unit,
                sources: sources.clone(),
                permits: Arc::clone(permits),
                store: Arc::clone(store),
                metrics: metrics.clone(),
                changed,
                rejections,
                is_confused: AtomicBool::new(false),
                all: Arc::clone(&all_readers),
            });
            let paths = unit::paths(&reader.sources);
            let (fingerprint, entry) = steady(&paths, || reader.read());
            read.push((reader, paths, fingerprint, entry.map(Arc::new)));
        }
    }
    // A later unit may have the request key that proves the webhook key of an earlier one wrong.
    let all: Vec<Arc<Entry>> = read.iter().filter_map(|(.., entry)| entry.as_ref().ok()).cloned().collect();
    // Set once, here.
    let _ = all_readers.set(read.iter().map(|(reader, ..)| Arc::downgrade(reader)).collect());
    let mut subjects = Vec::new();
    for (reader, paths, fingerprint, entry) in read {
        let entry = entry.and_then(|entry| {
            let checked = entry.check_webhook_key(&reader.sources, all.iter().map(AsRef::as_ref));
            reader.is_confused.store(checked.is_err(), Ordering::Relaxed);
            checked.map(|()| entry)
        });
        subjects.extend(reader.start(paths, fingerprint, entry)?);
    }
    Ok(subjects)
}

/// Reads one unit whenever its files change.
struct Reader {
    name: String,
    unit: UnitName,
    sources: UnitConfig,
    permits: Arc<Permits>,
    store: Arc<Store>,
    metrics: Metrics,
    changed: Arc<Notify>,
    rejections: Arc<Notify>,
    /// Whether the last reading was rejected because of a key in the files of another unit.
    is_confused: AtomicBool,
    /// The readers of all units.
    all: Arc<OnceLock<Vec<Weak<Reader>>>>,
}

impl Reader {
    /// Applies the first reading of `paths`.
    fn start(
        self: Arc<Self>,
        paths: Vec<PathBuf>,
        fingerprint: Fingerprint,
        entry: Result<Arc<Entry>, UnitError>,
    ) -> Result<Option<Subject>, UnitError> {
        match entry {
            Err(error) if paths.is_empty() => return Err(error),
            Err(error) => self.log_failure(&error, self.fail().as_deref()),
            Ok(entry) => drop(self.put(entry)),
        }
        Ok((!paths.is_empty()).then(|| Subject::new(paths, fingerprint, move || self.again())))
    }

    fn read(&self) -> Result<Entry, UnitError> {
        let entry = Entry::read(&self.name, self.unit, &self.sources, &self.permits)?;
        let answers = Some(self.metrics.credential_answers(&self.name));
        Ok(Entry { rejections: Arc::clone(&self.rejections), answers, ..entry })
    }

    fn again(self: &Arc<Self>) -> Commit {
        let (this, read) = (Arc::clone(self), self.read().and_then(|entry| self.checked(entry)));
        // Counted once it has its effect, because a reader of the metric relies on that.
        Box::new(move || match read {
            Ok(entry) => {
                let role = this.put(Arc::clone(&entry));
                this.metrics.credential_reloaded(&this.name, true);
                this.log(&entry, role);
                this.read_confused();
            }
            Err(error) => {
                let signed_before = this.fail();
                this.metrics.credential_reloaded(&this.name, false);
                this.log_failure(&error, signed_before.as_deref());
            }
        })
    }

    /// Rejects keys that are confused with those in use.
    fn checked(&self, entry: Entry) -> Result<Arc<Entry>, UnitError> {
        let in_use = self.store.all_units();
        let in_use = || in_use.iter().map(AsRef::as_ref);
        let checked = entry.check_webhook_key(&self.sources, in_use());
        let checked = checked.and_then(|()| entry.check_request_key(&self.sources, in_use()));
        self.is_confused.store(checked.is_err(), Ordering::Relaxed);
        checked.map(|()| Arc::new(entry))
    }

    /// Reads again the units that were rejected because of a key in other files: it may have been in those of this unit, and the wrong
    /// one.
    fn read_confused(&self) {
        let readers = self.all.get().into_iter().flatten().filter_map(Weak::upgrade);
        for reader in readers.filter(|reader| reader.is_confused.swap(false, Ordering::Relaxed)) {
            reader.again()();
        }
    }

    fn put(&self, entry: Arc<Entry>) -> Role {
        self.warn_of_half_a_change(&entry);
        let role = self.store.put(entry);
        self.changed.notify_one();
        role
    }

    fn log(&self, entry: &Entry, role: Role) {
        tracing::info!(
            credential = self.name,
            unit = self.unit.as_str(),
            app_id = %entry.app_id,
            key = %entry.verifying_key,
            signs = role == Role::Signs,
            "credential reloaded"
        );
        if role == Role::Waits {
            tracing::warn!(
                credential = self.name,
                app_id = %entry.app_id,
                "the files of the credential have another unit, which does not sign, because its next unit does"
            );
        }
    }

    /// AppID and key change together at Wonder. A reload is not proved there, so this is the only sign of a mistake before the 401s.
    fn warn_of_half_a_change(&self, entry: &Entry) {
        let units = self.store.units(&self.name);
        let Some(before) = units.in_use() else { return };
        let mistake = entry.mixed_up_with(before);
        if !mistake.is_empty() {
            tracing::warn!(
                credential = self.name,
                unit = self.unit.as_str(),
                app_id = %entry.app_id,
                cause = mistake.trim_start_matches("; it "),
                "AppID and key of the credential do not change together"
            );
        }
    }

    /// The files cannot be used; returns the unit that signed before.
    fn fail(&self) -> Option<Arc<Entry>> {
        let signed_before = self.store.units(&self.name).in_use().cloned();
        self.store.fail(&self.name, self.unit);
        signed_before
    }

    fn log_failure(&self, error: &UnitError, signed_before: Option<&Entry>) {
        let (credential, error) = (&self.name, error.to_string());
        let signs = self.store.units(&self.name).in_use().cloned();
        match (self.unit, signed_before.map(|entry| entry.unit), signs) {
            (UnitName::Next, Some(UnitName::Next), Some(main)) if main.unit == UnitName::Main => tracing::error!(
                credential,
                error,
                app_id = %main.app_id,
                "next unit of the credential, which signed, cannot be used; the unit in the files of the credential signs from now on"
            ),
            (UnitName::Next, Some(UnitName::Next), _) => tracing::error!(
                credential,
                error,
                "next unit of the credential, which signs, cannot be reloaded; the one read before stays in use"
            ),
            (UnitName::Next, ..) => tracing::error!(
                credential,
                error,
                "next unit of the credential cannot be used; the credential is not switched to it"
            ),
            (UnitName::Main, _, Some(_)) => {
                tracing::error!(credential, error, "credential cannot be reloaded; the one read before stays in use");
            }
            (UnitName::Main, _, None) => tracing::error!(
                credential,
                error,
                "credential cannot be used; its requests get 503 no_key until its files can be read"
            ),
        }
    }
}
