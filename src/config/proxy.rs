//! The egress proxy, and which origins are reached without one. The password is in no output.
//!
//! hyper-util's matcher decides on `NO_PROXY`. The proxy itself is read here: the matcher drops a proxy that it cannot parse without an
//! error, splits at the first `@` of a password, and replaces its bytes that are not UTF-8.

use std::{fmt, net::IpAddr, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use zeroize::Zeroizing;

use super::{
    origin::{Host, Origin, OriginError, split_port},
    percent,
};

/// The key that sets it.
pub(super) const KEY: &str = "upstream.proxy";

/// An HTTP proxy that opens tunnels (CONNECT, RFC 9110 §9.3.6).
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: Box<str>,
    port: u16,
    authority: Box<str>,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Host name in lower case, or IP address; an IPv6 address without its brackets.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port; 80 if the text has none.
    #[must_use]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The value of `Proxy-Authorization` (RFC 7617), marked sensitive.
    #[must_use]
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

/// As in the configuration, user and password masked.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.authorization.is_some() { "(secret)@" } else { "" };
        write!(f, "http://{user}{}", self.authority)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        // HTTPS_PROXY is at times written without a scheme.
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(ProxyError::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if !matches!(tail, "" | "/") {
            return Err(ProxyError::Form);
        }
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address).map_err(|_| ProxyError::Form)?;
        let host: Host = host.parse().map_err(|error| match error {
            OriginError::Unicode => ProxyError::Unicode,
            _ => ProxyError::Form,
        })?;
        let port = port.unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", host.in_authority()).into(),
            host: host.into_inner(),
            port,
            authorization: user.map(basic).transpose()?,
        })
    }
}

/// Why a text is not a usable proxy. The error does not repeat the text, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not a URL of a host.
    #[error("not a proxy; write for example \"http://proxy.internal:3128\", or \"off\"")]
    Form,
    /// A host name in Unicode.
    #[error("{}", OriginError::Unicode)]
    Unicode,
    /// TLS to the proxy, or SOCKS.
    #[error("has a scheme other than http; write http://, because the tunnel through the proxy is encrypted")]
    Scheme,
    /// Credentials that cannot be sent.
    #[error("has a user or password that is not percent-encoded, is empty, or has a \":\" in the user")]
    Credentials,
}

/// The value of the key: a proxy, or `off`.
pub(super) struct Wanted(pub(super) Option<Proxy>);

impl FromStr for Wanted {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        if text == "off" { Ok(Self(None)) } else { text.parse().map(|proxy| Self(Some(proxy))) }
    }
}

/// `user:password`, percent-encoded, as the `Basic` scheme sends it.
fn basic(user: &str) -> Result<HeaderValue, ProxyError> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let user = percent::decoded(user).filter(|user| !user.is_empty() && !user.contains(&b':'));
    let mut pair = user.ok_or(ProxyError::Credentials)?;
    pair.push(b':');
    pair.extend_from_slice(&percent::decoded(password).ok_or(ProxyError::Credentials)?);
    if pair.iter().any(u8::is_ascii_control) {
        return Err(ProxyError::Credentials);
    }
    let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair)));
    let mut value = HeaderValue::from_str(&text).map_err(|_| ProxyError::Credentials)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether `NO_PROXY` names the origin: entries between commas or spaces, each `*`, a host or domain with all below it (a leading `.`
/// or `*.` changes nothing), an IP address or a network in CIDR form. A host may have a port.
///
/// The matcher supports no spaces, no `*.`, no ports and no `*` for an address. Other programs accept them, so the entries are brought
/// into its form first.
pub(super) fn exempts(no_proxy: &str, origin: &Origin) -> bool {
    let entries = || no_proxy.split([',', ' ']).map(str::trim);
    if entries().any(|entry| entry == "*") {
        return true;
    }
    let named: Vec<&str> = entries().filter_map(|entry| without_port(entry, origin.port())).collect();
    let matcher = Matcher::builder().all("http://proxy").no(named.join(",")).build();
    origin.to_string().parse().is_ok_and(|origin| matcher.intercept(&origin).is_none())
}

/// An entry as the matcher reads it; `None` for one with another port than `port`.
fn without_port(entry: &str, port: u16) -> Option<&str> {
    // An address or a network. The colons of IPv6 begin no port.
    if entry.parse::<IpAddr>().is_ok() || entry.contains('/') {
        return Some(entry);
    }
    let (host, own) = split_port(entry).ok()?;
    let host = host.strip_prefix("*.").unwrap_or(host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    own.is_none_or(|own| own == port).then_some(host)
}

#[cfg(test)]
mod tests;
