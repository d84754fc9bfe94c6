//! The environment as layers, one per variable: `WONDER_SIGNER_LIMITS__BODY` sets `limits.body`. Case does not matter.

use std::{collections::BTreeMap, ffi::OsString};

use zeroize::Zeroizing;

use super::Layer;
use crate::config::{
    ConfigError, Secret,
    error::printable,
    keys::{self, PREFIX, Place},
    proxy,
};

/// What the environment sets.
pub(super) struct Variables {
    /// One per variable.
    pub(super) layers: Vec<Layer>,
    /// Inline keys by the credential's name.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// The proxy that is set for every program on the machine.
    pub(super) proxy: Option<Layer>,
    /// Which hosts that proxy is not for.
    pub(super) no_proxy: String,
}

/// Variables that set a proxy for every program on the machine; the first one that is not empty holds.
pub(super) const PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// Variables that say which hosts that proxy is not for.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What the layer of the variable `name` is called.
pub(super) fn layer_name(name: &str) -> String {
    format!("environment variable {name}")
}

/// Takes the variables that start with `WONDER_SIGNER_`, and refuses those of them that mean nothing; takes those for the proxy.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Variables, ConfigError> {
    let mut found = Variables { layers: Vec::new(), secrets: BTreeMap::new(), proxy: None, no_proxy: String::new() };
    let mut general: BTreeMap<&str, OsString> = BTreeMap::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in variables {
        let Some(name) = ours(&name) else {
            let known = PROXY.iter().chain(&NO_PROXY).find(|known| name == **known);
            general.extend(known.filter(|_| !value.is_empty()).map(|known| (*known, value)));
            continue;
        };
        let layer = layer_name(&name);
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
    let mut first = |names: [&'static str; 2]| {
        let (name, value) = names.into_iter().find_map(|name| Some((name, general.remove(name)?)))?;
        let reason = "is not UTF-8".to_owned();
        Some(value.into_string().map(|value| (name, value)).map_err(|_| (layer_name(name), reason)))
    };
    let refused = |(layer, reason)| ConfigError::Layer { layer, reason };
    if let Some((name, value)) = first(PROXY).transpose().map_err(refused)? {
        found.proxy = Some(Layer::of_one(layer_name(name), proxy::KEY, value));
    }
    found.no_proxy = first(NO_PROXY).transpose().map_err(refused)?.map(|(_, value)| value).unwrap_or_default();
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
    keys::with_credential("default")
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
