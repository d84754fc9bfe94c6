//! From a name to its addresses. Who asks at about the same time shares a look-up: each takes a thread, and a resolver that does not
//! answer is not helped by the question of every waiting request. An answer that got lost holds up only those who asked with it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::time::Instant;

/// For how long others join a look-up. Healthy resolvers answer sooner, and one that does not has a question every so often.
const JOINED_FOR: Duration = Duration::from_millis(500);

/// At least one; the port is 0.
type Addresses = Arc<[SocketAddr]>;
type LookUp = BoxFuture<'static, Result<Addresses, Arc<io::Error>>>;

/// One name, looked up anew whenever somebody asks and nobody has just asked for it.
pub(super) struct Names {
    look_up: Box<dyn Fn() -> LookUp + Send + Sync>,
    /// The last look-up and when it began. It goes when all who wait have given up.
    running: Mutex<Option<(Instant, WeakShared<LookUp>)>>,
}

impl Names {
    /// Of a host as it stands in a URI, by the system's resolver. An address is its own answer.
    pub(super) fn of(host: &str) -> Self {
        let host: Arc<str> = host.trim_start_matches('[').trim_end_matches(']').into();
        Self::by(move || {
            let host = Arc::clone(&host);
            async move {
                let found: Addresses = tokio::net::lookup_host((&*host, 0)).await?.collect();
                if found.is_empty() {
                    return Err(Arc::new(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
                }
                Ok(found)
            }
            .boxed()
        })
    }

    pub(super) fn by(look_up: impl Fn() -> LookUp + Send + Sync + 'static) -> Self {
        Self { look_up: Box::new(look_up), running: Mutex::default() }
    }

    pub(super) async fn addresses(&self) -> io::Result<Addresses> {
        let answer = self.running();
        answer.await.map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }

    /// The look-up that is under way, or a new one.
    fn running(&self) -> Shared<LookUp> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let young = running.as_ref().filter(|(began, _)| began.elapsed() < JOINED_FOR);
        young.and_then(|(_, last)| last.upgrade()).unwrap_or_else(|| {
            let new = (self.look_up)().shared();
            *running = new.downgrade().map(|new| (Instant::now(), new));
            new
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, Ipv6Addr},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::{join_all, ready};
    use tokio::sync::Semaphore;

    use super::*;

    /// Answers once there is a permit; counts how often it is asked.
    fn gated(answer: impl Fn() -> Result<Addresses, Arc<io::Error>> + Send + Sync + 'static) -> Gated {
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (count, permits, answer) = (Arc::clone(&asked), Arc::clone(&gate), Arc::new(answer));
        let names = Names::by(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let (permits, answer) = (Arc::clone(&permits), Arc::clone(&answer));
            async move {
                permits.acquire().await.unwrap().forget();
                answer()
            }
            .boxed()
        });
        Gated { names, asked, gate }
    }

    struct Gated {
        names: Names,
        asked: Arc<AtomicUsize>,
        gate: Arc<Semaphore>,
    }

    fn home() -> Addresses {
        Arc::new([SocketAddr::from((Ipv4Addr::LOCALHOST, 0))])
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_who_waits_shares_one_look_up_and_the_next_begins_another() {
        let Gated { names, asked, gate } = gated(|| Ok(home()));
        for round in 1..=2 {
            let waiting = join_all((0..20).map(|_| names.addresses()));
            let (answers, ()) = tokio::join!(waiting, async { gate.add_permits(1) });
            assert!(answers.into_iter().all(|answer| answer.unwrap() == home()));
            assert_eq!((asked.load(Ordering::Relaxed), gate.available_permits()), (round, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_everybodys() {
        let Gated { names, asked, gate } = gated(|| Err(Arc::new(io::Error::other("no such name"))));
        let waiting = join_all((0..3).map(|_| names.addresses()));
        let (answers, ()) = tokio::join!(waiting, async { gate.add_permits(1) });
        for answer in answers {
            assert_eq!(answer.unwrap_err().to_string(), "no such name");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_all_have_given_up_is_begun_anew() {
        let Gated { names, asked, gate } = gated(|| Ok(home()));
        assert!(names.addresses().now_or_never().is_none());
        gate.add_permits(1);
        assert_eq!(names.addresses().await.unwrap(), home());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_got_lost_holds_up_only_those_who_asked_with_it() {
        let Gated { names, asked, gate } = gated(|| Ok(home()));
        let mut first = std::pin::pin!(names.addresses());
        assert!(first.as_mut().now_or_never().is_none());
        tokio::time::advance(JOINED_FOR).await;
        let mut second = std::pin::pin!(names.addresses());
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        gate.add_permits(2);
        assert_eq!(second.await.unwrap(), home());
        assert_eq!(first.await.unwrap(), home());
    }

    #[tokio::test]
    async fn an_address_is_its_own_answer() {
        for (host, address) in
            [("127.0.0.1", Ipv4Addr::LOCALHOST.into()), ("[::1]", std::net::IpAddr::V6(Ipv6Addr::LOCALHOST))]
        {
            let found = Names::of(host).addresses().now_or_never().unwrap().unwrap();
            assert_eq!(*found, [SocketAddr::new(address, 0)]);
        }
        let nobody = Names::by(|| ready(Err(Arc::new(io::ErrorKind::NotFound.into()))).boxed());
        assert_eq!(nobody.addresses().await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
