//! A directory in the form of a Kubernetes Secret volume: links to files behind the link `..data`, which is swapped as a whole.

use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::LazyLock,
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;
use wonder_signer::signing::{SigningKey, VerifyingKey};

/// A unit: the AppID and the key of one business at Wonder.
pub(crate) struct Unit {
    pub(crate) app_id: String,
    pub(crate) pem: String,
    pub(crate) public: VerifyingKey,
}

impl Unit {
    fn new(number: usize) -> Self {
        let (key, pem) = SigningKey::generate(&mut rand::thread_rng(), 2048).unwrap();
        Self {
            app_id: format!("00000000-0000-4000-8000-{number:012}"),
            pem: pem.to_string(),
            public: key.verifying_key().clone(),
        }
    }
}

/// The units that tests choose from, made once.
pub(crate) static UNITS: LazyLock<[Unit; 3]> = LazyLock::new(|| [1, 2, 3].map(Unit::new));

/// The files of one unit.
pub(crate) struct Volume {
    directory: TempDir,
    swaps: AtomicUsize,
}

impl Volume {
    /// With the files of `unit`.
    pub(crate) fn of(unit: &Unit) -> Self {
        let volume = Self::empty();
        volume.swap(&unit.app_id, &unit.pem);
        volume
    }

    /// Without any files.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), swaps: AtomicUsize::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The configuration keys of a credential in these files.
    pub(crate) fn toml(&self) -> String {
        let [app_id, key] = ["app_id", "key.pem"].map(|name| self.path(name).display().to_string());
        format!("app_id_file = \"{app_id}\"\nprivate_key_file = \"{key}\"\n")
    }

    /// Replaces both files at once, as the kubelet does.
    pub(crate) fn swap(&self, app_id: &str, key: &str) {
        let number = self.swaps.fetch_add(1, Ordering::Relaxed);
        let directory = self.path(&format!("..{number}"));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("app_id"), app_id).unwrap();
        fs::write(directory.join("key.pem"), key).unwrap();
        symlink(format!("..{number}"), self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        for name in ["app_id", "key.pem"] {
            let _ = symlink(format!("..data/{name}"), self.path(name));
        }
        if let Some(old) = number.checked_sub(1) {
            fs::remove_dir_all(self.path(&format!("..{old}"))).unwrap();
        }
    }

    pub(crate) fn swap_to(&self, unit: &Unit) {
        self.swap(&unit.app_id, &unit.pem);
    }
}
