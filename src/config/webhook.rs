//! `[webhook]`: where Wonder's webhooks arrive, and which application receives those that Wonder signed.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, time::Duration};

use http::HeaderName;
use serde_json::json;

use super::{
    ConfigError, CredentialConfig, DAY, HOUR, MILLISECOND, SECOND,
    field::{Field, Key, Kind, Optional, Shown, section},
    layers::Layers,
    listener::{self, ListenAddress},
    network::Network,
    origin::{Host, Origin, OriginError, split_port},
    shapes,
    values::{self, count, duration, items_of, mode, switch, text},
};

section! {
    /// `[webhook]`: the webhook listener. It exists where `address` is set.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) Webhook {
        /// Where webhooks arrive, default none: no listener. Any address will do, because only verified requests are forwarded.
        address: Option<ListenAddress> = "webhook.address", Optional(text(shapes::listener()));
        /// Permission bits of a Unix socket's file, default `0o600`: the same user only.
        socket_mode: u32 = "webhook.socket_mode", mode();
        /// The application that receives the verified webhooks of the credentials without an application of their own.
        forward_to: Option<Application> = "webhook.forward_to", Optional(text(shapes::application()));
        /// Whether an application may be on another host, default `false`: the way to it is plain HTTP, and what arrives there
        /// without passing this listener looks verified.
        dangerous_allow_non_loopback_forward: bool = "webhook.dangerous_allow_non_loopback_forward", switch();
        /// Paths that webhooks may have, each with all below it, default none: any path.
        path_prefixes: Vec<PathPrefix> = "webhook.path_prefixes", items_of(shapes::list("/[^?#,\\s]*"));
        /// How the target that Wonder signed is restored where a reverse proxy rewrites it, default none: it is as received.
        original_target: Option<OriginalTarget> = "webhook.original_target", OriginalTargetKeys;
        /// How far the time of a signature may be from now, default 24 h 30 min: retries last for 24 h, and may carry their first
        /// signature.
        tolerance: Duration = "webhook.tolerance", duration(SECOND..=30 * DAY);
        /// From the forwarded request to the end of the application's response, default 20 s.
        forward_timeout: Duration = "webhook.forward_timeout", duration(MILLISECOND..=HOUR);
        /// Acknowledged deliveries that are remembered at most, default 100,000; 0 forwards every duplicate. Redis has no such limit.
        remember: usize = "webhook.remember", count(0..=10_000_000);
        /// Addresses that webhooks may come from, default none: any.
        source_addresses: Vec<Network> = "webhook.source_addresses", items_of(shapes::networks());
        /// Proxies whose `X-Forwarded-For` is read for `source_addresses`, default none.
        trusted_proxies: Vec<Network> = "webhook.trusted_proxies", items_of(shapes::networks());
        /// TLS on the listener, default none: plain.
        tls: Option<WebhookTls> = "webhook.tls", TlsFiles;
        /// Where deliveries are remembered for several replicas, default none: in memory.
        redis: Option<Redis> = "webhook.redis", RedisKeys;
    }
}

impl Webhook {
    /// Refuses keys that contradict one another and, where there is a listener, a credential without key or application.
    pub(super) fn checked(
        self,
        layers: &Layers,
        credentials: &BTreeMap<String, CredentialConfig>,
    ) -> Result<Self, ConfigError> {
        self.check_forwards(layers, credentials)?;
        if !self.trusted_proxies.is_empty() && self.source_addresses.is_empty() {
            return Err(
                layers.refuse("webhook.trusted_proxies", "needs webhook.source_addresses, for which it is read")
            );
        }
        if let (Some(ListenAddress::Unix(_)), Some(_)) = (&self.address, &self.tls) {
            return Err(
                layers.refuse(TLS_FILES[0], "goes only with an IP address in webhook.address; a Unix socket is plain")
            );
        }
        if self.address.is_none() {
            return Ok(self);
        }
        for (name, credential) in credentials {
            let missing = |last: &str, reason: &str| {
                let key = format!("credentials.{name}");
                let layer = layers.table_source(&key);
                let reason = format!("has no {last}; {reason}");
                Err(ConfigError::Value { key, value: None, layer, reason })
            };
            if credential.unit.webhook_public_key.is_none() {
                return missing(
                    "webhook_public_key_file",
                    &format!(
                        "webhook.address is set, so set credentials.{name}.webhook_public_key_file to a file with the \
                         \"Webhook Public Key\" that Wonder's portal shows for this AppID"
                    ),
                );
            }
            if self.application_of(credential).is_none() {
                return missing(
                    "webhook_forward_to",
                    "webhook.address is set, so set webhook.forward_to, for example to \"http://127.0.0.1:3000\"",
                );
            }
        }
        Ok(self)
    }

