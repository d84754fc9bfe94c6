//! Whether an application of webhooks is a listener of this program itself, which would receive what it has forwarded. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{super::address::ListenAddress, application::Application};

impl Application {
    /// Whether a connection to it arrives at `listener`, as far as names and addresses show. `is_own` returns whether this machine has an
    /// address.
    pub(crate) fn leads_to(&self, listener: &ListenAddress, is_own: impl Fn(IpAddr) -> bool) -> bool {
        match (self, listener) {
            (Self::Unix(path), ListenAddress::Unix(bound)) => path == bound,
            (Self::Http(origin), ListenAddress::Tcp(bound)) => {
                let arrives = |target: IpAddr| arrives(target, bound.ip(), &is_own);
                origin.port() == bound.port() && addresses(origin.host()).into_iter().any(arrives)
            }
            _ => false,
        }
    }
}

/// The error of an application that leads to the listener of this key.
pub(crate) fn reason(listener: &str, address: &ListenAddress) -> String {
    format!(
        "leads to {listener} of this program ({address}), so no webhook would reach the application; set the address of the application"
    )
}

/// The addresses that a host name has without a look-up.
fn addresses(host: &str) -> Vec<IpAddr> {
    match host {
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        host => host.parse().into_iter().collect(),
    }
}

/// Whether a connection to `target` arrives at a socket that is bound to `bound`, with equal ports.
pub(crate) fn arrives(target: IpAddr, bound: IpAddr, is_own: impl Fn(IpAddr) -> bool) -> bool {
    let bound = bound.to_canonical();
    let target = match target.to_canonical() {
        // connect(2) takes it for loopback.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        target => target,
    };
    if bound.is_unspecified() {
        // [::] takes the addresses of IPv4 too, unless the system is set up otherwise.
        (bound.is_ipv6() || target.is_ipv4()) && (target.is_loopback() || is_own(target))
    } else {
        target == bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_leads_to_a_listener_that_receives_its_connections() {
        for (application, listener, expected) in [
            ("http://127.0.0.1:80", "127.0.0.1:80", true),
            ("http://127.0.0.1", "0.0.0.0:80", true),
            ("http://127.9.9.9:81", "0.0.0.0:81", true),
            ("http://127.0.0.1:81", "[::]:81", true),
            ("http://[::1]:81", "[::]:81", true),
            ("http://[::1]:81", "[::1]:81", true),
            ("http://localhost:81", "127.0.0.1:81", true),
            ("http://LOCALHOST:81", "[::1]:81", true),
            ("http://localhost:81", "[::]:81", true),
            ("http://[::ffff:127.0.0.1]:81", "127.0.0.1:81", true),
            ("http://127.0.0.1:81", "[::ffff:127.0.0.1]:81", true),
            ("http://0.0.0.0:81", "127.0.0.1:81", true),
            ("http://[::]:81", "[::1]:81", true),
            ("http://10.0.0.1:81", "0.0.0.0:81", true),
            ("http://10.0.0.1:81", "10.0.0.1:81", true),
            ("unix:/run/a.sock", "unix:/run/a.sock", true),
            ("http://127.0.0.1:82", "127.0.0.1:81", false),
            ("http://127.0.0.2:81", "127.0.0.1:81", false),
            ("http://127.0.0.1:81", "[::1]:81", false),
            ("http://[::1]:81", "0.0.0.0:81", false),
            ("http://10.0.0.2:81", "0.0.0.0:81", false),
            ("http://127.0.0.1:81", "10.0.0.1:81", false),
            ("http://shop.internal:81", "0.0.0.0:81", false),
            ("unix:/run/b.sock", "unix:/run/a.sock", false),
            ("unix:/run/b.sock", "127.0.0.1:81", false),
        ] {
            let is_own = |address: IpAddr| address == Ipv4Addr::new(10, 0, 0, 1);
            let leads = application.parse::<Application>().unwrap().leads_to(&listener.parse().unwrap(), is_own);
            assert_eq!(leads, expected, "{application} {listener}");
        }
    }
}
