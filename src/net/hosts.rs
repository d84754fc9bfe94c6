//! The names under which a listener may be addressed. Pure.
//!
//! A web page can point a name of its own at this machine (DNS rebinding). Its requests then still have that name in `Host`.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, header};

/// The names of a listener, without port.
#[derive(Debug, Clone)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Names of this machine's loopback, and `others` (names or addresses without port).
    pub fn new(others: impl IntoIterator<Item = String>) -> Self {
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        Self(loopback.into_iter().chain(others.into_iter().map(|host| host.to_ascii_lowercase())).collect())
    }

    /// Whether `authority` (a host with or without a port) is one of them.
    ///
    /// The port is ignored, because it may be forwarded or mapped.
    #[must_use]
    pub(crate) fn include(&self, authority: &str) -> bool {
        let host = without_port(authority);
        self.0.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// The same, or any IP address. DNS rebinding needs a name, so it cannot produce an address.
    #[must_use]
    pub(crate) fn include_or_address(&self, authority: &str) -> bool {
        let host = without_port(authority);
        let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        self.include(authority)
            || v6.map_or_else(|| host.parse::<Ipv4Addr>().is_ok(), |host| host.parse::<Ipv6Addr>().is_ok())
    }

    /// Whether the one `Host` of a request is one of them or an IP address. An HTTP/1.0 request may have none; no browser sends one.
    #[must_use]
    pub(crate) fn are_addressed_by(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(header::HOST).iter();
        match (given.next(), given.next()) {
            (None, _) => true,
            (Some(host), None) => host.to_str().is_ok_and(|host| self.include_or_address(host)),
            (Some(_), Some(_)) => false,
        }
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_accepted_if_allowed_and_a_name_only_if_known() {
        let hosts = Hosts::new(["signer.shop".to_owned()]);
        for host in ["10.1.2.3", "10.1.2.3:9090", "[fd00::1]:9090", "[::1]", "LOCALHOST:1", "signer.shop:9090"] {
            assert!(hosts.include_or_address(host), "{host}");
        }
        for host in
            ["", ":9090", "evil.example", "10.1.2.3.evil.example", "fd00::1", "[10.1.2.3]", "10.1.2", "[signer.shop]"]
        {
            assert!(!hosts.include_or_address(host), "{host}");
        }
        assert!(!hosts.include("10.1.2.3"));
    }
}