    /// The application that receives the webhooks of `credential`.
    #[must_use]
    pub(crate) fn application_of<'a>(&'a self, credential: &'a CredentialConfig) -> Option<&'a Application> {
        credential.webhook_forward_to.as_ref().or(self.forward_to.as_ref())
    }

    fn check_forwards(
        &self,
        layers: &Layers,
        credentials: &BTreeMap<String, CredentialConfig>,
    ) -> Result<(), ConfigError> {
        let own = credentials.iter().map(|(name, credential)| {
            (format!("credentials.{name}.webhook_forward_to"), credential.webhook_forward_to.as_ref())
        });
        let remote = [("webhook.forward_to".to_owned(), self.forward_to.as_ref())]
            .into_iter()
            .chain(own)
            .find(|(_, application)| application.is_some_and(|application| !application.is_local()));
        match remote {
            Some((key, _)) if !self.dangerous_allow_non_loopback_forward => Err(layers.refuse(
                &key,
                "is not on loopback: webhooks go there over plain HTTP, and others that reach the application can send it webhooks that \
                 nothing has verified; to allow it set webhook.dangerous_allow_non_loopback_forward = true",
            )),
            _ => Ok(()),
        }
    }
}

/// Where an application takes its verified webhooks: `http://host[:port]` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Application {
    /// Plain HTTP over TCP.
    Http(Origin),
    /// Plain HTTP over a Unix socket.
    Unix(PathBuf),
}

impl Application {
    /// Whether it is on this machine (or in this pod), by its very name.
    #[must_use]
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Http(origin) => origin.is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Application {
    type Err = NotAnApplication;

    fn from_str(text: &str) -> Result<Self, NotAnApplication> {
        if text.starts_with("unix:") {
            return match text.parse() {
                Ok(ListenAddress::Unix(path)) => Ok(Self::Unix(path)),
                _ => Err(NotAnApplication::Form),
            };
        }
        let origin = Origin::parse(text).map_err(|error| match error {
            OriginError::Form => NotAnApplication::Form,
            OriginError::Path => NotAnApplication::Path,
            other => NotAnApplication::Origin(other),
        })?;
        if origin.scheme_is_tls() { Err(NotAnApplication::Tls) } else { Ok(Self::Http(origin)) }
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(origin) => origin.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a text is no application to forward to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnApplication {
    /// Neither URL nor socket.
    #[error("not an application; write for example \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\"")]
    Form,
    /// `https`.
    #[error("is https; the application receives webhooks over plain http, on loopback or a Unix socket")]
    Tls,
    /// A path after the host.
    #[error("has a path; leave it out, because webhooks keep the path that Wonder signed")]
    Path,
    /// What an origin may not have.
    #[error(transparent)]
    Origin(OriginError),
}

/// A path with all below it: `/hooks` has `/hooks`, `/hooks/wonder` and `/hooks?x`, and not `/hooksx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPrefix(String);

impl PathPrefix {
    /// The path, without a slash at its end.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathPrefix {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        path(text).map(|path| Self(path.to_owned()))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// A path without the slash at its end.
fn path(text: &str) -> Result<&str, NotAPath> {
    let is_of_path = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b',' | b'\\');
    let has_dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
    if text.starts_with('/') && text.bytes().all(is_of_path) && !has_dots {
        Ok(text.strip_suffix('/').unwrap_or(text))
    } else {
        Err(NotAPath)
    }
}

/// Not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a path; write for example \"/payments/wonder\": visible ASCII, without query and without \".\" or \"..\" as a segment"
)]
pub(crate) struct NotAPath;

/// How the target that Wonder signed is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OriginalTarget {
    /// It is the value of this header: nginx sets `X-Original-URI` to `$request_uri`.
    Header(HeaderName),
    /// It is the received target after this prefix, which a reverse proxy took off.
    Prefix(String),
}

