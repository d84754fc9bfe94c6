//! Configuration: raw layers in, finished types out.
//!
//! ```
//! use wonder_signer::config::{Config, Flags};
//!
//! let environment = [("WONDER_SIGNER_LIMITS__BODY".into(), "2MiB".into())];
//! let config = Config::load(&[], environment, &Flags::default())?;
//! assert_eq!(config.limits.body, 2 * 1024 * 1024);
//! assert_eq!(config.upstream.origin.to_string(), "https://gateway-stg.wonder.today");
//! # Ok::<(), wonder_signer::config::ConfigError>(())
//! ```
//!
//! # Layout
//!
//! * [`sections`]: the finished types, one per table of the file.
//! * [`listener`]: where requests come from.
//! * [`origin`]: where requests go.
//! * [`proxy`]: the way out of the network, where there is only one.
//! * [`credentials`]: who signs, and where the key is.
//! * `layers`: defaults, files, environment and flags laid over one another; refuses what nobody knows.
//! * `keys`: the names of all keys.
//! * `upstream`: how the `[upstream]` table is read.
//! * `values`: what a single value may be.
//! * `explain`: every effective value and where it came from, secrets masked.
//! * `error`: what went wrong, in one line.

pub mod credentials;
mod error;
mod explain;
pub(crate) mod file;
mod keys;
mod layers;
pub mod listener;
pub mod origin;
pub mod proxy;
pub mod sections;
mod upstream;
pub(crate) mod values;

pub use credentials::{CredentialConfig, KeySource, Secret};
pub use error::ConfigError;
pub use explain::{Sources, explain};
pub use layers::Flags;
pub use listener::ListenAddress;
pub use origin::Origin;
pub use proxy::Proxy;
pub use sections::{
    Admin, CaMode, ClientCertificate, Environment, HttpVersion, Limits, Listen, ListenTls, Log, LogFormat, LogLevel,
    Shutdown, Timeouts, TlsVersion, Upstream,
};

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use layers::Layers;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The signing listener.
    pub listen: Listen,
    /// The listener for probes and metrics.
    pub admin: Admin,
    /// Where requests go.
    pub upstream: Upstream,
    /// Who signs, by name (1 to 64 of `a-z0-9_-`); `default` serves a caller who names none. May be empty, see
    /// [`Config::require_credential`].
    pub credentials: BTreeMap<String, CredentialConfig>,
    /// What is refused for size or number.
    pub limits: Limits,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// What happens between SIGTERM and exit.
    pub shutdown: Shutdown,
    /// What is written to standard error.
    pub log: Log,
    /// Where each value came from.
    pub sources: Sources,
}

impl Config {
    /// Lays the layers over one another, later wins: compiled-in defaults, each of `files` (TOML), `environment`, `flags`.
    ///
    /// Variables that do not start with `WONDER_SIGNER_` are ignored, but for `HTTPS_PROXY` and `NO_PROXY`, which stand just
    /// above the defaults. Files are read (configuration and AppID files); keys are not.
    ///
    /// # Errors
    /// The first [`ConfigError`]; its text is one line, names key and layer, and repeats no secret.
    pub fn load(
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::gather(files, environment, flags)?;
        let credentials = CredentialConfig::read_all(&layers)?;
        let proxy_is_for_everyone = layers.proxy_is_for_everyone();
        let mut config = Self {
            listen: Listen::read(&layers)?,
            admin: Admin {
                address: layers.read("admin.address", values::address)?,
                shutdown: layers.read("admin.shutdown", values::switch)?,
            },
            upstream: Upstream::read(&layers)?,
            credentials,
            limits: Limits::read(&layers)?,
            timeouts: Timeouts::read(&layers)?,
            shutdown: Shutdown {
                grace: layers.read("shutdown.grace", values::duration(Duration::ZERO..=HOUR))?,
                drain_delay: layers.read("shutdown.drain_delay", values::duration(Duration::ZERO..=10 * MINUTE))?,
            },
            log: Log {
                level: layers.read("log.level", values::word)?,
                format: layers.read("log.format", values::word)?,
                make_traceparent: layers.read("log.make_traceparent", values::switch)?,
                sample_success: layers.read("log.sample_success", values::share)?,
                slow_request: layers.read("log.slow_request", values::duration(Duration::ZERO..=HOUR))?,
            },
            sources: layers.into_sources(),
        };
        if config.upstream.proxy.is_none() && proxy_is_for_everyone {
            config.sources.forget(proxy::KEY);
        }
        Ok(config)
    }

