//! What went wrong with the configuration, in one line that names the key and the layer.
//!
//! Values are repeated only where they can hold no secret; see [`shown`].

use figment::value::Value;

use super::keys;

/// Why the configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A layer could not be read at all.
    #[error("{layer}: {reason}")]
    Layer {
        /// File path, environment variable or flag.
        layer: String,
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// A value was refused.
    #[error("{key}{value} (from {layer}): {reason}", value = .value.as_ref().map(|text| format!(" = {text}")).unwrap_or_default())]
    Value {
        /// `limits.body`.
        key: String,
        /// The value as TOML, left out where it might be a secret.
        value: Option<String>,
        /// File path, environment variable or flag.
        layer: String,
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// A key that means nothing.
    #[error("unknown key {key} (from {layer}){hint}", hint = did_you_mean(.nearest.as_deref()))]
    UnknownKey {
        /// `limits.boddy`.
        key: String,
        /// File path.
        layer: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// A variable that starts with `WONDER_SIGNER_` and means nothing.
    #[error("unknown environment variable {name}{hint}", hint = did_you_mean(.nearest.as_deref()))]
    UnknownVariable {
        /// `WONDER_SIGNER_LIMITS__BODDY`.
        name: String,
        /// The known variable most like it.
        nearest: Option<String>,
    },
    /// Nothing could be signed.
    #[error("no credentials; set credentials.default.app_id and credentials.default.private_key_file")]
    NoCredentials,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default()
}

/// A value as TOML, for repetition in an error; nothing where it is long or might hold a secret: a key, or a URL with a
/// password or a query.
pub(super) fn shown(key: &str, value: &Value) -> Option<String> {
    if keys::is_secret(key) {
        return None;
    }
    match value {
        Value::String(_, text) => {
            let harmless = text.len() <= 80
                && !text.contains(['@', '?', '#'])
                && !text.contains("-----")
                && printable(text) == *text;
            harmless.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
        }
        Value::Bool(_, switch) => Some(switch.to_string()),
        Value::Num(..) => value.to_i128().or_else(|| value.to_u128()?.try_into().ok()).map(|number| number.to_string()),
        _ => None,
    }
}

/// The text without what would break a line or a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
