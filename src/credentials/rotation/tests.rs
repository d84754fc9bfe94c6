//! Proofs in paused time: when they are due, how many there are, and what follows from each. The wall clock has no part in it.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::FutureExt as _;
use tokio::{task::yield_now, time::advance};

use super::{
    super::{
        UnitName,
        tests::{number, numbered as entry},
    },
    *,
};

/// How Wonder answers the echo of a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wonder {
    Accepts,
    Rejects,
    IsAway,
}

/// A running rotation from unit 0 to unit 1 before a Wonder whose answers a test sets.
struct World {
    store: Arc<Store>,
    answers: Arc<Mutex<[Wonder; 3]>>,
    proofs: Arc<[AtomicUsize; 3]>,
    at_once: Arc<(AtomicUsize, AtomicUsize)>,
    changed: Arc<Notify>,
    rejections: Arc<Notify>,
    requests: mpsc::Sender<Request>,
}

impl World {
    fn new(rotate: Rotate, answers: [Wonder; 2]) -> Self {
        let store = Arc::new(Store::new([&"default".to_owned()], Metrics::new(&[])));
        store.put(entry(UnitName::Main, 0));
        store.put(entry(UnitName::Next, 1));
        let answers = Arc::new(Mutex::new([answers[0], answers[1], Wonder::Rejects]));
        let proofs: Arc<[AtomicUsize; 3]> = Arc::default();
        let at_once: Arc<(AtomicUsize, AtomicUsize)> = Arc::default();
        let (of, counted, running) = (Arc::clone(&answers), Arc::clone(&proofs), Arc::clone(&at_once));
        let prove: Prove = Arc::new(move |entry: Arc<Entry>| {
            let (of, counted, running) = (Arc::clone(&of), Arc::clone(&counted), Arc::clone(&running));
            async move {
                let number = number(&entry);
                counted[number].fetch_add(1, Ordering::SeqCst);
                running.1.fetch_max(running.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_millis(100)).await;
                running.0.fetch_sub(1, Ordering::SeqCst);
                match of.lock().unwrap()[number] {
                    Wonder::Accepts => Proof::Accepted("accepted".to_owned()),
                    Wonder::Rejects => Proof::Rejected("rejected".to_owned()),
                    Wonder::IsAway => Proof::Unknown("away".to_owned()),
                }
            }
            .boxed()
        });
        let (changed, rejections): (Arc<Notify>, Arc<Notify>) = Default::default();
        let rotation = Rotation {
            name: "default".to_owned(),
            rotate,
            keep_old: Duration::from_mins(10),
            store: Arc::clone(&store),
            prove,
            metrics: Metrics::new(&[]),
            changed: Arc::clone(&changed),
            rejections: Arc::clone(&rejections),
        };
        let (requests, asked) = mpsc::channel(1);
        tokio::spawn(rotation.run(asked));
        Self { store, answers, proofs, at_once, changed, rejections, requests }
    }

    fn answers(&self, answers: [Wonder; 2]) {
        self.answers.lock().unwrap()[..2].copy_from_slice(&answers);
    }

    fn signs(&self) -> usize {
        number(&self.store.get("default").unwrap())
    }

    fn has_old(&self) -> bool {
        self.store.units("default").old().is_some()
    }

    /// The proofs of units 0 and 1 until now.
    fn proofs(&self) -> [usize; 2] {
        [0, 1].map(|unit| self.proofs[unit].load(Ordering::SeqCst))
    }
}