struct OriginalTargetKeys;

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
                let reason =
                    format!("is set beside {header_key} (from {}); set only one of them", layers.source(header_key));
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
    if listener::has_a_meaning(&name) {
        return Err(
            "names a header with a meaning of its own; let the proxy set another, for example \"X-Original-URI\""
                .to_owned(),
        );
    }
    Ok(name)
}

/// `[webhook.tls]`: TLS on the webhook listener. Both files are PEM, and are read again when they change. Senders need no certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookTls {
    /// Our certificate and its chain.
    pub(crate) certificate_file: PathBuf,
    /// Its private key.
    pub(crate) key_file: PathBuf,
}

/// Half of the pair is refused.
struct TlsFiles;

const TLS_FILES: [&str; 2] = ["webhook.tls.certificate_file", "webhook.tls.key_file"];

impl Field<Option<WebhookTls>> for TlsFiles {
    fn keys(&self, _: &'static str, all: &mut Vec<Key>) {
        all.extend(TLS_FILES.map(|name| Key { name, secret: false, schema: values::path().schema }));
    }

    fn read(&self, _: &'static str, layers: &Layers) -> Result<Option<WebhookTls>, ConfigError> {
        let Kind { parse, .. } = values::path();
        let [certificate, key] = TLS_FILES;
        match (layers.read_optional(certificate, &parse)?, layers.read_optional(key, &parse)?) {
            (None, None) => Ok(None),
            (Some(certificate_file), Some(key_file)) => Ok(Some(WebhookTls { certificate_file, key_file })),
            (Some(_), None) => Err(layers.refuse(certificate, format!("needs {key}; set both or none"))),
            (None, Some(_)) => Err(layers.refuse(key, format!("needs {certificate}; set both or none"))),
        }
    }

    fn show(&self, _: &'static str, value: &Option<WebhookTls>, shown: &mut Shown<'_>) {
        let Some(WebhookTls { certificate_file, key_file }) = value else { return };
        let Kind { show, .. } = values::path();
        for (key, file) in TLS_FILES.into_iter().zip([certificate_file, key_file]) {
            shown.add(key, show(file));
        }
    }
}

/// `[webhook.redis]`: the store that replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redis {
    /// The server.
    pub(crate) url: RedisUrl,
    /// File with the password, default none.
    pub(crate) password_file: Option<PathBuf>,
    /// PEM file with root certificates beside the built-in ones, default none.
    pub(crate) ca_file: Option<PathBuf>,
    /// How long one command may take, connecting included, default 500 ms. After that the delivery is forwarded all the same.
    pub(crate) timeout: Duration,
}

struct RedisKeys;

const REDIS_URL: &str = "webhook.redis.url";
const REDIS_PASSWORD: &str = "webhook.redis.password_file";
const REDIS_CA: &str = "webhook.redis.ca_file";
const REDIS_TIMEOUT: &str = "webhook.redis.timeout";

fn redis_timeout() -> Kind<Duration> {
    duration(MILLISECOND..=10 * SECOND)
}

impl Field<Option<Redis>> for RedisKeys {
    fn keys(&self, _: &'static str, all: &mut Vec<Key>) {
        let file = values::path().schema;
        all.extend([
            // It may hold a password in the wrong place.
            Key { name: REDIS_URL, secret: true, schema: shapes::redis() },
            Key { name: REDIS_PASSWORD, secret: true, schema: file.clone() },
            Key { name: REDIS_CA, secret: false, schema: file },
            Key { name: REDIS_TIMEOUT, secret: false, schema: redis_timeout().schema },
        ]);
    }

