//! The environment as layers, one per variable: `WONDER_SIGNER_LIMITS__BODY` sets `limits.body`. Case does not matter.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::{IpAddr, SocketAddr},
};

use zeroize::Zeroizing;

use super::{Layer, trimmed};
use crate::config::{
    ConfigError, Secret,
    error::printable,
    keys::{self, PREFIX, PathKind},
    proxy,
};

/// The values that the environment sets.
pub(super) struct Variables {
    /// One per variable.
    pub(super) layers: Vec<Layer>,
    /// Inline keys by the name of the key in the configuration.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// The proxy that is set for every program on the machine.
    pub(super) proxy: Option<Layer>,
    /// The hosts that are exempt from that proxy.
    pub(super) no_proxy: String,
}

/// Variables that set a proxy for every program on the machine. The first one that is not empty applies.
pub(super) const PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// Variables that exempt hosts from that proxy.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The value of an inline key's layer, in place of the key itself.
pub(super) const INLINE: &str = "(secret)";

/// The name of the layer of the variable `name`.
pub(super) fn layer_name(name: &str) -> String {
    format!("environment variable {name}")
}

/// Reads the variables that start with `WONDER_SIGNER_`, and rejects unknown ones. Also reads the variables of the proxy.
pub(super) fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Variables, ConfigError> {
    let mut found = Variables { layers: Vec::new(), secrets: BTreeMap::new(), proxy: None, no_proxy: String::new() };
    let mut general: BTreeMap<&str, OsString> = BTreeMap::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in variables {
        let Some(name) = ours(&name) else {
            let known = PROXY.iter().chain(&NO_PROXY).find(|known| name == **known);
            general
                .extend(known.filter(|_| !trimmed(&value.to_string_lossy()).is_empty()).map(|known| (*known, value)));
            continue;
        };
        let layer = layer_name(&name);
        let refused = |reason: String| ConfigError::Layer { layer: layer.clone(), reason };
        // Wiped even when refused below: it may be a key under a misspelt name.
        let value = value.into_string().map(Zeroizing::new);
        let rest = &name[PREFIX.len()..];
        let key = rest.to_ascii_lowercase().replace("__", ".");
        let path: Vec<&str> = key.split('.').collect();
        let known = keys::kind_of(&path) == PathKind::Key && !rest.contains('.');
        if !known {
            if value.as_ref().is_ok_and(|value| is_service_link(rest, value)) {
                continue;
            }
            return Err(ConfigError::UnknownVariable { nearest: nearest(&key), name });
        }
        let value = value.map_err(|_| refused("is not UTF-8".to_owned()))?;
        if let Some(other) = seen.insert(key.clone(), name.clone()) {
            return Err(refused(format!("sets the same key as {other}; set only one of them")));
        }
        if let ["credentials", credential, last] | ["credentials", credential, "next", last] = path[..] {
            if !keys::is_credential_name(credential) {
                return Err(refused("a credential's name is 1 to 64 of a-z, 0-9, \"_\" and \"-\"".to_owned()));
            }
            // A private key in place of the public one is refused later, and not repeated either.
            if matches!(last, "private_key" | "webhook_public_key") {
                if !trimmed(&value).is_empty() {
                    found.secrets.insert(key.clone(), Secret::new(value));
                    found.layers.push(Layer::of_one(layer, &key, INLINE));
                }
                continue;
            }
        }
        found.layers.push(Layer::of_one(layer, &key, &value));
    }
    let mut first = |names: [&'static str; 2]| {
        let (name, value) = names.into_iter().find_map(|name| Some((name, general.remove(name)?)))?;
        let reason = "is not UTF-8".to_owned();
        Some(value.into_string().map(|value| (name, value)).map_err(|_| (layer_name(name), reason)))
    };
    let refused = |(layer, reason)| ConfigError::Layer { layer, reason };
    if let Some((name, value)) = first(PROXY).transpose().map_err(refused)? {
        found.proxy = Some(Layer::of_one(layer_name(name), proxy::KEY, &value));
    }
    found.no_proxy = first(NO_PROXY).transpose().map_err(refused)?.map(|(_, value)| value).unwrap_or_default();
    Ok(found)
}

/// The name as printable text, if it starts with the prefix.
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

/// Whether Kubernetes made this variable, as it does in every pod of a namespace for each Service; `rest` follows our prefix. A
/// Service named `wonder-signer` or `wonder-signer-metrics` must not keep every new pod from starting.
///
/// Shape and value must both fit, so that a misspelt key is still reported. No key of ours is named like one of these.
///
/// Source: Kubernetes documentation, "Accessing the Service", environment variables.
fn is_service_link(rest: &str, value: &str) -> bool {
    let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if !rest.bytes().all(is_upper) {
        return false;
    }
    // The name of a Service may hold any of these words too, so each place of each is tried. It may hold two hyphens in a row, but
    // does not end in one; below a table of ours these words come right after "__".
    let after = |word: &'static str| {
        rest.match_indices(word).filter_map(move |(at, _)| {
            let name = rest[..at].strip_suffix('_').unwrap_or_default();
            let ends_a_name = at == 0 || name.ends_with(|last: char| last != '_');
            ends_a_name.then(|| &rest[at + word.len()..])
        })
    };
    after("SERVICE_HOST").any(|rest| rest.is_empty() && value.parse::<IpAddr>().is_ok())
        || after("SERVICE_PORT").any(|rest| is_port_name(rest) && value.parse::<u16>().is_ok())
        || after("PORT").any(|rest| if rest.is_empty() { link_url(value).is_some() } else { is_port_link(rest, value) })
}

/// Whether `rest` is empty, or `_` and the name of a port.
fn is_port_name(rest: &str) -> bool {
    rest.is_empty() || rest.strip_prefix('_').is_some_and(|name| !name.is_empty())
}

/// `_8080_TCP`, `_8080_TCP_PROTO`, `_8080_TCP_PORT` or `_8080_TCP_ADDR`, with the value that belongs to it.
fn is_port_link(rest: &str, value: &str) -> bool {
    let parts: Vec<&str> = rest.split('_').collect();
    let ["", port, protocol @ ("TCP" | "UDP" | "SCTP"), last @ ..] = &parts[..] else { return false };
    let Ok(port) = port.parse::<u16>() else { return false };
    match last {
        [] => link_url(value).is_some_and(|url| url == (protocol.to_ascii_lowercase(), port)),
        ["PROTO"] => value == protocol.to_ascii_lowercase(),
        ["PORT"] => value.parse() == Ok(port),
        ["ADDR"] => value.parse::<IpAddr>().is_ok(),
        _ => false,
    }
}

/// Protocol and port of `tcp://10.0.0.11:8080`.
fn link_url(value: &str) -> Option<(String, u16)> {
    let (protocol, address) = value.split_once("://")?;
    let address: SocketAddr = address.parse().ok()?;
    ["tcp", "udp", "sctp"].contains(&protocol).then(|| (protocol.to_owned(), address.port()))
}
