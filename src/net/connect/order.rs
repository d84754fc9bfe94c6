//! The order in which the addresses of a name are tried. An address that failed recently is tried last, so that a dead one costs time
//! once a minute and not for each connection.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long an address that failed is tried last.
const AVOIDED_FOR: Duration = Duration::from_mins(1);

/// The addresses that failed recently, with the time; the oldest failure first.
#[derive(Default)]
pub(super) struct Order(Mutex<Vec<(SocketAddr, Instant)>>);

impl Order {
    /// `found` at `port` in the order to try them: as the resolver sorted them, but with the two families in turns (RFC 8305 §4),
    /// and those that failed recently behind the others.
    pub(super) fn of(&self, found: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
        let mut failed = self.failed_lately();
        failed.retain(|(_, when)| when.elapsed() < AVOIDED_FOR);
        let mut addresses: Vec<_> = found.iter().map(|address| SocketAddr::new(address.ip(), port)).collect();
        addresses.dedup();
        let first_is_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
        let (mut first, mut second) = (0, 0);
        // Sorts by the position within the address family; a stable sort keeps the order of equals.
        let mut places: Vec<_> = addresses
            .into_iter()
            .map(|address| {
                let of_first = address.is_ipv4() == first_is_ipv4;
                let count = if of_first { &mut first } else { &mut second };
                *count += 1;
                let since = failed.iter().position(|(known, _)| *known == address);
                ((since.map_or(0, |place| place + 1), *count, !of_first), address)
            })
            .collect();
        places.sort_by_key(|(place, _)| *place);
        places.into_iter().map(|(_, address)| address).collect()
    }

    pub(super) fn failed(&self, address: SocketAddr) {
        let mut failed = self.failed_lately();
        failed.retain(|(known, _)| *known != address);
        failed.push((address, Instant::now()));
    }

    pub(super) fn reached(&self, address: SocketAddr) {
        self.failed_lately().retain(|(known, _)| *known != address);
    }

    fn failed_lately(&self) -> MutexGuard<'_, Vec<(SocketAddr, Instant)>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(hosts: &[&str]) -> Vec<SocketAddr> {
        hosts.iter().map(|host| SocketAddr::new(host.parse().unwrap(), 443)).collect()
    }

    #[test]
    fn families_take_turns_and_the_resolvers_first_stays_first() {
        let order = Order::default();
        for (found, expected) in [
            (&["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"][..], &["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"][..]),
            (&["1.1.1.1", "2.2.2.2", "::1"], &["1.1.1.1", "::1", "2.2.2.2"]),
            (&["2.2.2.2", "1.1.1.1"], &["2.2.2.2", "1.1.1.1"]),
            (&["1.1.1.1", "1.1.1.1"], &["1.1.1.1"]),
            (&[], &[]),
        ] {
            assert_eq!(order.of(&addresses(found), 443), addresses(expected), "{found:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_failed_lately_come_last_and_the_latest_failure_very_last() {
        let order = Order::default();
        let found = addresses(&["1.1.1.1", "2.2.2.2", "3.3.3.3"]);
        order.failed(found[0]);
        order.failed(found[1]);
        assert_eq!(order.of(&found, 443), addresses(&["3.3.3.3", "1.1.1.1", "2.2.2.2"]));
        order.failed(found[0]);
        assert_eq!(order.of(&found, 443), addresses(&["3.3.3.3", "2.2.2.2", "1.1.1.1"]));
        order.reached(found[1]);
        assert_eq!(order.of(&found, 443), addresses(&["2.2.2.2", "3.3.3.3", "1.1.1.1"]));
        tokio::time::advance(AVOIDED_FOR).await;
        assert_eq!(order.of(&found, 443), found);
    }
}
