//! The address of a webhook's sender, as far as it can be determined behind reverse proxies. Pure.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::rejection::Rejection;
use crate::{config::Network, policy::Caller};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Which sources are accepted.
#[derive(Debug, Clone)]
pub(super) struct SourceAddresses {
    /// Any, if there is none.
    pub(super) accepted: Vec<Network>,
    /// The reverse proxies whose `X-Forwarded-For` is trusted.
    pub(super) proxies: Vec<Network>,
}

impl SourceAddresses {
    /// Rejects a webhook whose source is unknown or not accepted.
    pub(super) fn check(&self, caller: &Caller, headers: &HeaderMap) -> Result<(), Rejection> {
        let is_accepted = |source: IpAddr| self.accepted.iter().any(|network| network.contains(source));
        if self.accepted.is_empty() || self.source(caller, headers).is_some_and(is_accepted) {
            Ok(())
        } else {
            Err(Rejection::SourceAddress)
        }
    }

    /// The peer address of the first trusted proxy. Each proxy appends the address of its own peer, so the header is read from its end, and
    /// everything before the first address that is not a proxy's is an unproved claim.
    fn source(&self, caller: &Caller, headers: &HeaderMap) -> Option<IpAddr> {
        let is_proxy = |address: IpAddr| self.proxies.iter().any(|network| network.contains(address));
        let mut source = match caller {
            Caller::Tcp(address) | Caller::Certificate { address, .. } => Some(address.ip()),
            // Only programs of this machine can connect here, so the peer is a proxy.
            Caller::UnixSocket => None,
            Caller::Unknown => return None,
        };
        if source.is_some_and(|source| !is_proxy(source)) {
            return source;
        }
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for item in value.to_str().ok()?.rsplit(',') {
                let address = address(item.trim())?;
                source = Some(address);
                if !is_proxy(address) {
                    return source;
                }
            }
        }
        source
    }
}

/// The address of an item, some proxies add the port.
fn address(item: &str) -> Option<IpAddr> {
    let bare = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(item);
    bare.parse().ok().or_else(|| item.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn accepts(sources: &SourceAddresses, peer: Option<&str>, forwarded: &[&str]) -> bool {
        let caller = peer.map_or(Caller::UnixSocket, |peer| Caller::Tcp(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        sources.check(&caller, &headers).is_ok()
    }

    #[test]
    fn without_proxies_the_peer_is_the_source_whatever_it_claims() {
        let sources = SourceAddresses { accepted: networks(&["119.8.39.23", "10.0.0.0/8"]), proxies: vec![] };
        assert!(accepts(&sources, Some("119.8.39.23"), &[]));
        assert!(accepts(&sources, Some("::ffff:10.1.2.3"), &["192.0.2.1"]));
        assert!(!accepts(&sources, Some("192.0.2.1"), &["119.8.39.23"]));
    }

    #[test]
    fn behind_proxies_the_source_is_the_last_address_that_is_none_of_them() {
        let sources =
            SourceAddresses { accepted: networks(&["119.8.39.23"]), proxies: networks(&["10.0.0.0/8", "fd00::/8"]) };
        for (peer, forwarded, expected) in [
            (Some("10.0.0.1"), &["119.8.39.23"][..], true),
            (Some("10.0.0.1"), &["192.0.2.1, 119.8.39.23"], true),
            (Some("10.0.0.1"), &["119.8.39.23, 10.0.0.2"], true),
            (Some("10.0.0.1"), &["119.8.39.23", "10.0.0.2", "fd00::1"], true),
            (Some("10.0.0.1"), &["119.8.39.23:4711 , [fd00::1]:80,[fd00::2]"], true),
            (None, &["119.8.39.23"], true),
            // The sender's claim comes before the address that the proxy adds.
            (Some("10.0.0.1"), &["119.8.39.23, 192.0.2.1"], false),
            (Some("10.0.0.1"), &["119.8.39.23", "192.0.2.1"], false),
            (None, &["119.8.39.23, 192.0.2.1"], false),
            (Some("192.0.2.1"), &["119.8.39.23"], false),
            (Some("10.0.0.1"), &[], false),
            (Some("10.0.0.1"), &["10.0.0.3"], false),
            (Some("10.0.0.1"), &["119.8.39.23, unknown"], false),
            (Some("10.0.0.1"), &["119.8.39.23,"], false),
            (Some("10.0.0.1"), &[""], false),
            (None, &[], false),
        ] {
            assert_eq!(accepts(&sources, peer, forwarded), expected, "{peer:?} {forwarded:?}");
        }
    }

    #[test]
    fn without_a_list_every_source_is_accepted() {
        let sources = SourceAddresses { accepted: vec![], proxies: vec![] };
        assert!(accepts(&sources, Some("192.0.2.1"), &[]) && accepts(&sources, None, &[]));
    }
}
