//! The environment as layers, one per variable: `WONDER_SIGNER_LIMITS__BODY` sets `limits.body`. Case does not matter.

use std::{collections::BTreeMap, ffi::OsString};

use zeroize::Zeroizing;

use super::Layer;
use crate::config::{
    ConfigError, Secret,
    error::printable,
    keys::{self, PREFIX, Place},
};

/// What the environment sets.
pub(super) struct Variables {
    /// One per variable.
    pub(super) layers: Vec<Layer>,
    /// Inline keys by the credential's name.
    pub(super) secrets: BTreeMap<String, Secret>,
}

/// Takes the variables that start with `WONDER_SIGNER_`; refuses those that mean nothing.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Variables, ConfigError> {
    let mut found = Variables { layers: Vec::new(), secrets: BTreeMap::new() };
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in variables {
        let Some(name) = ours(&name) else { continue };
        let layer = format!("environment variable {name}");
        let refused = |reason: String| ConfigError::Layer { layer: layer.clone(), reason };
        // Wiped even when refused below: it may be a key under a misspelt name.
        let value = value.into_string().map(Zeroizing::new);
        let rest = &name[PREFIX.len()..];
        if value.as_ref().is_ok_and(|value| is_service_link(rest, value)) {
            continue;
        }
        let key = rest.to_ascii_lowercase().replace("__", ".");
        let path: Vec<&str> = key.split('.').collect();
        let known = keys::place(&path) == Place::Key && !rest.contains('.');
        if !known {
            return Err(ConfigError::UnknownVariable { nearest: nearest(&key), name });
        }
        let value = value.map_err(|_| refused("is not UTF-8".to_owned()))?;
        if let Some(other) = seen.insert(key.clone(), name.clone()) {
            return Err(refused(format!("sets the same key as {other}; set only one of them")));
        }
        if let ["credentials", credential, last] = path[..] {
            if !keys::is_credential_name(credential) {
                return Err(refused("a credential's name is 1 to 64 of a-z, 0-9, \"_\" and \"-\"".to_owned()));
            }
            if last == "private_key" {
                found.secrets.insert(credential.to_owned(), Secret::with_line_ends(&value));
                found.layers.push(Layer::of_one(layer, &key, String::new()));
                continue;
            }
        }
        found.layers.push(Layer::of_one(layer, &key, value.to_string()));
    }
    Ok(found)
}

/// The name as printable text, when it starts with our prefix.
fn ours(name: &OsString) -> Option<String> {
    let name = printable(&name.to_string_lossy());
    name.get(..PREFIX.len())?.eq_ignore_ascii_case(PREFIX).then_some(name)
}

/// The known variable most like the one that would set `key`. A single underscore between levels is the usual slip.
fn nearest(key: &str) -> Option<String> {
    let flat = |key: &str| key.replace(['.', '_'], "");
    let known = keys::KEYS.iter().map(|known| known.replace('*', "default"));
    known
        .clone()
        .find(|known| flat(known) == flat(key))
        .or_else(|| keys::nearest(key))
        .filter(|near| near.contains('.'))
        .map(|near| keys::variable(&near))
}

/// Whether Kubernetes made this variable, as it does in every pod beside a Service named `wonder-signer`. Nobody typed it, and
/// stopping for it would let a new Service keep every pod of the namespace from starting.
///
/// Source: Kubernetes documentation, "Accessing the Service", environment variables.
fn is_service_link(rest: &str, value: &str) -> bool {
    let is_url = |value: &str| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let is_number = |value: &str| value.parse::<u16>().is_ok();
    if let Some(port) = rest.strip_prefix("PORT_") {
        let mut parts = port.split('_');
        return parts.next().is_some_and(is_number)
            && parts.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
            && matches!((parts.next(), parts.next()), (None | Some("PROTO" | "PORT" | "ADDR"), None));
    }
    match rest {
        "PORT" => is_url(value),
        "SERVICE_HOST" => value.parse::<std::net::IpAddr>().is_ok(),
        "SERVICE_PORT" => is_number(value),
        _ => rest.starts_with("SERVICE_PORT_") && is_number(value),
    }
}
