//! Merges the layers: compiled-in defaults, files, environment, flags. figment merges them and keeps the layer of every value. Each
//! layer is checked for unknown keys separately, so that the error can name the layer.
//!
//! Each environment variable and each flag is a layer of its own. Inline keys never enter figment; they are stored separately.

mod environment;
mod made;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
};

pub use made::Made;

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format as _, Toml},
    value::{Dict, Map, Value},
};

use super::{
    ConfigError, Secret, Sources,
    error::{hint, printable, shown},
    keys::{self, Place},
    proxy,
};
use crate::files;

/// The defaults: the documented file itself.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");
/// The name of the lowest layer.
pub(super) const DEFAULT: &str = "default";
/// The largest file that is read, in bytes: more than any configuration needs.
const FILE_CAP: usize = 1024 * 1024;

/// The values that the command line sets; the last layer.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--app-id`: `credentials.default.app_id`.
    pub(crate) app_id: Option<String>,
    /// `--private-key-file`: `credentials.default.private_key_file`.
    pub(crate) private_key_file: Option<PathBuf>,
    /// `--environment`: `upstream.environment`.
    pub(crate) environment: Option<String>,
    /// `--origin`: `upstream.origin`.
    pub(crate) origin: Option<String>,
    /// `--ca-file`: `upstream.ca_file`.
    pub(crate) ca_file: Option<PathBuf>,
    /// `--listen`: `listen.address`.
    pub(crate) listen: Option<String>,
    /// `--admin`: `admin.address`.
    pub(crate) admin: Option<String>,
    /// `--allowed-host`, several times: `listen.allowed_hosts`.
    pub(crate) allowed_hosts: Vec<String>,
    /// `--allow-non-loopback`: `listen.dangerous_allow_non_loopback`.
    pub(crate) allow_non_loopback: bool,
}

impl Flags {
    /// Flag, key and value of those that were given.
    fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, Result<String, ConfigError>)> {
        let text = |text: &Option<String>| text.clone().map(Ok);
        let path = |flag: &'static str, path: &Option<PathBuf>| {
            let text = path.as_ref()?.to_str().map(str::to_owned);
            let reason = "is not UTF-8".to_owned();
            Some(text.ok_or(ConfigError::Layer { layer: format!("flag {flag}"), reason }))
        };
        [
            ("--app-id", "credentials.default.app_id", text(&self.app_id)),
            (
                "--private-key-file",
                "credentials.default.private_key_file",
                path("--private-key-file", &self.private_key_file),
            ),
            ("--environment", "upstream.environment", text(&self.environment)),
            ("--origin", "upstream.origin", text(&self.origin)),
            ("--ca-file", "upstream.ca_file", path("--ca-file", &self.ca_file)),
            ("--listen", "listen.address", text(&self.listen)),
            ("--admin", "admin.address", text(&self.admin)),
            ("--allowed-host", "listen.allowed_hosts", Some(Ok(self.allowed_hosts.join(",")))),
            (
                "--allow-non-loopback",
                "listen.dangerous_allow_non_loopback",
                self.allow_non_loopback.then(|| Ok(true.to_string())),
            ),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value?)))
    }
}

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
    pub(super) fn into_sources(self) -> Sources {
        self.sources().collect()
    }

    fn sources(&self) -> impl Iterator<Item = (String, String)> {
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

/// One layer: a checked dictionary and its name.
struct Layer {
    name: String,
    file: Option<PathBuf>,
    dict: Dict,
}

impl Layer {
    fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let name = printable(&path.display().to_string());
        let refused = |reason: String| ConfigError::Layer { layer: name.clone(), reason };
        let content = files::read(path, FILE_CAP).map_err(|error| refused(error.to_string()))?;
        let text =
            std::str::from_utf8(&content.bytes).map_err(|_| refused("is not UTF-8; save it as UTF-8".to_owned()))?;
        // Windows editors write a byte order mark first, which TOML does not allow.
        let layer = Self::from_toml(name.clone(), text.strip_prefix('\u{feff}').unwrap_or(text))?;
        Ok(Self { file: Some(path.to_owned()), ..layer })
    }

    fn from_toml(name: String, text: &str) -> Result<Self, ConfigError> {
        // The error's own text repeats the line, and the line may contain a secret.
        let dict: Dict = Toml::from_str(text).map_err(|error| {
            let mut layer = name.clone();
            if let Some(span) = error.span() {
                let line = text.get(..span.start).unwrap_or(text).matches('\n').count() + 1;
                let _ = write!(layer, " line {line}");
            }
            let at = error.span().map_or(0, |span| span.start);
            let line =
                text.get(..at).and_then(|before| text[before.rfind('\n').map_or(0, |end| end + 1)..].lines().next());
            let message = printable(&error.message().trim().replace('\n', ", "));
            let reason = format!("not valid TOML: {message}{}", line.map_or("", toml_hint));
            ConfigError::Layer { layer, reason }
        })?;
        let layer = Self { name, file: None, dict };
        layer.check(&layer.dict, &mut Vec::new())?;
        Ok(Self { dict: tidy(layer.dict), ..layer })
    }

    /// A layer of the one `key`, which must be known; without it when `value` is empty.
    fn of_one(name: String, key: &str, value: &str) -> Self {
        let value = trimmed(value);
        if value.is_empty() {
            return Self { name, file: None, dict: Dict::new() };
        }

        let (tables, last) = key.rsplit_once('.').unwrap_or(("", key));
        let innermost = Dict::from([(last.to_owned(), Value::from(value))]);
        let dict =
            tables.rsplit('.').fold(innermost, |dict, table| Dict::from([(table.to_owned(), Value::from(dict))]));
        Self { name, file: None, dict }
    }

    /// Rejects unknown keys and inline private keys.
    fn check<'a>(&self, dict: &'a Dict, path: &mut Vec<&'a str>) -> Result<(), ConfigError> {
        for (name, value) in dict {
            path.push(name);
            let key = printable(&path.join("."));
            let refused = |reason: &str| {
                Err(ConfigError::Value {
                    key: key.clone(),
                    value: None,
                    layer: self.name.clone(),
                    reason: reason.to_owned(),
                })
            };
            match (keys::place(path), value) {
                (Place::Nowhere, _) if name.contains('.') => {
                    return refused("a name in quotes is one name, dots included; write it without the quotes");
                }
                (Place::Nowhere, _) => {
                    let nearest = keys::nearest(&key);
                    return Err(ConfigError::UnknownKey { key, layer: self.name.clone(), nearest });
                }
                (Place::Table, _) if path.len() == 2 && !keys::is_credential_name(name) => {
                    return refused("a credential's name is 1 to 64 of a-z, 0-9, \"_\" and \"-\"");
                }
                (Place::Table, Value::Dict(_, inner)) => self.check(inner, path)?,
                (Place::Table, _) => return refused("must be a table of keys"),
                (Place::Key, _) if name == "private_key" => {
                    return refused("must not be inline in a file; use private_key_file or the environment");
                }
                (Place::Key, _) if name == "webhook_public_key" => {
                    return refused("must not be inline in a file; use webhook_public_key_file or the environment");
                }
                (Place::Key, _) => {}
            }
            path.pop();
        }
        Ok(())
    }
}

