//! The keys in memory: read once at start, looked up by the credential's name for every request.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use crate::{
    config::{
        CredentialConfig, KeySource,
        file::{self, ReadError},
    },
    signing::{AppId, KeyError, SigningKey},
};

/// More than any PEM file with one RSA key has, leading text included.
const FILE_CAP: usize = 64 * 1024;
/// The permission bit that lets everyone on the machine read a file.
const WORLD_READABLE: u32 = 0o004;

/// All signing keys, by the credential's name.
#[derive(Debug, Clone)]
pub struct Keystore {
    entries: BTreeMap<String, Arc<Entry>>,
}

/// One credential with its key, ready to sign.
#[derive(Debug)]
pub struct Entry {
    /// The name it has in the configuration.
    pub name: String,
    /// Names the application to Wonder.
    pub app_id: AppId,
    /// Signs for it.
    pub key: SigningKey,
}

impl Keystore {
    /// Reads every key; one that cannot be used fails the whole.
    ///
    /// # Errors
    /// The first [`KeystoreError`] in the order of the names.
    pub fn load(credentials: &BTreeMap<String, CredentialConfig>) -> Result<Self, KeystoreError> {
        let entries = credentials.iter().map(|(name, credential)| {
            let key = read_key(name, &credential.private_key)?;
            let entry = Entry { name: name.clone(), app_id: credential.app_id.clone(), key };
            Ok((name.clone(), Arc::new(entry)))
        });
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// The credential of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries.get(name).cloned()
    }

    /// All credentials, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }
}

fn read_key(name: &str, source: &KeySource) -> Result<SigningKey, KeystoreError> {
    match source {
        KeySource::Inline(secret) => SigningKey::from_pem(secret.expose().as_bytes())
            .map_err(|reason| KeystoreError::Inline { name: name.to_owned(), reason }),
        KeySource::File(path) => {
            let content = file::read(path, FILE_CAP).map_err(|error| {
                let (name, path) = (name.to_owned(), path.clone());
                match error {
                    ReadError::Io(reason) => KeystoreError::Unreadable { name, path, reason },
                    ReadError::Directory => KeystoreError::Directory { name, path },
                    ReadError::TooLarge(_) => KeystoreError::TooLarge { name, path },
                    ReadError::Pipe(_) => KeystoreError::Pipe { name, path },
                }
            })?;
            if content.mode & WORLD_READABLE != 0 {
                tracing::warn!(
                    credential = name,
                    path = %path.display(),
                    "private key file is readable by everyone on this machine; chmod 0600 or 0400"
                );
            }
            SigningKey::from_pem(&content.bytes).map_err(|reason| KeystoreError::File {
                name: name.to_owned(),
                path: path.clone(),
                reason,
            })
        }
    }
}

/// Which key cannot be used, and why. No part of a key is repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file could not be opened or read.
    #[error("credentials.{name}.private_key_file {path}: cannot be read: {reason}", path = .path.display())]
    Unreadable {
        /// The credential.
        name: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A directory, as a mount without its sub-path gives.
    #[error("credentials.{name}.private_key_file {path}: is a directory, a file is needed", path = .path.display())]
    Directory {
        /// The credential.
        name: String,
        /// The directory.
        path: PathBuf,
    },
    /// Not the size of a key.
    #[error("credentials.{name}.private_key_file {path}: is larger than 64 KiB, which no key is", path = .path.display())]
    TooLarge {
        /// The credential.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A named pipe that nobody wrote to.
    #[error("credentials.{name}.private_key_file {path}: is a named pipe that nobody wrote to its end", path = .path.display())]
    Pipe {
        /// The credential.
        name: String,
        /// The pipe.
        path: PathBuf,
    },
    /// The file holds no usable key.
    #[error("credentials.{name}.private_key_file {path}: {reason}", path = .path.display())]
    File {
        /// The credential.
        name: String,
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: KeyError,
    },
    /// The environment variable holds no usable key.
    #[error("credentials.{name}.private_key (from the environment): {reason}")]
    Inline {
        /// The credential.
        name: String,
        /// What was found instead.
        reason: KeyError,
    },
}

#[cfg(test)]
mod tests;
