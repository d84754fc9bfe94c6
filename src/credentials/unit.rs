//! Reads the parts of one credential as one unit: AppID, private key and webhook key. It is usable as a whole or not at all.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{
    config::{AppIdSource, KeySource, UnitConfig, app_id_of},
    files::{self, Content, ReadError},
    signing::{self, AppId, KeyError, Nonce, RequestTime, SigningKey, Stamp, VerifyingKey, signature_message, webhook},
};

/// The maximum size of a key file: more than any PEM file with one RSA key has, leading text included.
const KEY_CAP: usize = 64 * 1024;
/// The maximum size of an AppID file.
const APP_ID_CAP: usize = 4096;
/// The maximum size of a passphrase file.
pub(crate) const PASSPHRASE_CAP: usize = 4096;
/// The longest passphrase that openssl reads from a file.
const LONGEST_PASSPHRASE: usize = 1023;
/// The permission bit with which every user of the machine can read a file.
const WORLD_READABLE: u32 = 0o004;

/// A checked unit that has signed once.
pub(super) struct Unit {
    pub(super) app_id: AppId,
    pub(super) key: SigningKey,
    pub(super) webhook_key: Option<VerifyingKey>,
}

/// The files of the unit.
pub(super) fn paths(sources: &UnitConfig) -> Vec<PathBuf> {
    let app_id = match &sources.app_id {
        AppIdSource::File(path) => Some(path),
        AppIdSource::Value(_) => None,
    };
    let keys = [Some(&sources.private_key), sources.webhook_public_key.as_ref()].into_iter().flatten();
    let keys = keys.filter_map(|source| match source {
        KeySource::File(path) => Some(path),
        KeySource::Inline(_) => None,
    });
    app_id.into_iter().chain(keys).chain(&sources.passphrase_file).cloned().collect()
}

/// Reads the unit in the table `table` of the configuration.
pub(super) fn read(table: &str, sources: &UnitConfig) -> Result<Unit, UnitError> {
    let at = |key: &str| format!("{table}.{key}");
    let app_id = match &sources.app_id {
        AppIdSource::Value(app_id) => app_id.clone(),
        AppIdSource::File(path) => {
            let key = at("app_id_file");
            let content = read_file(&key, path, APP_ID_CAP)?;
            let refused = |reason| UnitError::new(&key, Some(path), reason);
            let text = std::str::from_utf8(&content.bytes).map_err(|_| {
                refused(Reason::AppId(
                    "holds no AppID: it is not UTF-8 text; copy the AppID from Wonder's portal into it".to_owned(),
                ))
            })?;
            app_id_of(text).map_err(|reason| refused(Reason::AppId(reason)))?
        }
    };
    let passphrase = sources.passphrase_file.as_ref().map(|path| {
        let key = at("private_key_passphrase_file");
        let content = read_file(&key, path, PASSPHRASE_CAP)?;
        if is_world_readable(content.mode) {
            tracing::warn!(
                key,
                path = %path.display(),
                "passphrase file is readable by everyone on this machine; chmod 0600 or 0400"
            );
        }
        passphrase(&content.bytes).map_err(|reason| UnitError::new(&key, Some(path), Reason::Passphrase(reason)))
    });
    let passphrase = passphrase.transpose()?;
    let read_private = |pem: &[u8]| match &passphrase {
        Some(passphrase) => SigningKey::from_encrypted_pem(pem, passphrase),
        None => SigningKey::from_pem(pem),
    };
    let in_file = at("private_key_file");
    let keys = [in_file.as_str(), &at("private_key (from the environment)")];
    let key = read_key(keys, &sources.private_key, read_private, |path, mode| {
        if is_world_readable(mode) {
            tracing::warn!(
                key = in_file,
                path = %path.display(),
                "private key file is readable by everyone on this machine; chmod 0600 or 0400"
            );
        }
    })?;
    sign_once(&key).map_err(|error| UnitError::new(&at("private_key"), None, Reason::Sign(error)))?;
    let keys = [at("webhook_public_key_file"), at("webhook_public_key (from the environment)")];
    let webhook_key = sources.webhook_public_key.as_ref().map(|source| {
        let read = |bytes: &[u8]| webhook::public_key(bytes, [key.verifying_key()]);
        read_key([&keys[0], &keys[1]], source, read, |_, _| {})
    });
    let webhook_key = webhook_key.transpose()?;
    Ok(Unit { app_id, key, webhook_key })
}

