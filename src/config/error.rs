//! Errors of the configuration. Each is one line that names the key and the layer.
//!
//! An error repeats a value only if it cannot contain a secret; see [`shown`].

use figment::value::Value;

use super::keys;

/// Why the configuration was rejected.
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
    /// A value was rejected.
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
    /// An unknown key.
    #[error("unknown key {key} (from {layer}){hint}", hint = did_you_mean(.nearest.as_deref()))]
    UnknownKey {
        /// `limits.boddy`.
        key: String,
        /// File path.
        layer: String,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// An unknown variable that starts with `WONDER_SIGNER_`.
    #[error("unknown environment variable {name}{hint}", hint = did_you_mean(.nearest.as_deref()))]
    UnknownVariable {
        /// `WONDER_SIGNER_LIMITS__BODDY`.
        name: String,
        /// The known variable most like it.
        nearest: Option<String>,
    },
    /// The configuration has no credential.
    #[error("no credentials; set credentials.default.app_id and credentials.default.private_key_file")]
    NoCredentials,
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default()
}

/// A value as TOML, for an error; empty if it is long or may contain a secret: a key, or a URL with a
/// password or a query.
pub(super) fn shown(key: &str, value: &Value) -> Option<String> {
    if keys::is_secret(key) {
        return None;
    }
    match value {
        Value::String(_, text) => {
            let harmless = text.len() <= 80 && !text.contains(['@', '?', '#']) && !text.contains("-----");
            harmless.then(|| format!("\"{}\"", escaped(text)))
        }
        Value::Bool(_, switch) => Some(switch.to_string()),
        Value::Num(..) => value.to_i128().or_else(|| value.to_u128()?.try_into().ok()).map(|number| number.to_string()),
        _ => None,
    }
}

/// The text without control characters, which would break a line or a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// The text as TOML writes it between quotes. An invisible character becomes an escape such as `\u200B`.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut whole, letter| {
        match letter {
            '"' | '\\' => whole.extend(['\\', letter]),
            _ if is_invisible(letter) => whole.push_str(&code(letter)),
            _ => whole.push(letter),
        }
        whole
    })
}

fn code(letter: char) -> String {
    match letter {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        _ if u32::from(letter) > 0xffff => format!("\\U{:08X}", u32::from(letter)),
        _ => format!("\\u{:04X}", u32::from(letter)),
    }
}

/// A hint on characters of a rejected text that a person may overlook. The hint repeats nothing else of the text.
pub(super) fn hint(text: &str) -> Option<String> {
    if text.contains("-----") {
        return None;
    }
    if let Some(letter) = text.chars().find(|letter| is_invisible(*letter)) {
        return Some(format!("; it contains the invisible character {}", code(letter)));
    }
    let quotes = ['"', '\'', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];
    text.starts_with(quotes)
        .then(|| "; it begins with a quotation mark, which is part of the value: leave it out".to_owned())
}

/// Control characters, unusual spaces, and characters without width.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || (letter.is_whitespace() && letter != ' ')
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
