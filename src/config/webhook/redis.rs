//! The store of acknowledged deliveries that replicas share.

use std::{path::PathBuf, time::Duration};

use serde_json::json;

use super::{
    super::{
        ConfigError, MILLISECOND, SECOND,
        field::{Field, Kind, Shown},
        keys::Key,
        layers::Layers,
        shapes,
        values::{self, duration},
    },
    redis_url::RedisUrl,
};

/// `[webhook.redis]`: the store that replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redis {
    /// The server.
    pub(crate) url: RedisUrl,
    /// The file with the password, default none.
    pub(crate) password_file: Option<PathBuf>,
    /// A PEM file with root certificates in addition to the built-in ones, default none.
    pub(crate) ca_file: Option<PathBuf>,
    /// How long one command may take, with the connection, default 500 ms. After that the delivery is forwarded anyway.
    pub(crate) timeout: Duration,
}

pub(super) struct RedisKeys;

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
            // A password may be in it by mistake.
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
                Err(layers
                    .refuse(REDIS_CA, format!("is allowed only with rediss:// in {REDIS_URL}; redis:// has no TLS")))
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
