//! Where each credential's AppID and keys are. [`crate::credentials`] reads them, together and as one unit.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Application, ConfigError,
    field::{Key, Shown},
    layers::Layers,
    shapes, values,
};
use crate::signing::AppId;

/// The text that replaces a secret.
const MASKED: &str = "(secret)";

/// One credential.
#[derive(Debug, Clone)]
pub struct CredentialConfig {
    /// Names the application to Wonder; from `app_id` or `app_id_file`.
    pub app_id: AppIdSource,
    /// Where the private key is; from `private_key_file` or, in the environment only, `private_key`.
    pub private_key: KeySource,
    /// Where the key is that verifies Wonder's webhooks, default none; from `webhook_public_key_file` or, in the environment only,
    /// `webhook_public_key`.
    pub webhook_public_key: Option<KeySource>,
    /// The application that receives the webhooks of this AppID, default `webhook.forward_to`.
    pub webhook_forward_to: Option<Application>,
}

/// The source of an AppID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppIdSource {
    /// In the configuration itself.
    Value(AppId),
    /// In a text file.
    File(PathBuf),
}

/// The source of a key.
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
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the code that reads the key.
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

    pub(super) fn show(&self, name: &str, shown: &mut Shown<'_>) {
        let Self { app_id, private_key, webhook_public_key, webhook_forward_to } = self;
        match app_id {
            AppIdSource::Value(app_id) => shown.add(format!("credentials.{name}.app_id"), json!(app_id.as_str())),
            AppIdSource::File(file) => {
                shown.add(format!("credentials.{name}.app_id_file"), (values::path().show)(file));
            }
        }
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
            Some(app_id) => AppIdSource::Value(app_id),
            None => AppIdSource::File(layers.read(&key("app_id_file"), values::path().parse)?),
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

/// Refuses none and both: a guess at which of the two a deployment means could sign for the wrong business.
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
