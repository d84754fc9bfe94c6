//! The system's resolver: `getaddrinfo`, which blocks, on a thread of its own for each look-up.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use dns_lookup::{AddrFamily, AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use futures_util::{FutureExt as _, future::select_ok};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use super::Addresses;

/// After this long without an answer each address family is looked up alone too.
const ALONE_AFTER: Duration = Duration::from_millis(500);
/// Threads that may wait for the resolver at once. `getaddrinfo` cannot be interrupted; without an answer it may keep its
/// thread for a minute.
const THREADS: usize = 16;

/// Looks up one host.
pub(super) struct Resolver {
    host: Arc<str>,
    address: Option<IpAddr>,
    threads: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn of(host: &str) -> Self {
        Self { host: host.into(), address: host.parse().ok(), threads: Arc::new(Semaphore::new(THREADS)) }
    }

    pub(super) async fn look_up(self: Arc<Self>) -> Result<Addresses, Arc<io::Error>> {
        if let Some(address) = self.address {
            return Ok(Arc::new([SocketAddr::new(address, 0)]));
        }
        // The look-up for both families is first and usually the only one, because only its answer is sorted by the system's rules
        // (RFC 6724).
        let mut both = self.query(None).boxed();
        if let Ok(answer) = timeout(ALONE_AFTER, &mut both).await {
            return answer.map_err(Arc::new);
        }
        let alone = [AddrFamily::Inet, AddrFamily::Inet6].map(|family| self.query(Some(family)).boxed());
        select_ok(std::iter::once(both).chain(alone)).await.map(|(found, _)| found).map_err(Arc::new)
    }

    /// Looks up the addresses of one family, or of both.
    async fn query(&self, family: Option<AddrFamily>) -> io::Result<Addresses> {
        let (sender, answer) = oneshot::channel();
        let (host, permit) = (Arc::clone(&self.host), Arc::clone(&self.threads).try_acquire_owned());
        let permit = permit.map_err(|_| {
            let text = format!("{THREADS} look-ups of the name already wait for the resolver");
            io::Error::new(io::ErrorKind::TimedOut, text)
        })?;
        // Not the runtime's threads for blocking work: if no thread can be created, tokio panics or queues the work forever.
        let thread = thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            let _ = sender.send(resolve(&host, family));
            drop(permit);
        });
        thread.map_err(|error| {
            io::Error::other(format!(
                "no thread to look it up ({error}): raise the limit of processes (nproc, podPidsLimit)"
            ))
        })?;
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the look-up panicked")))
    }
}

fn resolve(host: &str, family: Option<AddrFamily>) -> io::Result<Addresses> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        address: family.map_or(0, Into::into),
        ..AddrInfoHints::default()
    };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| failed(&error))?;
    let found: Addresses = found.filter_map(|info| Some(info.ok()?.sockaddr)).collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

fn failed(error: &LookupError) -> io::Error {
    let kind = match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => io::ErrorKind::NotFound,
        LookupErrorKind::Again => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        for (host, address) in [("127.0.0.1", Ipv4Addr::LOCALHOST.into()), ("::1", IpAddr::V6(Ipv6Addr::LOCALHOST))] {
            let found = Arc::new(Resolver::of(host)).look_up().now_or_never().unwrap().unwrap();
            assert_eq!(*found, [SocketAddr::new(address, 0)]);
        }
    }

    #[tokio::test]
    async fn one_family_can_be_looked_up_alone() {
        let found = Resolver::of("localhost").query(Some(AddrFamily::Inet)).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(SocketAddr::is_ipv4), "{found:?}");
    }

    #[tokio::test]
    async fn no_more_threads_wait_for_the_resolver_than_allowed() {
        let resolver = Resolver::of("localhost");
        let taken = Arc::clone(&resolver.threads).try_acquire_many_owned(u32::try_from(THREADS).unwrap()).unwrap();
        let error = resolver.query(None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "16 look-ups of the name already wait for the resolver");
        drop(taken);
        assert!(resolver.query(None).await.is_ok());
    }

    /// The error numbers of Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_does_not_exist_differs_from_a_resolver_that_does_not_answer() {
        let error = LookupError::new(-2);
        assert_eq!(failed(&error).kind(), io::ErrorKind::NotFound, "EAI_NONAME");
        assert_eq!(failed(&LookupError::new(-3)).kind(), io::ErrorKind::TimedOut, "EAI_AGAIN");
    }
}
