//! The URL of a Redis server.

use std::{fmt, str::FromStr};

use super::super::origin::{Host, OriginError, split_port};

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
        let host: Host = host.parse().map_err(|error| match error {
            OriginError::Unicode => NotARedisUrl::Unicode,
            _ => NotARedisUrl::Form,
        })?;
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

/// The reason why a text is not the URL of a Redis server. It does not repeat the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotARedisUrl {
    /// Not a URL of a Redis server.
    #[error("not the URL of a Redis server; write for example \"rediss://redis.internal:6379\"")]
    Form,
    /// A host name in Unicode.
    #[error("{}", OriginError::Unicode)]
    Unicode,
    /// It contains a password.
    #[error("holds a password; leave it out, and write it into a file that webhook.redis.password_file names")]
    Password,
}
