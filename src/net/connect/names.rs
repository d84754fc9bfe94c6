//! From a name to its addresses, by the system's resolver.
//!
//! The code is our own because hyper-util's resolver starts a look-up for each connection, on a blocking thread that cannot be
//! interrupted. When the resolver does not answer, each request would block one more thread and send one more query. Here requests that
//! need the addresses at about the same time share a look-up.
//!
//! `getaddrinfo` waits for the A and the AAAA records. If one of the two queries is never answered, it returns nothing until
//! its own time-outs have passed, which is usually later than `timeouts.connect`. So after [`ALONE_AFTER`] each family is also looked up
//! alone, and the first addresses that arrive are used. If none arrives within [`PATIENCE`], the addresses of the last answer are used:
//! TLS proves that the origin is still there.

mod system;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::{Instant, timeout};

use self::system::Resolver;

/// For how long other requests join a look-up. A healthy resolver answers sooner. One that does not answer receives a query each time
/// this has passed.
const JOINED_FOR: Duration = Duration::from_millis(500);
/// How long a look-up may take before the addresses of the last answer are used.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the addresses of an answer may be used in place of a new answer.
const REMEMBERED_FOR: Duration = Duration::from_hours(1);

/// At least one; the port is 0.
pub(super) type Addresses = Arc<[SocketAddr]>;
/// [`io::ErrorKind::NotFound`] means that the resolver reports that there are no addresses; every other kind, that it did not answer.
pub(super) type LookUp = BoxFuture<'static, Result<Addresses, Arc<io::Error>>>;

/// One name. Each call looks it up anew, unless a look-up began just before.
pub(super) struct Names {
    look_up: Box<dyn Fn() -> LookUp + Send + Sync>,
    /// The last look-up and its start time. Dropping the last waiting request cancels it.
    running: Mutex<Option<(Instant, WeakShared<LookUp>)>>,
    /// The last answer and its time.
    known: Arc<Mutex<Option<(Instant, Addresses)>>>,
}

impl Names {
    /// For a host of a URI, with the system's resolver. An IP address needs no look-up.
    pub(super) fn of(host: &str) -> Self {
        let resolver = Arc::new(Resolver::of(host.trim_start_matches('[').trim_end_matches(']')));
        Self::by(move || Arc::clone(&resolver).look_up().boxed())
    }

    pub(super) fn by(look_up: impl Fn() -> LookUp + Send + Sync + 'static) -> Self {
        Self { look_up: Box::new(look_up), running: Mutex::default(), known: Arc::default() }
    }

    pub(super) async fn addresses(&self) -> io::Result<Addresses> {
        let answer = self.running();
        let Some(known) = self.known() else { return answer.await.map_err(|error| unshared(&error)) };
        match timeout(PATIENCE, answer.clone()).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(unshared(&error)),
            Ok(Err(_)) => Ok(known),
            Err(_) => {
                // A late answer is still the newest one.
                tokio::spawn(answer);
                Ok(known)
            }
        }
    }

    /// The running look-up, or a new one.
    fn running(&self) -> Shared<LookUp> {
        let mut running = lock(&self.running);
        let young = running.as_ref().filter(|(began, _)| began.elapsed() < JOINED_FOR);
        young.and_then(|(_, last)| last.upgrade()).unwrap_or_else(|| {
            let known = Arc::clone(&self.known);
            let remember = move |found: &Addresses| *lock(&known) = Some((Instant::now(), Arc::clone(found)));
            let new = (self.look_up)().inspect_ok(remember).boxed().shared();
            *running = new.downgrade().map(|new| (Instant::now(), new));
            new
        })
    }

    fn known(&self) -> Option<Addresses> {
        lock(&self.known)
            .as_ref()
            .filter(|(came, _)| came.elapsed() < REMEMBERED_FOR)
            .map(|(_, known)| Arc::clone(known))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of them is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unshared(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

#[cfg(test)]
mod tests;
