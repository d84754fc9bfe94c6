//! Orders: created, found, paid, voided and refunded.

use serde_json::{Value, json};

use super::world::{Call, P, Reply, World};

impl World {
    /// Calls an operation with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", &format!("{P}/{path}"), &body.to_string()).await
    }

    /// Creates an order over this total and returns the answered order.
    pub(crate) async fn order(&self, reference_number: &str, total: &str) -> Value {
        let order = json!({ "reference_number": reference_number, "charge_fee": total, "currency": "HKD" });
        self.post("orders", &json!({ "order": order })).await.data()["order"].clone()
    }

    /// Pays by the simulator's own call.
    pub(crate) async fn pay(&self, order: &Value, body: &Value) -> Reply {
        let target = format!("/simulator/orders/{}/pay", order["number"].as_str().unwrap());
        self.send(&Call::unsigned("POST", &target, &body.to_string())).await
    }

    /// The current order.
    pub(crate) async fn check_order(&self, order: &Value) -> Value {
        self.post("orders/check", &json!({ "order": { "number": order["number"] } })).await.data()["order"].clone()
    }

    /// Refunds a part of the first transaction of an order.
    pub(crate) async fn refund(&self, order: &Value, amount: &str) -> Reply {
        let order = self.check_order(order).await;
        let body = json!({
            "order": { "number": order["number"] },
            "transaction": { "uuid": order["transactions"][0]["uuid"] },
            "refund": { "amount": amount, "note": "changed mind" },
        });
        self.post("orders/refund", &body).await
    }
}

#[track_caller]
fn states(order: &Value) -> (&str, &str) {
    (order["state"].as_str().unwrap(), order["correspondence_state"].as_str().unwrap())
}

#[tokio::test]
async fn an_order_is_created_paid_and_refunded_in_parts() {
    let world = World::plain().await;
    let body = json!({ "order": { "reference_number": "INV-7781", "charge_fee": "120.00", "currency": "HKD" } });
    let data = world.post("orders?with_payment_link=true", &body).await.data();
    let order = data["order"].clone();
    assert_eq!(data["payment_link"], format!("{}/l/{}", world.origin, order["number"].as_str().unwrap()));
    assert_eq!(states(&order), ("invoiced", "unpaid"));
    assert_eq!((&order["initial_total"], &order["paid_total"]), (&json!(120), &json!("0.00")));

    let paid = world.pay(&order, &json!({})).await.data()["order"].clone();
    assert_eq!(states(&paid), ("completed", "paid"));
    assert_eq!((&paid["paid_total"], &paid["unpaid_total"]), (&json!("120.00"), &json!("0.00")));

    let refunded = world.refund(&order, "20.00").await.data()["order"].clone();
    assert_eq!(states(&refunded), ("in_completed", "partial_paid"));
    assert_eq!(refunded["transactions"][0]["refunded_amount"], 20);
    assert_eq!(refunded["transactions"][1]["type"], "Refund");
    let refunded = world.refund(&order, "100").await.data()["order"].clone();
    assert_eq!(states(&refunded), ("completed", "refunded"));
    assert_eq!(world.check_order(&order).await, refunded);
}

#[tokio::test]
async fn an_unpaid_order_is_voided_and_then_neither_paid_nor_voided_again() {
    let world = World::plain().await;
    let order = world.order("r", "19.90").await;
    let names = json!({ "order": { "reference_number": "r" } });
    let voided = world.post("orders/void", &names).await.data()["order"].clone();
    assert_eq!(states(&voided), ("voided", "unpaid"));
    let refused = world.post("orders/void", &names).await;
    assert_eq!((refused.status, &refused.json()["code"]), (200, &json!(100_901)));
    assert_eq!(world.pay(&order, &json!({})).await.status, 409);
    assert_eq!(world.check_order(&order).await, voided);
}
