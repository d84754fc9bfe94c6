//! Who signs: an AppID and the places of its keys. The keys themselves are read by the keystore.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use figment::value::Value;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Application, ConfigError,
    error::hint,
    field::{Key, Shown},
    file,
    layers::{Layers, trimmed},
    shapes, values,
};
use crate::signing::AppId;

/// What stands in place of a secret.
const MASKED: &str = "(secret)";

/// One credential.
#[derive(Debug, Clone)]
pub struct CredentialConfig {
    /// Names the application to Wonder; from `app_id` or `app_id_file`.
    pub app_id: AppId,
    /// Where the key is; from `private_key_file` or, in the environment only, `private_key`.
    pub private_key: KeySource,
    /// Where the key is that verifies Wonder's webhooks, default none; from `webhook_public_key_file` or, in the environment only,
    /// `webhook_public_key`.
    pub webhook_public_key: Option<KeySource>,
    /// The application that receives the webhooks of this AppID, default `webhook.forward_to`.
    pub webhook_forward_to: Option<Application>,
}

/// Where a key is.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// In an environment variable, as text.
    Inline(Secret),
}

/// Text that is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` over.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for those who need it: the keystore alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl CredentialConfig {
    /// The keys of every credential. No error repeats a value: each may be a key in the wrong place.
    pub(super) fn keys(all: &mut Vec<Key>) {
        let file = values::path().schema;
        let keys = [
            ("credentials.*.app_id", shapes::uuid()),
            ("credentials.*.app_id_file", file.clone()),
            ("credentials.*.private_key_file", file.clone()),
            ("credentials.*.private_key", shapes::not_in_a_file()),
            ("credentials.*.webhook_public_key_file", file),
            ("credentials.*.webhook_public_key", shapes::not_in_a_file()),
            ("credentials.*.webhook_forward_to", shapes::application()),
        ];
        all.extend(keys.map(|(name, schema)| Key { name, secret: true, schema }));
    }

    /// An AppID shows as such, also when it came from `app_id_file`.
    pub(super) fn show(&self, name: &str, shown: &mut Shown<'_>) {
        let Self { app_id, private_key, webhook_public_key, webhook_forward_to } = self;
        shown.add(format!("credentials.{name}.app_id"), json!(app_id.as_str()));
        let mut key = |last: &str, source: &KeySource| match source {
            KeySource::File(file) => {
                shown.add(format!("credentials.{name}.{last}_file"), (values::path().show)(file));
            }
            KeySource::Inline(_) => shown.add(format!("credentials.{name}.{last}"), json!(MASKED)),
        };
        key("private_key", private_key);
        if let Some(source) = webhook_public_key {
            key("webhook_public_key", source);
        }
        if let Some(application) = webhook_forward_to {
            shown.add(format!("credentials.{name}.webhook_forward_to"), json!(application.to_string()));
        }
    }

    pub(super) fn read_all(layers: &Layers) -> Result<BTreeMap<String, Self>, ConfigError> {
        layers.credential_names().into_iter().map(|name| Ok((name.clone(), Self::read(layers, &name)?))).collect()
    }

    fn read(layers: &Layers, name: &str) -> Result<Self, ConfigError> {
        let key = |last: &str| format!("credentials.{name}.{last}");
        one_of(layers, name, "app_id", "app_id_file")?;
        one_of(layers, name, "private_key_file", "private_key")?;
        let app_id = match layers.read_optional(&key("app_id"), values::parse_word)? {
            Some(app_id) => app_id,
            None => layers.read(&key("app_id_file"), app_id_from_file)?,
        };
        let private_key = match layers.secret(&key("private_key")) {
            Some(secret) => KeySource::Inline(secret.clone()),
            None => KeySource::File(layers.read(&key("private_key_file"), values::path().parse)?),
        };
        not_both(layers, name, "webhook_public_key_file", "webhook_public_key")?;
        let webhook_public_key = match layers.secret(&key("webhook_public_key")) {
            Some(secret) => Some(KeySource::Inline(secret.clone())),
            None => layers.read_optional(&key("webhook_public_key_file"), values::path().parse)?.map(KeySource::File),
        };
        let webhook_forward_to = layers.read_optional(&key("webhook_forward_to"), values::parse_word)?;
        Ok(Self { app_id, private_key, webhook_public_key, webhook_forward_to })
    }
}

/// Refuses none and both: which of the two a deployment means is not for us to guess.
fn one_of(layers: &Layers, name: &str, one: &str, other: &str) -> Result<(), ConfigError> {
    let [one_key, other_key] = [one, other].map(|last| format!("credentials.{name}.{last}"));
    if layers.has(&one_key) || layers.has(&other_key) {
        return not_both(layers, name, one, other);
    }
    let layer = layers.table_source(&format!("credentials.{name}"));
    let reason = format!("has neither {one} nor {other}; set {one_key}");
    Err(ConfigError::Value { key: format!("credentials.{name}"), value: None, layer, reason })
}

fn not_both(layers: &Layers, name: &str, one: &str, other: &str) -> Result<(), ConfigError> {
    let [one_key, other_key] = [one, other].map(|last| format!("credentials.{name}.{last}"));
    if layers.has(&one_key) && layers.has(&other_key) {
        let reason = format!("is set beside {one_key} (from {}); set only one of them", layers.source(&one_key));
        return Err(layers.refuse(&other_key, reason));
    }
    Ok(())
}

fn app_id_from_file(value: &Value) -> Result<AppId, String> {
    let path = (values::path().parse)(value)?;
    let content = file::read(&path, 4096).map_err(|error| format!("{} {error}", path.display()))?;
    let in_file = |reason: &str| format!("in {}, {reason}", path.display());
    let text = std::str::from_utf8(&content.bytes).map_err(|_| in_file("the AppID is not UTF-8 text"))?;
    let text = trimmed(text);
    if text.is_empty() {
        return Err(in_file("there is no AppID: the file is empty"));
    }
    text.parse().map_err(|error| in_file(&format!("{error}{}", hint(text).unwrap_or_default())))
}
