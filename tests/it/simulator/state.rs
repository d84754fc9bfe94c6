//! The state file: what survives a restart, a reset, and a smaller capacity.

mod damage;
mod process;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use tempfile::TempDir;
use wonder_signer::simulator::{StateFile, webhooks::Settings};

use super::world::{CARD, Call, NOW, P, World};
use crate::support::{
    closed::Closed,
    patience::soon,
    upstream::{Act, Recorder},
};

/// A directory for a state file.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("state.redb")
    }

    /// A simulator with this state, which sends webhooks to `url`.
    async fn world(&self, url: Option<&str>) -> World {
        World::with(|options| {
            options.tls = false;
            options.state = Some(Arc::new(StateFile::open(&self.file()).unwrap()));
            options.webhooks = Settings {
                url: url.map(|url| url.parse().unwrap()),
                time_scale: "10000".parse().unwrap(),
                ..Settings::default()
            };
        })
        .await
    }
}

impl World {
    async fn deliveries(&self) -> Value {
        self.send(&Call::unsigned("GET", "/simulator/webhooks", "")).await.data()["webhooks"].clone()
    }

    async fn all_orders(&self) -> Value {
        self.call("GET", &format!("{P}/orders/list?limit=100"), "").await.data()["orders"].clone()
    }
}

#[tokio::test]
async fn a_restart_keeps_customers_tokens_orders_transactions_and_deliveries() {
    let (place, receiver) = (Place::new(), Recorder::start().await);
    let world = place.world(Some(&receiver.origin())).await;
    let customer = world.customer("KTR-0042").await;
    let (approved, declined) = (world.card(&customer).await, world.card(&customer).await);
    world.press(&approved, "approve").await;
    world.press(&declined, "decline").await;
    let paid = world.order("INV-1", "120.00").await;
    world.pay(&paid, &json!({ "method": "alipay" })).await.data();
    world.refund(&paid, "20.00").await.data();
    let open = world.order("INV-2", "19.90").await;
    for _ in 0..4 {
        receiver.next().await;
    }
    soon(async {
        while world.deliveries().await.as_array().unwrap().iter().any(|one| one["outcome"] != "acknowledged") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let target = format!("{P}/customers/{customer}");
    let before = [world.call("GET", &target, "").await.data(), world.deliveries().await];
    let orders = [world.check_order(&paid).await, world.check_order(&open).await];
    let states = [world.check(&customer, &approved).await, world.check(&customer, &declined).await];
    world.stop().await;

    let world = place.world(Some(&receiver.origin())).await;
    assert_eq!([world.call("GET", &target, "").await.data(), world.deliveries().await], before);
    assert_eq!([world.check_order(&paid).await, world.check_order(&open).await], orders);
    assert_eq!([world.check(&customer, &approved).await, world.check(&customer, &declined).await], states);
    assert_eq!(
        world.call("GET", &format!("{P}/customers/ref/KTR-0042"), "").await.data()["customer"]["uuid"],
        customer
    );
    // Numbers go on.
    let next: u64 = world.order("INV-3", "1").await["number"].as_str().unwrap().parse().unwrap();
    assert_eq!(next, open["number"].as_str().unwrap().parse::<u64>().unwrap() + 1);
    // What is gone stays gone.
    world.call("DELETE", &target, "").await.data();
    world.stop().await;
    let world = place.world(None).await;
    assert_eq!(world.call("GET", &target, "").await.status, 404);
    assert_eq!(world.call("POST", &format!("{target}/payment_tokens"), CARD).await.status, 404);
}

#[tokio::test]
async fn a_retry_that_waits_goes_on_after_a_restart_with_the_headers_of_the_first_attempt() {
    let place = Place::new();
    let fails = Arc::new(AtomicBool::new(true));
    let judged = Arc::clone(&fails);
    let receiver = Recorder::acting(move |_| {
        if judged.load(Ordering::SeqCst) {
            Act::Answer(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n".to_vec())
        } else {
            Act::ok()
        }
    })
    .await;
    let url = format!("{}/hook?a=1", receiver.origin());
    let world = place.world(Some(&url)).await;
    world.set_clock(NOW);
    world.order("INV-1", "1").await;
    let first = receiver.next().await;
    receiver.next().await;
    world.stop().await;
    fails.store(false, Ordering::SeqCst);
    // Attempts of the first simulator.
    while receiver.waiting() > 0 {
        receiver.next().await;
    }

    // The clock went backwards: the wait is no longer than the schedule's.
    let world = World::with(|options| {
        options.tls = false;
        options.clock = Arc::new(|| wonder_signer::signing::RequestTime::from_unix_seconds(NOW - 86_400));
        options.state = Some(Arc::new(StateFile::open(&place.file()).unwrap()));
        options.webhooks =
            Settings { url: Some(url.parse().unwrap()), time_scale: "10000".parse().unwrap(), ..Settings::default() };
    })
    .await;
    let again = receiver.next().await;
    for name in ["credential", "nonce", "signature", "x-action"] {
        assert_eq!(again.value(name), first.value(name), "{name}");
    }
    assert_eq!((again.start_line(), &again.body), (first.start_line(), &first.body));
    soon(async {
        while world.deliveries().await[0]["outcome"] != "acknowledged" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The attempt that the end of the first simulator cut off has no result.
    assert!(world.deliveries().await[0]["attempts"].as_array().unwrap().len() >= 2);
}

#[tokio::test]
async fn a_reset_empties_the_file_too() {
    let place = Place::new();
    let world = place.world(Some(&Closed::port().origin())).await;
    world.customer("KTR-0042").await;
    let order = world.order("INV-1", "1").await;
    for _ in 0..2 {
        world.send(&Call::unsigned("POST", "/simulator/reset", "")).await.data();
        assert_eq!([world.all_orders().await, world.deliveries().await], [json!([]), json!([])]);
    }
    world.stop().await;
    let world = place.world(None).await;
    assert_eq!([world.all_orders().await, world.deliveries().await], [json!([]), json!([])]);
    assert_eq!(world.call("GET", &format!("{P}/customers/ref/KTR-0042"), "").await.status, 404);
    assert_ne!(world.order("INV-1", "1").await["number"], order["number"]);
}

#[tokio::test]
async fn a_smaller_capacity_evicts_the_oldest_finished_orders_of_the_file() {
    let place = Place::new();
    let world = place.world(None).await;
    for at in 0..4 {
        let order = world.order(&format!("INV-{at}"), "1").await;
        if at < 3 {
            world.pay(&order, &json!({})).await.data();
        }
    }
    world.stop().await;
    let world = World::with(|options| {
        options.tls = false;
        options.capacity = 2;
        options.state = Some(Arc::new(StateFile::open(&place.file()).unwrap()));
    })
    .await;
    let references = |orders: Value| -> Vec<String> {
        orders.as_array().unwrap().iter().map(|one| one["order"]["reference_number"].as_str().unwrap().into()).collect()
    };
    assert_eq!(references(world.all_orders().await), ["INV-2", "INV-3"]);
    world.stop().await;
    assert_eq!(references(place.world(None).await.all_orders().await), ["INV-2", "INV-3"]);
}