/// Lets this much time pass in small steps, so that every timer fires at its own time.
async fn pass(duration: Duration) {
    const STEP: Duration = Duration::from_millis(50);
    let end = Instant::now() + duration;
    while Instant::now() < end {
        advance(STEP).await;
        for _ in 0..8 {
            yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_next_unit_is_proved_again_ever_more_seldom_and_the_old_one_is_kept_for_keep_old() {
    let world = World::new(Rotate::WhenProven, [Wonder::Accepts, Wonder::Rejects]);
    pass(Duration::from_mins(10)).await;
    // After 1, 2, 4, 8, 16, 32 seconds and then every minute.
    let proofs = world.proofs();
    assert!((14..=17).contains(&proofs[1]) && proofs[0] == 0, "{proofs:?}");
    assert_eq!((world.signs(), world.has_old()), (0, false));
    world.answers([Wonder::Accepts; 2]);
    pass(Duration::from_secs(61)).await;
    assert_eq!((world.signs(), world.has_old()), (1, true));
    pass(Duration::from_mins(8)).await;
    assert!(world.has_old());
    pass(Duration::from_mins(2)).await;
    assert_eq!((world.signs(), world.has_old()), (1, false));
}

#[tokio::test(start_paused = true)]
async fn files_that_are_read_all_the_time_cause_one_proof_a_second_and_prevent_no_switch() {
    let world = World::new(Rotate::WhenProven, [Wonder::Accepts, Wonder::Rejects]);
    let storm = async |seconds: u64| {
        for _ in 0..seconds * 20 {
            world.store.put(entry(UnitName::Main, 0));
            world.store.put(entry(UnitName::Next, 1));
            world.changed.notify_one();
            pass(Duration::from_millis(50)).await;
        }
    };
    storm(20).await;
    assert!((10..=21).contains(&world.proofs()[1]), "{:?}", world.proofs());
    world.answers([Wonder::Accepts; 2]);
    storm(3).await;
    assert_eq!(world.signs(), 1);
}

#[tokio::test(start_paused = true)]
async fn rejections_of_64_requests_have_both_units_proved_once_in_ten_seconds() {
    for (answers, signs) in [
        ([Wonder::Accepts, Wonder::Accepts], 1),
        ([Wonder::Rejects, Wonder::Rejects], 1),
        ([Wonder::Rejects, Wonder::Accepts], 1),
        ([Wonder::Accepts, Wonder::Rejects], 0),
        ([Wonder::IsAway, Wonder::Rejects], 1),
        ([Wonder::Accepts, Wonder::IsAway], 1),
    ] {
        let world = World::new(Rotate::WhenProven, [Wonder::Accepts; 2]);
        pass(Duration::from_secs(2)).await;
        assert_eq!((world.signs(), world.proofs()), (1, [0, 1]));
        world.answers(answers);
        for _ in 0..64 {
            world.rejections.notify_one();
            yield_now().await;
        }
        pass(Duration::from_secs(5)).await;
        assert_eq!(world.proofs(), [1, 2]);
        assert_eq!(world.signs(), signs, "{:?}", answers.map(|answer| answer as u8));
        assert!(world.at_once.1.load(Ordering::SeqCst) <= 2, "one proof of each unit at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_rejections_causes_few_proofs_and_ends_with_the_unit_that_works() {
    let world = World::new(Rotate::WhenProven, [Wonder::Accepts; 2]);
    pass(Duration::from_secs(2)).await;
    world.answers([Wonder::IsAway; 2]);
    for _ in 0..600 {
        world.rejections.notify_one();
        pass(Duration::from_millis(100)).await;
    }
    let proofs = world.proofs();
    assert!((5..=8).contains(&proofs[0]) && world.signs() == 1, "a minute: {proofs:?}");
    // What Wonder did not judge is proved again without another rejection.
    world.answers([Wonder::Accepts, Wonder::Rejects]);
    pass(Duration::from_secs(11)).await;
    assert_eq!(world.signs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_switch_by_hand_is_undone_by_no_rejection() {
    let world = World::new(Rotate::Manual, [Wonder::Accepts; 2]);
    pass(Duration::from_secs(5)).await;
    assert_eq!((world.signs(), world.proofs()), (0, [0, 0]));
    let (ask, answer) = oneshot::channel();
    world.requests.send(ask).await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert!(answer.await.unwrap().is_ok());
    assert_eq!(world.signs(), 1);
    world.answers([Wonder::Accepts, Wonder::Rejects]);
    world.rejections.notify_one();
    pass(Duration::from_secs(11)).await;
    assert_eq!((world.signs(), world.proofs()), (1, [1, 2]));
}
