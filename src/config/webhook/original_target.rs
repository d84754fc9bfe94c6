//! The target that Wonder signed, where a reverse proxy rewrites it.

use http::HeaderName;
use serde_json::json;

use super::{
    super::{
        ConfigError,
        field::{Field, Shown},
        keys::Key,
        layers::Layers,
        required_header, shapes,
    },
    path_prefix::path,
};

/// How the target that Wonder signed is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OriginalTarget {
    /// It is the value of this header: nginx sets `X-Original-URI` to `$request_uri`.
    Header(HeaderName),
    /// It is this prefix, which a reverse proxy removed, followed by the received target.
    Prefix(String),
}

/// At most one of its two keys may be set.
pub(super) struct OriginalTargetKeys;

const ORIGINAL_TARGET: [&str; 2] = ["webhook.original_target_header", "webhook.original_target_prefix"];

impl Field<Option<OriginalTarget>> for OriginalTargetKeys {
    fn keys(&self, _: &'static str, all: &mut Vec<Key>) {
        let schemas = [shapes::pattern("^[A-Za-z0-9-]+$"), shapes::pattern("^/[^?#\\s]*$")];
        all.extend(ORIGINAL_TARGET.into_iter().zip(schemas).map(|(name, schema)| Key { name, secret: false, schema }));
    }

    fn read(&self, _: &'static str, layers: &Layers) -> Result<Option<OriginalTarget>, ConfigError> {
        let [header_key, prefix_key] = ORIGINAL_TARGET;
        let header = layers.read_optional(header_key, |value| header(value.as_str().unwrap_or_default()))?;
        let prefix = layers.read_optional(prefix_key, |value| {
            let prefix = path(value.as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
            if prefix.is_empty() { Err("changes nothing; leave it out".to_owned()) } else { Ok(prefix.to_owned()) }
        })?;
        match (header, prefix) {
            (None, None) => Ok(None),
            (Some(header), None) => Ok(Some(OriginalTarget::Header(header))),
            (None, Some(prefix)) => Ok(Some(OriginalTarget::Prefix(prefix))),
            (Some(_), Some(_)) => {
                let reason = format!(
                    "cannot be set together with {header_key} (from {}); set only one of them",
                    layers.source(header_key)
                );
                Err(layers.refuse(prefix_key, reason))
            }
        }
    }

    fn show(&self, _: &'static str, value: &Option<OriginalTarget>, shown: &mut Shown<'_>) {
        match value {
            Some(OriginalTarget::Header(name)) => shown.add(ORIGINAL_TARGET[0], json!(name.as_str())),
            Some(OriginalTarget::Prefix(prefix)) => shown.add(ORIGINAL_TARGET[1], json!(prefix)),
            None => {}
        }
    }
}

/// The name of a header that a reverse proxy sets.
fn header(text: &str) -> Result<HeaderName, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let name = Some(text).filter(|name| name.bytes().all(plain)).and_then(|name| name.parse::<HeaderName>().ok());
    let name = name.ok_or("not the name of a header (letters, digits, \"-\"); write for example \"X-Original-URI\"")?;
    if required_header::has_a_meaning(&name) || has_a_meaning(&name) {
        return Err(
            "names a header with a meaning of its own; let the proxy set another, for example \"X-Original-URI\""
                .to_owned(),
        );
    }
    Ok(name)
}

/// Whether the webhook listener reads or sets a header itself. As the original target, it would be removed or overwritten.
fn has_a_meaning(name: &HeaderName) -> bool {
    const OTHERS: [&str; 3] = ["x-action", "x-forwarded-for", "content-encoding"];
    OTHERS.contains(&name.as_str()) || name.as_str().starts_with("x-wonder-signer-")
}
