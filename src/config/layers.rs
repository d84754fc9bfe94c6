//! Merges the layers: compiled-in defaults, files, environment, flags. figment merges them and keeps the layer of every value. Each
//! layer is checked for unknown keys separately, so that the error can name the layer.
//!
//! Each environment variable and each flag is a layer of its own. Inline keys never enter figment; they are stored separately.

mod environment;
mod flags;
mod layer;
mod made;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use figment::{
    Figment, Metadata,
    value::{Dict, Value},
};

use self::layer::Layer;
pub(super) use self::layer::trimmed;
pub use self::{flags::Flags, made::Made};
use super::{
    ConfigError, Secret,
    error::{hint, shown},
    keys, proxy,
};

/// The defaults: the documented file itself.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");
/// The name of the lowest layer.
pub(super) const DEFAULT: &str = "default";

/// All layers, merged.
pub(super) struct Layers {
    figment: Figment,
    /// The values of all layers. They are merged once, because figment copies all of them for each look-up.
    merged: Value,
    secrets: BTreeMap<String, Secret>,
    no_proxy: String,
}

impl Layers {
    /// Reads and merges the layers; rejects unknown keys.
    pub(super) fn gather(
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &Flags,
        made: Made,
    ) -> Result<Self, ConfigError> {
        let variables = environment::read(environment)?;
        let mut figment = Figment::new().merge(Layer::from_toml(DEFAULT.to_owned(), DEFAULTS)?);
        for layer in made.below() {
            figment = figment.merge(layer);
        }
        if let Some(layer) = variables.proxy {
            figment = figment.merge(layer);
        }
        for path in files {
            figment = figment.merge(Layer::from_file(path)?);
        }
        for layer in variables.layers {
            figment = figment.merge(layer);
        }
        for (flag, key, value) in flags.given() {
            figment = figment.merge(Layer::of_one(format!("flag {flag}"), key, &value?));
        }
        let merged = merged(&figment);
        made.over(Self { figment, merged, secrets: variables.secrets, no_proxy: variables.no_proxy })
    }

    /// Adds a layer above all others.
    fn add(&mut self, layer: Layer) {
        self.figment = std::mem::take(&mut self.figment).merge(layer);
        self.merged = merged(&self.figment);
    }

    /// The value of `key`, finished by `parse`.
    pub(super) fn read<T>(&self, key: &str, parse: impl FnOnce(&Value) -> Result<T, String>) -> Result<T, ConfigError> {
        self.read_optional(key, parse)?.ok_or_else(|| self.refuse(key, "is missing"))
    }

    /// The same for a key that may be unset.
    pub(super) fn read_optional<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.merged.find_ref(key) else { return Ok(None) };
        parse(value).map(Some).map_err(|reason| self.refuse(key, reason))
    }

    /// Whether any layer sets `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.merged.find_ref(key).is_some()
    }

    /// An error about the value of `key`.
    pub(super) fn refuse(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        let mut reason = reason.into();
        let value = self.merged.find_ref(key);
        if let Some(hint) = value.and_then(|value| hint(value.as_str()?)) {
            reason.push_str(&hint);
        }
        let value = value.and_then(|value| shown(key, value));
        ConfigError::Value { key: key.to_owned(), value, layer: self.source(key), reason }
    }

    /// The layer that `key` came from.
    pub(super) fn source(&self, key: &str) -> String {
        self.metadata(key).map_or_else(|| DEFAULT.to_owned(), |metadata| metadata.name.to_string())
    }

    fn metadata(&self, key: &str) -> Option<&Metadata> {
        self.figment.get_metadata(self.merged.find_ref(key)?.tag())
    }

    /// The layer that a table's first key came from; a table itself belongs to all that fill it.
    pub(super) fn table_source(&self, table: &str) -> String {
        let first = self.merged.find_ref(table).and_then(|value| value.as_dict()?.keys().next());
        self.source(&first.map_or_else(|| table.to_owned(), |first| format!("{table}.{first}")))
    }

    /// The names of all credentials.
    pub(super) fn credential_names(&self) -> Vec<String> {
        let table = self.merged.find_ref("credentials").and_then(Value::as_dict);
        table.map_or_else(Vec::new, |table| table.keys().cloned().collect())
    }

    /// The inline key at `key`.
    pub(super) fn secret(&self, key: &str) -> Option<&Secret> {
        self.secrets.get(key)
    }

    /// Whether the proxy comes from `HTTPS_PROXY`, which is for every program, and not from `upstream.proxy`.
    pub(super) fn proxy_is_for_everyone(&self) -> bool {
        environment::PROXY.iter().any(|name| self.source(proxy::KEY) == environment::layer_name(name))
    }

    /// The text of `NO_PROXY`.
    pub(super) fn no_proxy(&self) -> &str {
        &self.no_proxy
    }

    /// The layer of each key.
    pub(super) fn sources(&self) -> impl Iterator<Item = (String, String)> {
        let credentials = self.credential_names();
        // A key outside credentials occurs once per credential. The duplicates have no effect.
        let keys = ["default".to_owned()]
            .into_iter()
            .chain(credentials)
            .flat_map(|name| keys::with_credential(&name).collect::<Vec<_>>());
        let with_source = |key: String| {
            let metadata = self.metadata(&key)?;
            let kind = if metadata.source.is_some() { "file " } else { "" };
            Some((key, format!("{kind}{}", metadata.name)))
        };
        keys.filter_map(with_source)
    }
}

/// The values of all layers; the empty path is the root.
fn merged(figment: &Figment) -> Value {
    figment.find_value("").unwrap_or_else(|_| Value::from(Dict::new()))
}
