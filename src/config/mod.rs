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
//! * `sections`: the finished types, one per table of the file and one row per key. A new key is written there and in
//!   `config/default.toml`; the rest follows.
//! * `address`: the address of a listener; `required_header`: the header that requests must have.
//! * `certificate`: the files of a certificate and its key.
//! * `listener`: the rules between the keys of `[listen]`, and those between the addresses of all listeners.
//! * `origin`: the origin that requests are sent to.
//! * `proxy`: the egress proxy.
//! * `webhook`: the webhook listener and the application that receives webhooks; `network`: addresses they may come from.
//! * `credentials`: the sources of each credential's AppID and keys.
//! * `layers`: merges defaults, files, environment and flags, and rejects unknown keys.
//! * `field`: how a row becomes reader, known key, variable and shown value.
//! * `keys`: the list of all keys, and the known name most similar to an unknown one.
//! * `upstream`: the rules between the keys of `[upstream]`.
//! * `percent`: percent-encoded text.
//! * `values`: the forms of single values; `shapes`: the same for editors.
//! * `explain`: every effective value and its origin, secrets masked.
//! * `schema`: the JSON Schema of a configuration file, for editors.
//! * `error`: the error, in one line.

pub(crate) mod address;
mod certificate;
pub(crate) mod credentials;
mod error;
mod explain;
mod field;
mod keys;
mod layers;
mod listener;
pub(crate) mod network;
pub(crate) mod origin;
pub(crate) mod percent;
pub(crate) mod proxy;
mod required_header;
#[cfg(test)]
mod schema;
pub(crate) mod sections;
mod shapes;
mod upstream;
pub(crate) mod values;
pub(crate) mod webhook;

pub use address::ListenAddress;
pub use certificate::CertificateFiles;
pub(crate) use credentials::{AppIdSource, CredentialConfig, KeySource, Secret, UnitConfig};
pub use error::ConfigError;
pub(crate) use explain::{Sources, explain};
pub use layers::{Flags, Made};
pub(crate) use network::Network;
pub(crate) use origin::Origin;
pub(crate) use proxy::Proxy;
pub use required_header::RequiredHeader;
pub use sections::LogLevel;
pub(crate) use sections::{
    Admin, CaMode, Environment, HttpVersion, Limits, Listen, ListenTls, Log, LogFormat, Process, Rotate, Shutdown,
    Timeouts, TlsVersion, Upstream,
};
pub(crate) use values::{app_id_of, duration_of};
pub(crate) use webhook::{Application, OriginalTarget, PathPrefix, Redis, RedisUrl, Webhook, own_listener};

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use field::Section as _;
use keys::Key;
use layers::Layers;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The signing listener.
    pub listen: Listen,
    /// The listener for probes and metrics.
    pub(crate) admin: Admin,
    /// The origin, and the connections to it.
    pub upstream: Upstream,
    /// The credentials by name (1 to 64 of `a-z0-9_-`). `default` signs a request that names none. May be empty, see
    /// [`Config::require_credential`].
    pub(crate) credentials: BTreeMap<String, CredentialConfig>,
    /// The webhook listener.
    pub(crate) webhook: Webhook,
    /// Sizes and numbers above which requests are rejected.
    pub limits: Limits,
    /// The longest time of each step.
    pub timeouts: Timeouts,
    /// The drain between SIGTERM and exit.
    pub(crate) shutdown: Shutdown,
    /// The log on standard error.
    pub(crate) log: Log,
    /// Access of other programs to this process.
    pub(crate) process: Process,
    /// The layer that set each key.
    pub(crate) sources: Sources,
}

impl Config {
    /// Merges the layers, of which later ones override earlier ones: compiled-in defaults, each of `files` (TOML), `environment`, `flags`.
    ///
    /// Variables that do not start with `WONDER_SIGNER_` are ignored, except `HTTPS_PROXY` and `NO_PROXY`, which are just
    /// above the defaults. The files of `files` are read; those of the credentials are not.
    ///
    /// # Errors
    /// The first [`ConfigError`]; its text is one line, names key and layer, and repeats no secret.
    pub fn load(
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        Self::load_with(files, environment, flags, Made::default())
    }

    /// The same for a command that sets some keys by itself.
    ///
    /// # Errors
    /// The first [`ConfigError`], also for a layer that sets what the command makes.
    pub(crate) fn load_with(
        files: &[PathBuf],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &Flags,
        made: Made,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::gather(files, environment, flags, made)?;
        let upstream = Upstream::read(&layers)?.checked(&layers)?;
        let listen = Listen::read(&layers)?.checked(&layers)?;
        let credentials = CredentialConfig::read_all(&layers, &upstream)?;
        CredentialConfig::check_environments(&credentials, listen.mixed_environments, &layers)?;
        CredentialConfig::check_callers(&credentials, listen.tls.as_ref(), &layers)?;
        let proxy_is_for_everyone = layers.proxy_is_for_everyone();
        let webhook = Webhook::read(&layers)?.checked(&layers, &credentials)?;
        let admin = Admin::read(&layers)?;
        let admin_address = ListenAddress::Tcp(admin.address);
        let listeners: Vec<_> = (listen.addresses.iter().map(|address| ("listen.address", address)))
            .chain([("admin.address", &admin_address)])
            .chain(webhook.address.as_ref().map(|address| ("webhook.address", address)))
            .collect();
        listener::check_distinct(&listeners, &layers)?;
        webhook.check_own_listeners(&layers, &credentials, &listeners)?;
        let mut config = Self {
            listen,
            admin,
            upstream,
            credentials,
            webhook,
            limits: Limits::read(&layers)?,
            timeouts: Timeouts::read(&layers)?,
            shutdown: Shutdown::read(&layers)?,
            log: Log::read(&layers)?,
            process: Process::read(&layers)?,
            sources: layers.sources().collect(),
        };
        if config.upstream.proxy.is_none() && proxy_is_for_everyone {
            config.sources.forget(proxy::KEY);
        }
        Ok(config)
    }

    /// Rejects a configuration without credentials, which could sign nothing.
    ///
    /// # Errors
    /// [`ConfigError::NoCredentials`].
    pub(crate) fn require_credential(&self) -> Result<(), ConfigError> {
        if self.credentials.is_empty() { Err(ConfigError::NoCredentials) } else { Ok(()) }
    }
}

/// Every key, in the order of `config/default.toml`; `*` is the name of a credential.
fn all_keys() -> Vec<Key> {
    let mut all = Vec::new();
    Listen::keys(&mut all);
    Admin::keys(&mut all);
    Upstream::keys(&mut all);
    CredentialConfig::keys(&mut all);
    Webhook::keys(&mut all);
    Limits::keys(&mut all);
    Timeouts::keys(&mut all);
    Shutdown::keys(&mut all);
    Log::keys(&mut all);
    Process::keys(&mut all);
    all
}

#[cfg(test)]
mod tests;