    fn read(&self, _: &'static str, layers: &Layers) -> Result<Option<Redis>, ConfigError> {
        let url: Option<RedisUrl> = layers.read_optional(REDIS_URL, values::parse_word)?;
        let password_file = layers.read_optional(REDIS_PASSWORD, values::path().parse)?;
        let ca_file = layers.read_optional(REDIS_CA, values::path().parse)?;
        let timeout = layers.read(REDIS_TIMEOUT, redis_timeout().parse)?;
        match url {
            Some(url) if ca_file.is_some() && !url.tls => {
                Err(layers.refuse(REDIS_CA, format!("goes only with rediss:// in {REDIS_URL}; redis:// has no TLS")))
            }
            Some(url) => Ok(Some(Redis { url, password_file, ca_file, timeout })),
            None if password_file.is_some() => Err(layers.refuse(REDIS_PASSWORD, format!("needs {REDIS_URL}"))),
            None if ca_file.is_some() => Err(layers.refuse(REDIS_CA, format!("needs {REDIS_URL}"))),
            None => Ok(None),
        }
    }

    fn show(&self, _: &'static str, value: &Option<Redis>, shown: &mut Shown<'_>) {
        let Some(Redis { url, password_file, ca_file, timeout }) = value else { return };
        let path = values::path();
        shown.add(REDIS_URL, json!(url.to_string()));
        if let Some(file) = password_file {
            shown.add(REDIS_PASSWORD, (path.show)(file));
        }
        if let Some(file) = ca_file {
            shown.add(REDIS_CA, (path.show)(file));
        }
        shown.add(REDIS_TIMEOUT, (redis_timeout().show)(timeout));
    }
}

/// `rediss://[user@]host[:port][/database]`, or `redis://` without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisUrl {
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
    /// The user of Redis' access control lists, default none: the default user.
    pub(crate) user: Option<String>,
    /// Host name in lower case, or IP address; an IPv6 address without its brackets.
    pub(crate) host: Box<str>,
    /// The port, default 6379.
    pub(crate) port: u16,
    /// The number of the database, default 0.
    pub(crate) database: u32,
}

impl FromStr for RedisUrl {
    type Err = NotARedisUrl;

    fn from_str(text: &str) -> Result<Self, NotARedisUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(NotARedisUrl::Form)?;
        let tls = match scheme {
            "rediss" => true,
            "redis" => false,
            _ => return Err(NotARedisUrl::Form),
        };
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        match user {
            Some(user) if user.contains(':') => return Err(NotARedisUrl::Password),
            Some(user) if user.is_empty() || !user.bytes().all(plain) => return Err(NotARedisUrl::Form),
            _ => {}
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split_port(authority).map_err(|_| NotARedisUrl::Form)?;
        let host: Host = host.parse().map_err(|_| NotARedisUrl::Form)?;
        let digits = database.len() <= 5 && database.bytes().all(|byte| byte.is_ascii_digit());
        let database = match database {
            "" => 0,
            number if digits => number.parse().map_err(|_| NotARedisUrl::Form)?,
            _ => return Err(NotARedisUrl::Form),
        };
        Ok(Self { tls, user: user.map(str::to_owned), host: host.into_inner(), port: port.unwrap_or(6379), database })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tls, user, host, port, database } = self;
        f.write_str(if *tls { "rediss://" } else { "redis://" })?;
        if let Some(user) = user {
            write!(f, "{user}@")?;
        }
        if host.contains(':') { write!(f, "[{host}]:{port}/{database}") } else { write!(f, "{host}:{port}/{database}") }
    }
}

/// Why a text is not the URL of a Redis server. The text is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotARedisUrl {
    /// Not a URL of a Redis server.
    #[error("not the URL of a Redis server; write for example \"rediss://redis.internal:6379\"")]
    Form,
    /// A password.
    #[error("holds a password; leave it out, and write it into a file that webhook.redis.password_file names")]
    Password,
}

#[cfg(test)]
mod tests;
