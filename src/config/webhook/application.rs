//! The application that receives verified webhooks.

use std::{fmt, path::PathBuf, str::FromStr};

use super::super::{
    address::ListenAddress,
    origin::{Origin, OriginError},
};

/// Where an application receives its verified webhooks: `http://host[:port]` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Application {
    /// Plain HTTP over TCP.
    Http(Origin),
    /// Plain HTTP over a Unix socket.
    Unix(PathBuf),
}

impl Application {
    /// Whether its name is that of this machine (or pod).
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

/// The reason why a text is not an application to forward to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnApplication {
    /// Neither a URL nor a socket.
    #[error("not an application; write for example \"http://127.0.0.1:3000\" or \"unix:/run/app.sock\"")]
    Form,
    /// `https`.
    #[error("is https; the application receives webhooks over plain http, on loopback or a Unix socket")]
    Tls,
    /// A path after the host.
    #[error("has a path; leave it out, because webhooks keep the path that Wonder signed")]
    Path,
    /// Another fault of an origin.
    #[error(transparent)]
    Origin(OriginError),
}
