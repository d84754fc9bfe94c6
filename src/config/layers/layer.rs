//! One layer: the values of a file, a variable or a flag. Unknown keys are rejected here, so that the error can name the layer.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use figment::{
    Metadata, Profile, Provider,
    providers::{Format as _, Toml},
    value::{Dict, Map, Value},
};

use super::super::{
    ConfigError,
    error::printable,
    keys::{self, PathKind},
};
use crate::files;

/// The largest file that is read, in bytes: more than any configuration needs.
const FILE_CAP: usize = 1024 * 1024;

/// One layer: a checked dictionary and its name.
pub(super) struct Layer {
    name: String,
    file: Option<PathBuf>,
    dict: Dict,
}

impl Layer {
    pub(super) fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let name = printable(&path.display().to_string());
        let refused = |reason: String| ConfigError::Layer { layer: name.clone(), reason };
        let content = files::read(path, FILE_CAP).map_err(|error| refused(error.to_string()))?;
        let text =
            std::str::from_utf8(&content.bytes).map_err(|_| refused("is not UTF-8; save it as UTF-8".to_owned()))?;
        // Windows editors write a byte order mark first, which TOML does not allow.
        let layer = Self::from_toml(name.clone(), text.strip_prefix('\u{feff}').unwrap_or(text))?;
        Ok(Self { file: Some(path.to_owned()), ..layer })
    }

    pub(super) fn from_toml(name: String, text: &str) -> Result<Self, ConfigError> {
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
    pub(super) fn of_one(name: String, key: &str, value: &str) -> Self {
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
            match (keys::kind_of(path), value) {
                (PathKind::Unknown, _) if name.contains('.') => {
                    return refused("a name in quotes is one name, dots included; write it without the quotes");
                }
                (PathKind::Unknown, _) => {
                    let nearest = keys::nearest(&key);
                    return Err(ConfigError::UnknownKey { key, layer: self.name.clone(), nearest });
                }
                (PathKind::Table, _) if path.len() == 2 && !keys::is_credential_name(name) => {
                    return refused("a credential's name is 1 to 64 of a-z, 0-9, \"_\" and \"-\"");
                }
                (PathKind::Table, Value::Dict(_, inner)) => self.check(inner, path)?,
                (PathKind::Table, _) => return refused("must be a table of keys"),
                (PathKind::Key, _) if name == "private_key" => {
                    return refused("must not be inline in a file; use private_key_file or the environment");
                }
                (PathKind::Key, _) if name == "webhook_public_key" => {
                    return refused("must not be inline in a file; use webhook_public_key_file or the environment");
                }
                (PathKind::Key, _) => {}
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
pub(in super::super) fn trimmed(text: &str) -> &str {
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