/// Rejects a webhook key of the unit in `table` that is the public half of one of `request_keys`.
pub(super) fn check_webhook_key<'a>(
    table: &str,
    sources: &UnitConfig,
    key: &VerifyingKey,
    request_keys: impl IntoIterator<Item = &'a VerifyingKey>,
) -> Result<(), UnitError> {
    let (last, path) = match &sources.webhook_public_key {
        Some(KeySource::File(path)) => ("webhook_public_key_file", Some(path.as_path())),
        _ => ("webhook_public_key (from the environment)", None),
    };
    webhook::check(key, request_keys).map_err(|error| UnitError::new(&format!("{table}.{last}"), path, error.into()))
}

/// Rejects a request key of the unit in `table`, because its public half is already the webhook key of the credential `other`.
pub(super) fn is_webhook_key(table: &str, sources: &UnitConfig, other: &str) -> UnitError {
    let (last, path) = match &sources.private_key {
        KeySource::File(path) => ("private_key_file", Some(path.as_path())),
        KeySource::Inline(_) => ("private_key (from the environment)", None),
    };
    UnitError::new(&format!("{table}.{last}"), path, Reason::IsWebhookKey(other.to_owned()))
}

/// Reads a key from the file that the first of `keys` names, or from the configuration itself.
fn read_key<K, E: Into<Reason>>(
    keys: [&str; 2],
    source: &KeySource,
    read: impl Fn(&[u8]) -> Result<K, E>,
    check_mode: impl FnOnce(&Path, u32),
) -> Result<K, UnitError> {
    match source {
        KeySource::Inline(secret) => {
            read(secret.expose().as_bytes()).map_err(|error| UnitError::new(keys[1], None, error.into()))
        }
        KeySource::File(path) => {
            let content = read_file(keys[0], path, KEY_CAP)?;
            check_mode(path, content.mode);
            read(&content.bytes).map_err(|error| UnitError::new(keys[0], Some(path), error.into()))
        }
    }
}

/// The first line of a passphrase file, as openssl's `file:` reads it, with the CR of a file with CRLF.
pub(crate) fn passphrase(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match line {
        [] | [b'\r'] => Err(PassphraseError::Empty),
        _ if line.contains(&0) => Err(PassphraseError::Nul),
        _ if line.len() > LONGEST_PASSPHRASE => Err(PassphraseError::Long),
        line => Ok(Zeroizing::new(line.to_vec())),
    }
}

/// The first line of a file that is no passphrase. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PassphraseError {
    /// Nothing in it.
    #[error("holds no passphrase: its first line is empty")]
    Empty,
    /// openssl ends a passphrase at a NUL byte.
    #[error("holds no passphrase: its first line has a NUL byte; write it as plain text, not as UTF-16")]
    Nul,
    /// openssl cuts a longer passphrase.
    #[error("holds no passphrase: its first line has more than {LONGEST_PASSPHRASE} bytes, which openssl would cut")]
    Long,
}

/// Whether every user of the machine can read a file of this mode.
pub(crate) fn is_world_readable(mode: u32) -> bool {
    mode & WORLD_READABLE != 0
}

fn read_file(key: &str, path: &Path, cap: usize) -> Result<Content, UnitError> {
    files::read(path, cap).map_err(|error| UnitError::new(key, Some(path), Reason::File(error)))
}

/// Signs once and discards the result. The first signature of a process gathers entropy for tens of milliseconds (ten times that under a
/// tight CPU limit), which must happen before the sidecar is ready and not in the first payment.
fn sign_once(key: &SigningKey) -> Result<(), signing::SignError> {
    let stamp =
        Stamp { request_time: RequestTime::from_unix_seconds(0), nonce: Nonce::generate(&mut rand::thread_rng()) };
    signing::sign_message(key, &signature_message(&stamp, "POST", "/", &[b""])).map(drop)
}

/// The unusable part of a unit, and the reason. No part of a key is repeated.
#[derive(Debug, thiserror::Error)]
#[error("{key}{path}: {reason}", path = .path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
pub struct UnitError {
    /// As in the configuration: `credentials.default.private_key_file`.
    key: String,
    /// The file that the key names.
    path: Option<PathBuf>,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    File(ReadError),
    #[error("{0}")]
    AppId(String),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("{0}")]
    WebhookKey(#[from] webhook::WebhookKeyError),
    #[error(
        "its public half is the webhook key of credential {0}; Wonder alone holds the private half of a webhook key, so one of the two \
         files is wrong; correct it, and both are read again"
    )]
    IsWebhookKey(String),
    #[error("{0}")]
    Passphrase(PassphraseError),
    #[error("the key does not sign: {0}")]
    Sign(signing::SignError),
}

impl UnitError {
    fn new(key: &str, path: Option<&Path>, reason: Reason) -> Self {
        Self { key: key.to_owned(), path: path.map(Path::to_owned), reason }
    }
}