    /// Refuses a configuration under which nothing can be signed.
    ///
    /// # Errors
    /// [`ConfigError::NoCredentials`].
    pub fn require_credential(&self) -> Result<(), ConfigError> {
        if self.credentials.is_empty() { Err(ConfigError::NoCredentials) } else { Ok(()) }
    }
}

impl Listen {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let listen = Self {
            addresses: layers.read("listen.address", values::listeners)?,
            socket_mode: layers.read("listen.socket_mode", values::mode)?,
            allowed_hosts: layers.read("listen.allowed_hosts", values::hosts)?,
            dangerous_allow_non_loopback: layers.read("listen.dangerous_allow_non_loopback", values::switch)?,
            tls: ListenTls::read(layers)?,
        };
        if listen.addresses.iter().all(ListenAddress::is_local) {
            return Ok(listen);
        }
        if !listen.dangerous_allow_non_loopback {
            return Err(layers.refuse(
                "listen.address",
                "is not a loopback address, and whoever reaches it can have requests signed; \
                 to allow it set listen.dangerous_allow_non_loopback = true",
            ));
        }
        if listen.tls.is_some() && listen.allowed_hosts.is_empty() {
            return Err(layers.refuse(
                "listen.allowed_hosts",
                "must name this service as its callers do; write for example [\"wonder-signer.payments.svc\"]",
            ));
        }
        Ok(listen)
    }
}

impl ListenTls {
    /// Refuses a part of the three files: TLS without one of them is not what was meant.
    fn read(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        const FILES: [&str; 3] = ["listen.tls.certificate_file", "listen.tls.key_file", "listen.tls.client_ca_file"];
        const CALLERS: &str = "listen.tls.callers";
        let callers = layers.read_optional(CALLERS, values::callers)?;
        let [certificate, key, client_ca] = FILES.map(|key| layers.read_optional(key, values::path));
        match (certificate?, key?, client_ca?) {
            (Some(certificate_file), Some(key_file), Some(client_ca_file)) => {
                let callers = callers.unwrap_or_default();
                Ok(Some(Self { certificate_file, key_file, client_ca_file, callers }))
            }
            (None, None, None) if callers.is_none() => Ok(None),
            _ => {
                let (given, missing): (Vec<&str>, Vec<&str>) = FILES.into_iter().partition(|key| layers.has(key));
                let given = given.first().unwrap_or(&CALLERS);
                Err(layers.refuse(given, format!("needs {}; set all three or none", missing.join(" and "))))
            }
        }
    }
}

impl Limits {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            body: layers.read("limits.body", values::size(1..=64 * MIB))?,
            requests_in_flight: layers.read("limits.requests_in_flight", values::count(1..=65_536))?,
            connections: layers.read("limits.connections", values::count(1..=65_536))?,
            headers: layers.read("limits.headers", values::count(10..=1000))?,
            header_bytes: layers.read("limits.header_bytes", values::size(8 * KIB..=MIB))?,
            buffered: layers.read("limits.buffered", values::size(MIB..=4 * GIB))?,
        })
    }
}

impl Timeouts {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let step = |key| layers.read(key, values::duration(MILLISECOND..=HOUR));
        Ok(Self {
            request_head: step("timeouts.request_head")?,
            idle: layers.read("timeouts.idle", values::duration(MILLISECOND..=DAY))?,
            body: step("timeouts.body")?,
            queue: layers.read("timeouts.queue", values::duration(Duration::ZERO..=HOUR))?,
            sign: layers.read("timeouts.sign", values::duration(MILLISECOND..=HOUR))?,
            connect: step("timeouts.connect")?,
            tls_handshake: step("timeouts.tls_handshake")?,
            response_head: step("timeouts.response_head")?,
            response_idle: step("timeouts.response_idle")?,
            request: step("timeouts.request")?,
        })
    }
}

#[cfg(test)]
mod tests;
