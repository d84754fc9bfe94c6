//! A block of IP addresses (RFC 4632): one address, or an address and the length of its prefix.

use std::{fmt, net::IpAddr, str::FromStr};

/// `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`. Bits after the prefix are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` is in the block. An IPv4 address that is mapped into IPv6 (RFC 4291 §2.5.5.2) counts as the IPv4 address.
    #[must_use]
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        // How many low bits may differ; a shift by all of them leaves nothing to compare.
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| NotANetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let digits = |text: &&str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            Some(prefix) => {
                Some(prefix).filter(digits).and_then(|prefix| prefix.parse().ok()).filter(|prefix| *prefix <= longest)
            }
            None => Some(longest),
        };
        let prefix: u8 = prefix.ok_or(NotANetwork)?;
        match (address, address.to_canonical()) {
            // `::ffff:10.0.0.0/104` is 10.0.0.0/8.
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) => {
                Ok(Self { address: canonical, prefix: prefix.checked_sub(96).ok_or(NotANetwork)? })
            }
            _ => Ok(Self { address, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.address.is_ipv4() { 32 } else { 128 };
        self.address.fmt(f)?;
        if self.prefix == longest { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// The text is no block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address or a network; write for example \"203.0.113.0/24\"")]
pub(crate) struct NotANetwork;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_that_share_its_prefix() {
        for (network, address, expected) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("10.1.2.3/8", "10.255.0.1", true),
            ("10.1.2.3/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("119.8.39.23/32", "119.8.39.23", true),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_and_what_is_one_is_written_as_it_is_read() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0",
            "::/129",
            "::ffff:1.2.3.4/8",
            "a",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text:?}");
        }
        for text in ["10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::1", "0.0.0.0/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
