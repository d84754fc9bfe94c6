//! The caller of a request, as far as its connection shows it.

use std::{fmt, net::SocketAddr, str::FromStr, sync::Arc};

/// The other end of a downstream connection. The listener decides it once, when it accepts the connection; each request on the
/// connection has it in its extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Not decided by a listener. Every rule denies it, so a listener that does not decide admits no caller.
    #[default]
    Unknown,
    /// A program on this machine, over a Unix socket. The mode of the socket's file has admitted it.
    UnixSocket,
    /// A program without a certificate, over TCP from this address: loopback, unless the configuration allows more.
    Tcp(SocketAddr),
    /// A program that has proved its name, over TLS with a client certificate that the configured authority issued.
    Certificate {
        /// The name in the certificate, or `None` without a usable one.
        name: Option<Name>,
        /// The address it connected from.
        address: SocketAddr,
    },
}

impl Caller {
    /// The proved name; `None` for a caller without a certificate and for a certificate without a usable name.
    #[must_use]
    pub(crate) fn name(&self) -> Option<&Name> {
        match self {
            Self::Certificate { name, .. } => name.as_ref(),
            Self::Unknown | Self::UnixSocket | Self::Tcp(_) => None,
        }
    }
}

/// The origin of the connection: an address with port, `unix` or `unknown`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::UnixSocket => f.write_str("unix"),
            Self::Tcp(address) | Self::Certificate { address, .. } => address.fmt(f),
        }
    }
}

/// A name that a certificate proves and that the configuration may list: a DNS name or a URI.
///
/// DNS names are compared without regard to case, so a name is kept in lower case; a URI is kept as it is (RFC 5280 §7.2, §7.4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(Arc<str>);

impl Name {
    /// The name as logs and metrics show it.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    /// Accepts 1 to 253 visible ASCII characters, because the name becomes one word of a log line and a certificate's URI may have any
    /// character.
    fn from_str(text: &str) -> Result<Self, NotAName> {
        if !(1..=253).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAName);
        }
        // A URI has a scheme, so it has a colon, which no DNS name has.
        if text.contains(':') {
            return Ok(Self(text.into()));
        }
        // The final dot of an absolute DNS name (RFC 1034 §3.1) is not a part of the name.
        match text.strip_suffix('.').unwrap_or(text) {
            "" => Err(NotAName),
            name => Ok(Self(name.to_ascii_lowercase().into())),
        }
    }
}

/// The text cannot name a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a caller's name: 1 to 253 visible ASCII characters")]
pub(crate) struct NotAName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_visible_ascii() {
        let longest = "a".repeat(253);
        for (text, expected) in [
            ("shop", Some("shop")),
            ("Shop.EXAMPLE", Some("shop.example")),
            ("shop.example.", Some("shop.example")),
            ("spiffe://example/shop.", Some("spiffe://example/shop.")),
            (".", None),
            ("spiffe://example/Shop", Some("spiffe://example/Shop")),
            (&longest, Some(&longest)),
            (&"a".repeat(254), None),
            ("", None),
            ("a b", None),
            ("spiffe://a\nb", None),
            ("spiffe://é", None),
        ] {
            assert_eq!(text.parse::<Name>().ok().as_ref().map(Name::as_str), expected, "{text:?}");
        }
    }

    #[test]
    fn only_a_certificate_proves_a_name() {
        let (address, name) = ("10.0.0.7:40000".parse().unwrap(), "shop".parse::<Name>().unwrap());
        for (caller, expected, origin) in [
            (Caller::Unknown, None, "unknown"),
            (Caller::UnixSocket, None, "unix"),
            (Caller::Tcp(address), None, "10.0.0.7:40000"),
            (Caller::Certificate { name: None, address }, None, "10.0.0.7:40000"),
            (Caller::Certificate { name: Some(name.clone()), address }, Some(&name), "10.0.0.7:40000"),
        ] {
            assert_eq!((caller.name(), caller.to_string().as_str()), (expected, origin));
        }
    }
}
