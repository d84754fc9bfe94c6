//! The origin of requests: scheme, host and port, and nothing else (RFC 6454 §4).
//!
//! It is parsed by hand, because what a URL parser corrects silently (`https:\\host`, `127.1`, `https:host`) is refused here.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// `https://host[:port]`, or `http://` to a loopback host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    tls: bool,
    host: Box<str>,
    port: u16,
    authority: Box<str>,
}

impl Origin {
    /// `true` for `https`, `false` for `http`.
    #[must_use]
    pub fn scheme_is_tls(&self) -> bool {
        self.tls
    }

    /// Host name in lower case, or IP address; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 443 or 80 if the text has none.
    #[must_use]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is on this machine, by its very name.
    #[must_use]
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Host and port as in the `Host` header: a default port is left out, an IPv6 address is in brackets.
    #[must_use]
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let origin = Self::parse(text)?;
        if origin.tls || origin.is_loopback() { Ok(origin) } else { Err(OriginError::PlainHttp) }
    }
}

impl Origin {
    /// The same, and plain `http` to any host.
    pub(crate) fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Form)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(OriginError::Scheme),
        };
        // A user name cannot contain these characters, so the first of them ends the authority (RFC 3986 §3.2).
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.contains('@') {
            return Err(OriginError::UserInfo);
        }
        match tail {
            "" | "/" => {}
            _ if tail.contains('#') => return Err(OriginError::Fragment),
            _ if tail.contains('?') => return Err(OriginError::Query),
            _ => return Err(OriginError::Path),
        }
        let (host, port) = split_port(authority)?;
        let host: Host = host.parse()?;
        let default_port = if tls { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        let authority =
            if port == default_port { host.in_authority() } else { format!("{}:{port}", host.in_authority()) };
        Ok(Self { tls, host: host.0, port, authority: authority.into() })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

/// Why a text is not a usable origin. The error does not repeat the text, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No `://`.
    #[error("not an origin; write for example \"https://127.0.0.1:4443\"")]
    Form,
    /// Another scheme.
    #[error("has a scheme other than https and http")]
    Scheme,
    /// A user name, a password or both.
    #[error("holds a user name or password; leave out everything up to the \"@\"")]
    UserInfo,
    /// A path of more than `/`.
    #[error("has a path; an origin ends after host and port, because a path would change what is signed")]
    Path,
    /// A query.
    #[error("has a query; an origin ends after host and port")]
    Query,
    /// A fragment.
    #[error("has a fragment; an origin ends after host and port")]
    Fragment,
    /// `http` to another machine.
    #[error("is plain http to a host other than loopback; use https")]
    PlainHttp,
    /// Not a host.
    #[error("has no valid host; use a host name, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// A host name in Unicode.
    #[error(
        "has a host name with letters beyond ASCII; write its ASCII form, in which such a label begins with \"xn--\""
    )]
    Unicode,
    /// Not a port.
    #[error("has no valid port after the \":\"; use 1 to 65535")]
    Port,
}

/// A host name in lower case, or an IP address in its usual spelling and without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host(Box<str>);

impl Host {
    /// The bare name or address.
    pub(super) fn into_inner(self) -> Box<str> {
        self.0
    }

    /// The same with brackets around an IPv6 address.
    pub(super) fn in_authority(&self) -> String {
        if self.0.contains(':') { format!("[{}]", self.0) } else { self.0.to_string() }
    }
}

impl FromStr for Host {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(OriginError::Host)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| OriginError::Host)?;
            return Ok(Self(address.to_string().into()));
        }
        if !text.is_ascii() {
            return Err(OriginError::Unicode);
        }
        let name = text.to_ascii_lowercase();
        let labels_are_sound = name.len() <= 253 && name.split('.').all(is_label);
        // A last label of digits makes it an IPv4 address or nothing: `127.1` means 127.0.0.1 to some and fails for others.
        let looks_like_address = name.rsplit('.').next().is_some_and(|last| {
            last.bytes().all(|byte| byte.is_ascii_digit())
                || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        });
        let sound = labels_are_sound && (!looks_like_address || name.parse::<Ipv4Addr>().is_ok());
        if sound { Ok(Self(name.into())) } else { Err(OriginError::Host) }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Underscores are not for host names (RFC 1123 §2.1), but container networks use them.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Host and port. The host keeps its brackets.
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), OriginError> {
    let after_host = match (authority.starts_with('['), authority.find(']')) {
        (true, Some(bracket)) => bracket + 1,
        (true, None) => return Err(OriginError::Host),
        (false, _) => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(after_host);
    if port.is_empty() {
        return Ok((host, None));
    }
    // A second colon is most likely that of an IPv6 address without brackets.
    let digits = port.strip_prefix(':').filter(|digits| !digits.contains(':')).ok_or(OriginError::Host)?;
    // `u16` parses "+443" too.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(OriginError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(OriginError::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

#[cfg(test)]
mod tests;