/// A hint for a line that is almost TOML. The hint does not repeat the line, because it may contain a secret.
fn toml_hint(line: &str) -> &'static str {
    match line.find(['=', ':', '#']).map(|at| (line.as_bytes()[at], line[at + 1..].trim())) {
        Some((b':', _)) => "; write a key and its value as in level = \"info\"",
        Some((b'=', value))
            if !value.starts_with(['"', '\'', '[', '{']) && !value.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            "; put a text in quotes, as in level = \"info\""
        }
        _ => "",
    }
}

/// The rule for every value of every layer: white space around it does not count, and an empty one is not set. Templates,
/// `.env` files with CRLF and optional references to a Secret make both.
fn tidy(dict: Dict) -> Dict {
    let kept = |value: Value| match value {
        Value::String(tag, text) => {
            Some(trimmed(&text)).filter(|text| !text.is_empty()).map(|text| Value::String(tag, text.to_owned()))
        }
        // An empty item is kept, so that the parser of the list rejects it. Without it, a list of one would become an empty list.
        Value::Array(tag, items) => {
            let trim = |item| match item {
                Value::String(tag, text) => Value::String(tag, trimmed(&text).to_owned()),
                item => item,
            };
            Some(Value::Array(tag, items.into_iter().map(trim).collect()))
        }
        Value::Dict(tag, inner) => {
            let given = inner.len();
            let inner = tidy(inner);
            (given == 0 || !inner.is_empty()).then_some(Value::Dict(tag, inner))
        }
        value => Some(value),
    };
    dict.into_iter().filter_map(|(name, value)| Some((name, kept(value)?))).collect()
}

/// Without white space and byte order marks around it.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        let metadata = Metadata::named(self.name.clone());
        match &self.file {
            Some(file) => metadata.source(file.as_path()),
            None => metadata,
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}
