//! Derives the settings of each part of the sidecar from the configuration.

use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use super::addresses::Addresses;
use crate::{
    config::{Config, ListenAddress},
    net::{
        admission::{AdmissionLimits, body::BodyLimits},
        hosts::Hosts,
        intake,
        server::Allowance,
    },
    policy::Policy,
};

/// How many connections may wait to be accepted.
pub(super) fn backlog(config: &Config) -> u32 {
    u32::try_from(config.limits.connections).unwrap_or(u32::MAX)
}

/// How many connections a listener accepts, and what their heads may be.
pub(super) fn allowance(config: &Config) -> Allowance {
    Allowance {
        connections: config.limits.connections,
        intake: intake::IntakeLimits {
            headers: config.limits.headers,
            header_bytes: config.limits.header_bytes,
            head: config.timeouts.request_head,
            idle: config.timeouts.idle,
        },
    }
}

pub(super) fn admission_limits(config: &Config) -> AdmissionLimits {
    let (limits, timeouts) = (config.limits, config.timeouts);
    AdmissionLimits {
        requests: limits.requests_in_flight,
        queue: timeouts.queue,
        body: BodyLimits { size: limits.body, size_key: "limits.body", time: timeouts.body },
        buffered: limits.buffered,
    }
}

/// The host names that callers may use: the loopback names, the bound addresses, the origin's name, and the configured names.
pub(super) fn hosts(config: &Config, addresses: &Addresses) -> Hosts {
    let bound = addresses.listen.iter().chain(&config.listen.addresses).filter_map(|address| match address {
        ListenAddress::Tcp(SocketAddr::V4(address)) => Some(address.ip().to_string()),
        ListenAddress::Tcp(SocketAddr::V6(address)) => Some(format!("[{}]", address.ip())),
        ListenAddress::Unix(_) => None,
    });
    let origins = config.credentials.values().map(|credential| &credential.origin).chain([&config.upstream.origin]);
    let origins = origins.map(|origin| {
        let origin = origin.authority();
        let host = origin.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(origin, |(host, _)| host);
        host.to_owned()
    });
    Hosts::new(bound.chain(origins).chain(config.listen.allowed_hosts.iter().cloned()))
}

/// The rules on callers.
pub(super) fn policy(config: &Config) -> Policy {
    let listener = config.listen.tls.as_ref().map(|tls| tls.callers.clone()).unwrap_or_default();
    let restricted =
        config.credentials.iter().filter_map(|(name, credential)| Some((name, credential.callers.clone()?)));
    restricted.fold(Policy::new(listener), |policy, (name, callers)| policy.restrict(name, callers))
}

/// The hash of the configuration without its secrets: the first 8 hex digits of SHA-256 over the masked configuration. Addresses
/// are left out, because each instance may have its own.
pub(super) fn fingerprint(config: &Config) -> String {
    let mut masked = config.to_masked_json();
    for listener in ["listen", "admin", "webhook"] {
        if let Some(listener) = masked[listener].as_object_mut() {
            listener.remove("address");
        }
    }
    let digest = Sha256::digest(masked.to_string());
    digest.iter().take(4).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
