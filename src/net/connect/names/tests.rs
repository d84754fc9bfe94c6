//! The look-up of a name, with a resolver whose answers the test controls.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::{join_all, pending, ready};
use tokio::sync::Semaphore;

use super::*;

/// Answers once there is a permit; counts the look-ups.
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
    let unknown = Names::by(|| ready(Err(Arc::new(io::ErrorKind::NotFound.into()))).boxed());
    assert_eq!(unknown.addresses().await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

fn other() -> Addresses {
    Arc::new([SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0))])
}

/// Names whose first look-up gives [`home`], and whose later ones give `then`.
fn home_and_then(then: impl Fn() -> LookUp + Send + Sync + 'static) -> Names {
    let asked = AtomicUsize::new(0);
    Names::by(move || if asked.fetch_add(1, Ordering::Relaxed) == 0 { ready(Ok(home())).boxed() } else { then() })
}

#[tokio::test(start_paused = true)]
async fn the_last_known_addresses_serve_while_the_resolver_does_not_answer() {
    let silent = home_and_then(|| pending().boxed());
    let failing = home_and_then(|| ready(Err(Arc::new(io::Error::from(io::ErrorKind::TimedOut)))).boxed());
    for (names, waits) in [(silent, PATIENCE), (failing, Duration::ZERO)] {
        assert_eq!(names.addresses().await.unwrap(), home());
        tokio::time::advance(JOINED_FOR).await;
        let began = Instant::now();
        assert_eq!(names.addresses().await.unwrap(), home());
        assert_eq!(began.elapsed(), waits);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_is_used_by_the_next() {
    let names = home_and_then(|| tokio::time::sleep(3 * PATIENCE).map(|()| Ok(other())).boxed());
    assert_eq!(names.addresses().await.unwrap(), home());
    tokio::time::advance(JOINED_FOR).await;
    assert_eq!(names.addresses().await.unwrap(), home());
    tokio::time::sleep(3 * PATIENCE).await;
    assert_eq!(names.addresses().await.unwrap(), other());
}

#[tokio::test(start_paused = true)]
async fn the_last_known_addresses_serve_neither_for_ever_nor_for_a_name_that_is_gone() {
    let gone = home_and_then(|| ready(Err(Arc::new(io::Error::from(io::ErrorKind::NotFound)))).boxed());
    assert_eq!(gone.addresses().await.unwrap(), home());
    tokio::time::advance(JOINED_FOR).await;
    assert_eq!(gone.addresses().await.unwrap_err().kind(), io::ErrorKind::NotFound);

    let silent = home_and_then(|| pending().boxed());
    assert_eq!(silent.addresses().await.unwrap(), home());
    tokio::time::advance(REMEMBERED_FOR).await;
    assert!(timeout(10 * PATIENCE, silent.addresses()).await.is_err());
}
