//! Webhooks that go wrong on purpose.

use serde_json::{Value, json};

use super::world::{Call, World};
use crate::support::{
    patience::soon,
    upstream::{Act, Recorder},
};

async fn world(receiver: &Recorder) -> World {
    World::with(|options| {
        options.tls = false;
        options.webhooks.url = Some(format!("{}/hook", receiver.origin()).parse().unwrap());
    })
    .await
}

impl World {
    async fn switch_on(&self, fault: &Value) {
        self.send(&Call::unsigned("POST", "/simulator/faults", &fault.to_string())).await.data();
    }

    /// The outcomes and faults of deliveries, the oldest first, once none waits.
    async fn outcomes(&self) -> Vec<(String, Value, usize)> {
        soon(async {
            loop {
                let data = self.send(&Call::unsigned("GET", "/simulator/webhooks", "")).await.data();
                let all = data["webhooks"].as_array().unwrap();
                if all.iter().all(|one| one["outcome"] != "waiting") {
                    let row = |one: &Value| {
                        let attempts = one["attempts"].as_array().unwrap().len();
                        (one["outcome"].as_str().unwrap().to_owned(), one["fault"].clone(), attempts)
                    };
                    return all.iter().rev().map(row).collect();
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

#[tokio::test]
async fn a_duplicate_is_the_same_request_once_more() {
    let receiver = Recorder::start().await;
    let world = world(&receiver).await;
    world.switch_on(&json!({ "fault": "webhook=duplicate", "action": "order.paid", "calls": 1 })).await;
    let order = world.order("INV-1", "1").await;
    let top = world.send(&Call::unsigned("GET", "/console/webhooks", "")).await.body;
    assert!(top.contains("Switched on: webhook=duplicate for the next webhook of order.paid"), "{top}");
    world.pay(&order, &json!({})).await.data();
    assert_eq!(receiver.next().await.value("x-action"), Some("order.created"));
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert_eq!((first.start_line(), &first.body), (second.start_line(), &second.body));
    for name in ["credential", "nonce", "signature", "x-action"] {
        assert_eq!(first.value(name), second.value(name), "{name}");
    }
    let duplicate = ("acknowledged".to_owned(), "webhook=duplicate".into(), 2);
    assert_eq!(world.outcomes().await, [("acknowledged".to_owned(), Value::Null, 1), duplicate]);
    let shown = world.send(&Call::unsigned("GET", "/console/webhooks", "")).await.body;
    assert!(shown.contains("webhook=duplicate") && !shown.contains("Switched on"), "the switch is used up");
    assert_eq!(receiver.waiting(), 0);
}

#[tokio::test]
async fn a_webhook_that_is_reordered_comes_after_the_next_one_of_its_order() {
    let receiver = Recorder::start().await;
    let world = world(&receiver).await;
    world.switch_on(&json!({ "fault": "webhook=reorder", "action": "order.created", "calls": 1 })).await;
    let order = world.order("INV-1", "1").await;
    // Another order does not overtake it, and is not held.
    let other = world.order("INV-2", "1").await;
    assert_eq!(serde_json::from_slice::<Value>(&receiver.next().await.body).unwrap()["number"], other["number"]);
    world.pay(&order, &json!({})).await.data();
    assert_eq!(receiver.next().await.value("x-action"), Some("order.paid"));
    let held = receiver.next().await;
    assert_eq!(held.value("x-action"), Some("order.created"));
    assert_eq!(serde_json::from_slice::<Value>(&held.body).unwrap()["state"], "invoiced", "as the order was then");
}

#[tokio::test]
async fn a_webhook_that_is_held_is_sent_though_no_other_comes() {
    let receiver = Recorder::start().await;
    let world = World::with(|options| {
        options.tls = false;
        options.webhooks.url = Some(receiver.origin().parse().unwrap());
        options.webhooks.time_scale = "1000".parse().unwrap();
    })
    .await;
    world.switch_on(&json!({ "fault": "webhook=reorder" })).await;
    world.order("INV-1", "1").await;
    assert_eq!(receiver.next().await.value("x-action"), Some("order.created"));
}

#[tokio::test]
async fn a_lost_webhook_is_never_sent_and_its_change_holds() {
    let receiver = Recorder::start().await;
    let world = world(&receiver).await;
    let order = world.order("INV-1", "1").await;
    let pay = Call::unsigned("POST", &format!("/simulator/orders/{}/pay", order["number"].as_str().unwrap()), "");
    world.send(&pay.header("X-Simulator-Fault", "webhook=lose")).await.data();
    assert_eq!(world.check_order(&order).await["correspondence_state"], "paid");
    world.refund(&order, "1.00").await.data();
    assert_eq!(receiver.next().await.value("x-action"), Some("order.created"));
    assert_eq!(receiver.next().await.value("x-action"), Some("order.refunded"));
    let outcomes = world.outcomes().await;
    assert_eq!(outcomes[1], ("lost".to_owned(), "webhook=lose".into(), 0));
    assert_eq!((outcomes.len(), receiver.waiting()), (3, 0));
}

#[tokio::test]
async fn a_fault_of_webhooks_leaves_calls_alone_and_one_of_calls_leaves_webhooks_alone() {
    let receiver = Recorder::acting(|_| Act::ok()).await;
    let world = world(&receiver).await;
    world.switch_on(&json!({ "fault": "webhook=lose", "app_id": "0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10" })).await;
    world.switch_on(&json!({ "fault": "status=500", "operation": "echo" })).await;
    world.order("INV-1", "1").await;
    assert_eq!(receiver.next().await.value("x-action"), Some("order.created"));
    world.switch_on(&json!({ "fault": "webhook=lose" })).await;
    world.order("INV-2", "1").await;
    let outcomes: Vec<String> = world.outcomes().await.into_iter().map(|(outcome, ..)| outcome).collect();
    assert_eq!(outcomes, ["acknowledged", "lost"]);
}
