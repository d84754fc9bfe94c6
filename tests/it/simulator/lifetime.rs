//! Orders over time: due dates, repeated reference numbers, eviction.

use serde_json::{Value, json};

use super::world::{NOW, World};

#[tokio::test]
async fn an_unpaid_order_is_void_when_its_due_date_is_over() {
    let world = World::plain().await;
    let order = async |reference: &str, due_date: &str| {
        let order = json!({ "reference_number": reference, "charge_fee": "10", "due_date": due_date });
        world.post("orders", &json!({ "order": order })).await.data()["order"].clone()
    };
    // NOW is 09:30:05 on 14 February, so its day ends 52,195 seconds later.
    let [due, paid, part] =
        [order("due", "2026-02-14").await, order("paid", "2026-02-14").await, order("part", "2026-02-14").await];
    let later = order("later", "2026-02-15").await;
    assert_eq!(due["due_date"], "2026-02-14");
    world.pay(&paid, &json!({})).await.data();
    world.pay(&part, &json!({ "amount": "1" })).await.data();
    world.set_clock(NOW + 52_194);
    assert_eq!(state(&world, &due).await, "invoiced");
    world.set_clock(NOW + 52_195);
    assert_eq!(world.pay(&due, &json!({})).await.status, 409);
    assert_eq!(state(&world, &due).await, "voided");
    assert_eq!(state(&world, &later).await, "invoiced");
    assert_eq!(state(&world, &paid).await, "completed");
    assert_eq!(state(&world, &part).await, "in_completed");
    let old = order("old", "2026-01-01").await;
    assert_eq!(state(&world, &old).await, "voided");
}

async fn state(world: &World, order: &Value) -> String {
    world.check_order(order).await["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_repeated_reference_number_makes_another_order_and_finds_the_newest() {
    let world = World::plain().await;
    let [first, second] = [world.order("r", "1").await, world.order("r", "2").await];
    assert_ne!(first["number"], second["number"]);
    let found = world.post("orders/check", &json!({ "order": { "reference_number": "r" } })).await.data();
    assert_eq!(found["order"], second);
    assert_eq!(world.check_order(&first).await, first);
}

#[tokio::test]
async fn the_oldest_finished_order_is_evicted_and_unfinished_ones_stay() {
    let world = World::with(|options| {
        options.tls = false;
        options.capacity = 3;
    })
    .await;
    let [open, first, second] =
        [world.order("open", "1").await, world.order("first", "1").await, world.order("second", "1").await];
    let create = json!({ "order": { "reference_number": "more", "charge_fee": "1" } });
    let message = world.post("orders", &create).await.refused(507, "E000044");
    assert!(message.contains("raise --capacity"), "{message}");
    world.pay(&second, &json!({})).await.data();
    world.pay(&first, &json!({})).await.data();
    world.post("orders", &create).await.data();
    let check = async |order: &Value| {
        world.post("orders/check", &json!({ "order": { "number": order["number"] } })).await.status
    };
    assert_eq!(
        (check(&first).await, check(&second).await, check(&open).await),
        (404, 200, 200),
        "the oldest, not the first to finish"
    );
    let by_reference = json!({ "order": { "reference_number": "first" } });
    world.post("orders/check", &by_reference).await.refused(404, "E000035");
    world.post("orders", &create).await.data();
    assert_eq!((check(&second).await, check(&open).await), (404, 200));
    world.post("orders", &create).await.refused(507, "E000044");
    // A refund reopens an order, so the order is unfinished again.
    world.pay(&open, &json!({})).await.data();
    world.refund(&open, "0.50").await.data();
    world.post("orders", &create).await.refused(507, "E000044");
}
