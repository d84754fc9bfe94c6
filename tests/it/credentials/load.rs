use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::{FAILED, RELOADED, signed_by};
use crate::{
    endurance::setting,
    support::{
        caller::{Caller, Outcome},
        sidecar::{Sidecar, until},
        upstream::Recorder,
        volume::{UNITS, Volume},
        wire::request,
    },
};

/// `CREDENTIAL_SECONDS=60 CREDENTIAL_RATE=500` sets a minute at 500 requests a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_units_are_swapped_one_of_them_bad() {
    const CALLERS: u64 = 20;
    let (seconds, rate) = (setting("CREDENTIAL_SECONDS", 9), setting("CREDENTIAL_RATE", 100));
    let (upstream, volume) = (Recorder::start().await, Volume::of(&UNITS[0]));
    // A busy machine may keep a request waiting, which is no matter of the swap.
    let toml = format!("[timeouts]\nsign = \"20s\"\nqueue = \"20s\"\n[credentials.default]\n{}", volume.toml());
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    let (sent, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let caller = async || {
        let mut caller = Caller::connect(sidecar.listen).await;
        let mut ticks =
            interval(Duration::from_secs(1) * u32::try_from(CALLERS).unwrap() / u32::try_from(rate).unwrap());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while !over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let outcome = caller.ask(&request("POST", "/svc/a", &[], b"{}")).await;
            assert!(matches!(outcome, Outcome::Forwarded { status: 200, whole: true, .. }), "{outcome:?}");
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let swaps = async {
        let start = tokio::time::Instant::now();
        let at = |part: u64| start + Duration::from_secs(seconds) * u32::try_from(part).unwrap() / 4;
        sleep_until(at(1)).await;
        volume.swap_to(&UNITS[1]);
        until(sidecar.admin, RELOADED, 1.0).await;
        sleep_until(at(2)).await;
        // A bad unit: its AppID has been replaced, its key has not.
        volume.swap(&UNITS[2].app_id, &UNITS[2].pem[..900]);
        until(sidecar.admin, FAILED, 1.0).await;
        sleep_until(at(3)).await;
        volume.swap_to(&UNITS[2]);
        until(sidecar.admin, RELOADED, 2.0).await;
        sleep_until(at(4)).await;
        // The last unit signs more requests than there can be in flight.
        let last = sent.load(Ordering::Relaxed) + 2 * CALLERS;
        while sent.load(Ordering::Relaxed) < last {
            tokio::task::yield_now().await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(async { futures_util::future::join_all((0..CALLERS).map(|_| caller())).await }, swaps);
    let mut of = BTreeMap::new();
    for _ in 0..sent.load(Ordering::Relaxed) {
        *of.entry(signed_by(&upstream.next().await).app_id.as_str()).or_insert(0) += 1;
    }
    assert_eq!(upstream.waiting(), 0);
    assert_eq!(of.len(), 3, "each unit had its time: {of:?}");
    println!("{} requests, none failed; signed by: {of:?}", sent.load(Ordering::Relaxed));
}
