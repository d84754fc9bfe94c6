//! Bad input on orders: each is rejected with the field and the rule, and changes nothing.

use serde_json::{Value, json};

use super::world::{Call, NOW, P, Reply, World, new_key};

/// A valid order, except for one member.
fn order(name: &str, value: Value) -> Value {
    let mut order = json!({ "reference_number": "r", "charge_fee": "120.00", "currency": "HKD" });
    order[name] = value;
    order
}

async fn count(world: &World) -> String {
    world.call("GET", &format!("{P}/orders/list"), "").await.get("x-total-entries").unwrap().to_owned()
}

/// Rows: member of `order`, its value, code, message.
fn wrong_members() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let amount = "order.charge_fee must be from 0 to 999999999.99 and have at most 2 decimals, as in \"120.00\".";
    let item = |name: &str, value: Value| {
        let mut item = json!({ "label": "a", "price": "1.00", "quantity": "1", "total": "1.00" });
        item[name] = value;
        json!([item])
    };
    vec![
        ("reference_number", Value::Null, "E000021", "order.reference_number is required."),
        ("reference_number", json!(""), "E000021", "order.reference_number is required."),
        ("reference_number", json!(7), "E000022", "order.reference_number must be a string."),
        ("reference_number", json!("x".repeat(256)), "E000023", "order.reference_number has more than 255 characters."),
        ("charge_fee", Value::Null, "E000021", "order.charge_fee is required."),
        ("charge_fee", json!(""), "E000021", "order.charge_fee is required."),
        ("charge_fee", json!(true), "E000022", "order.charge_fee must be a decimal number or a string with one."),
        ("charge_fee", json!({}), "E000022", "order.charge_fee must be a decimal number or a string with one."),
        ("charge_fee", json!("-1.00"), "E000024", amount),
        ("charge_fee", json!(-1), "E000024", amount),
        ("charge_fee", json!("1.005"), "E000024", amount),
        ("charge_fee", json!(1.005), "E000024", amount),
        ("charge_fee", json!("1,000.00"), "E000024", amount),
        ("charge_fee", json!(" 1"), "E000024", amount),
        ("charge_fee", json!("1e3"), "E000024", amount),
        ("charge_fee", json!("HKD 1"), "E000024", amount),
        ("charge_fee", json!("1000000000"), "E000024", amount),
        ("charge_fee", json!(1e300), "E000024", amount),
        ("charge_fee", json!(1e-7), "E000024", amount),
        (
            "charge_fee",
            json!("0.00"),
            "E000024",
            "order.charge_fee must be greater than 0, at most 999999999.99, and have at most 2 decimals, as in \"120.00\".",
        ),
        (
            "tips",
            json!("-1"),
            "E000024",
            "order.tips must be from 0 to 999999999.99 and have at most 2 decimals, as in \"120.00\".",
        ),
        ("currency", json!(1), "E000022", "order.currency must be a string."),
        ("note", json!(1), "E000022", "order.note must be a string."),
        ("note", json!("茶".repeat(256)), "E000023", "order.note has more than 255 characters."),
        ("due_date", json!("31/12/2026"), "E000024", "order.due_date must be a date such as 2026-12-31."),
        ("due_date", json!("2026-02-30"), "E000024", "order.due_date must be a date such as 2026-12-31."),
        ("due_date", json!(20_261_231), "E000022", "order.due_date must be a string."),
        ("callback_url", json!("/hook"), "E000024", "order.callback_url must be a complete http or https URL."),
        (
            "callback_url",
            json!("javascript:alert(1)"),
            "E000024",
            "order.callback_url must be a complete http or https URL.",
        ),
        ("redirect_url", json!("shop.example"), "E000024", "order.redirect_url must be a complete http or https URL."),
        ("redirect_url", json!(["https://shop.example"]), "E000022", "order.redirect_url must be a string."),
        ("customer", json!("A B"), "E000022", "order.customer must be an object."),
        ("is_only_pre_auth", json!("yes"), "E000022", "order.is_only_pre_auth must be true or false."),
        ("line_items", json!({ "a": 1 }), "E000022", "order.line_items must be an array."),
        ("line_items", json!(["a"]), "E000022", "order.line_items[0] must be an object."),
        ("line_items", json!([{ "label": "a" }]), "E000021", "order.line_items[0].price is required."),
        ("line_items", item("label", json!(1)), "E000022", "order.line_items[0].label must be a string."),
        (
            "line_items",
            item("total", json!("1.001")),
            "E000024",
            "order.line_items[0].total must be from -999999999.99 to 999999999.99 and have at most 2 decimals, as in \"-3.50\".",
        ),
        (
            "line_items",
            item("quantity", json!([])),
            "E000022",
            "order.line_items[0].quantity must be a decimal number or a string with one.",
        ),
        (
            "line_items",
            json!(vec![json!({ "price": "1" }); 501]),
            "E000024",
            "order.line_items must have at most 500 elements.",
        ),
    ]
}

#[tokio::test]
async fn a_wrong_field_of_a_new_order_is_named_with_its_rule_and_creates_nothing() {
    let world = World::plain().await;
    for (name, value, code, message) in wrong_members() {
        let body = json!({ "order": order(name, value.clone()) });
        assert_eq!(world.post("orders", &body).await.refused(400, code), message, "{name}: {value}");
    }
    for (body, code, message) in [
        ("", "E000020", "The body is not JSON."),
        ("{", "E000020", "The body is not JSON."),
        ("null", "E000022", "body must be an object."),
        ("[]", "E000022", "body must be an object."),
        ("{}", "E000021", "order is required."),
        (r#"{"order":"x"}"#, "E000022", "order must be an object."),
        (r#"{"order":[]}"#, "E000022", "order must be an object."),
        (r#"{"customer_uuid":7,"order":{}}"#, "E000022", "customer_uuid must be a string."),
        (r#"{"app_id":7,"order":{}}"#, "E000022", "app_id must be a string."),
    ] {
        let refused = world.call("POST", &format!("{P}/orders"), body).await.refused(400, code);
        assert_eq!(refused, message, "{body}");
    }
    for uuid in ["x", "00000000-0000-0000-0000-000000000000", "0c6f6a3e2d534f6b9f553a1d6a0c7a10"] {
        let body = json!({ "customer_uuid": uuid, "order": order("note", json!("n")) });
        let message = world.post("orders", &body).await.refused(400, "E000024");
        assert!(message.starts_with("customer_uuid must be a UUID"), "{message}");
    }
    let negative = json!([{ "label": "a", "price": "1.00" }, { "label": "b", "price": "-1.00" }]);
    let body = json!({ "order": { "reference_number": "r", "charge_fee": "0", "line_items": negative } });
    assert!(
        world.post("orders", &body).await.refused(400, "E000024").contains("order.charge_fee must be greater than 0")
    );
    let yen = json!({ "order": { "reference_number": "r", "charge_fee": "100.5", "currency": "JPY" } });
    assert!(world.post("orders", &yen).await.refused(400, "E000024").contains("at most 0 decimals"));
    assert_eq!(count(&world).await, "0");
}

/// Asserts that a well-formed call is denied: HTTP 200, an integer code, and a text that names the field.
#[track_caller]
fn denied(reply: &Reply, code: u32, says: &str) {
    let json = reply.json();
    assert_eq!((reply.status, &json["code"]), (200, &json!(code)), "{json}");
    assert_eq!(json["error_code"], format!("EO{code}"));
    assert!(json["message"].as_str().unwrap().contains(says), "{json}");
}

#[tokio::test]
async fn an_invalid_refund_is_rejected_and_changes_nothing() {
    let world = World::plain().await;
    let order = world.order("r", "120.00").await;
    let paid = world.pay(&order, &json!({})).await.data()["order"].clone();
    let uuid = paid["transactions"][0]["uuid"].clone();
    world.refund(&order, "20").await.data();
    let before = world.check_order(&order).await;
    let refund = |refund: Value| json!({ "order": { "reference_number": "r" }, "transaction": { "uuid": uuid }, "refund": refund });
    let amount =
        "refund.amount must be greater than 0, at most 999999999.99, and have at most 2 decimals, as in \"120.00\".";
    for (body, code, message) in [
        (refund(json!({})), "E000021", "refund.amount is required."),
        (refund(json!({ "amount": null })), "E000021", "refund.amount is required."),
        (refund(json!({ "amount": "0" })), "E000024", amount),
        (refund(json!({ "amount": "-1" })), "E000024", amount),
        (refund(json!({ "amount": -1 })), "E000024", amount),
        (refund(json!({ "amount": "1.001" })), "E000024", amount),
        (refund(json!({ "amount": "abc" })), "E000024", amount),
        (refund(json!({ "amount": true })), "E000022", "refund.amount must be a decimal number or a string with one."),
        (refund(json!("1")), "E000022", "refund must be an object."),
        (refund(json!({ "amount": "1", "note": 1 })), "E000022", "refund.note must be a string."),
        (
            refund(json!({ "amount": "1", "currency": "USD" })),
            "E000024",
            "refund.currency must be HKD, the currency of the order.",
        ),
        (
            json!({ "order": { "reference_number": "r" }, "refund": { "amount": "1" } }),
            "E000021",
            "transaction.uuid is required.",
        ),
        (json!({ "transaction": {}, "refund": { "amount": "1" } }), "E000021", "transaction.uuid is required."),
        (json!({ "transaction": "x", "refund": { "amount": "1" } }), "E000022", "transaction must be an object."),
        (
            json!({ "transaction": { "uuid": 1 }, "refund": { "amount": "1" } }),
            "E000022",
            "transaction.uuid must be a string.",
        ),
    ] {
        assert_eq!(world.post("orders/refund", &body).await.refused(400, code), message, "{body}");
    }
    let unknown =
        json!({ "transaction": { "uuid": "7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77" }, "refund": { "amount": "1" } });
    world.post("orders/refund", &unknown).await.refused(404, "E000036");
    denied(
        &world.post("orders/refund", &refund(json!({ "amount": "100.01" }))).await,
        100_907,
        "refund.amount must be at most 100.00",
    );
    let of_refund =
        json!({ "transaction": { "uuid": before["transactions"][1]["uuid"] }, "refund": { "amount": "1" } });
    denied(&world.post("orders/refund", &of_refund).await, 100_906, "transaction.uuid must be of a successful payment");
    let void = json!({ "transaction": { "uuid": uuid } });
    denied(&world.post("transactions/void", &void).await, 100_905, "this transaction is partly or wholly refunded");
    denied(&world.post("orders/void", &void).await, 100_905, "transaction.uuid");
    let order_void = json!({ "order": { "reference_number": "r" } });
    denied(&world.post("orders/void", &order_void).await, 100_901, "order.state must be invoiced");
    world.post("transactions/void", &order_void).await.refused(400, "E000021");
    assert_eq!(world.check_order(&order).await, before);
}

#[tokio::test]
async fn contradicting_or_missing_order_names_are_rejected() {
    let world = World::plain().await;
    let [one, two] = [world.order("r1", "1").await, world.order("r2", "2").await];
    let paid = world.pay(&one, &json!({})).await.data()["order"].clone();
    let uuid = paid["transactions"][0]["uuid"].clone();
    let check = async |body: Value| world.post("orders/check", &body).await;
    for (body, field) in [
        (json!({ "order": { "number": one["number"], "reference_number": "r2" } }), "order.reference_number"),
        (json!({ "order": { "number": two["number"] }, "transaction": { "uuid": uuid } }), "transaction.uuid"),
        (json!({ "order": { "reference_number": "r2" }, "transaction": { "uuid": uuid } }), "order.reference_number"),
    ] {
        let message = check(body.clone()).await.refused(400, "E000024");
        assert_eq!(message, format!("{field} belongs to another order than the other fields."), "{body}");
    }
    for (body, code) in [
        (json!({ "order": { "reference_number": "r3" } }), "E000035"),
        (json!({ "order": { "number": "1" } }), "E000035"),
        (json!({ "order": { "number": format!("0{}", one["number"].as_str().unwrap()) } }), "E000035"),
        (json!({ "order": { "number": one["number"], "reference_number": "r3" } }), "E000035"),
        (json!({ "transaction": { "uuid": "x" } }), "E000036"),
    ] {
        check(body.clone()).await.refused(404, code);
    }
    for body in [json!({}), json!({ "order": {} }), json!({ "order": { "number": "", "reference_number": null } })] {
        let message = check(body).await.refused(400, "E000021");
        assert_eq!(message, "order.reference_number, order.number or transaction.uuid is required.");
    }
    assert_eq!(
        check(json!({ "order": { "number": 7 } })).await.refused(400, "E000022"),
        "order.number must be a string."
    );
}

#[tokio::test]
async fn no_call_finds_an_order_of_another_app_id() {
    let (other_app, other_key) = ("1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e12", new_key());
    let world = World::with(|options| {
        options.tls = false;
        options.apps.push((other_app.parse().unwrap(), other_key.verifying_key().clone()));
    })
    .await;
    let order = world.order("r", "120.00").await;
    let paid = world.pay(&order, &json!({})).await.data()["order"].clone();
    let uuid = &paid["transactions"][0]["uuid"];
    let other = async |method: &str, path: &str, body: &Value| {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        world.send(&Call::signed_with(&other_key, other_app, NOW, method, &format!("{P}/{path}"), &body)).await
    };
    let [by_number, by_reference] = [json!({ "number": order["number"] }), json!({ "reference_number": "r" })];
    for path in ["orders/check", "orders/void"] {
        other("POST", path, &json!({ "order": by_number })).await.refused(404, "E000035");
        other("POST", path, &json!({ "order": by_reference })).await.refused(404, "E000035");
        other("POST", path, &json!({ "transaction": { "uuid": uuid } })).await.refused(404, "E000036");
    }
    let refund = json!({ "order": by_number, "transaction": { "uuid": uuid }, "refund": { "amount": "1" } });
    other("POST", "orders/refund", &refund).await.refused(404, "E000035");
    for path in ["transactions/void", "transactions/check"] {
        other("POST", path, &json!({ "transaction": { "uuid": uuid } })).await.refused(404, "E000036");
    }
    let open = json!({ "reference_number": "r", "payment": { "alipay": { "amount": "1", "merchant_presented_qr_code": { "payinfo": "x" } } } });
    other("POST", "open_payments", &open).await.refused(404, "E000035");
    let list = other("GET", "orders/list", &Value::Null).await;
    assert_eq!((list.get("x-total-entries"), list.data()), (Some("0"), json!({ "orders": [] })));
    assert_eq!(world.check_order(&order).await, paid);
}

#[tokio::test]
async fn an_invalid_payment_call_is_rejected_and_changes_nothing() {
    let world = World::plain().await;
    let order = world.order("r", "120.00").await;
    for (body, status, says) in [
        (json!({ "method": "cheque" }), 400, "method must be one of: credit_card, card, apple_pay"),
        (json!({ "method": 1 }), 400, "method must be a string."),
        (json!({ "outcome": "maybe" }), 400, "outcome must be one of: success, failure, pending."),
        (json!({ "amount": "0" }), 400, "amount must be greater than 0"),
        (json!({ "amount": -5 }), 400, "amount must be greater than 0"),
        (json!({ "amount": "1.001" }), 400, "at most 2 decimals"),
        (json!({ "amount": [] }), 400, "amount must be a decimal number or a string with one."),
        (json!({ "outcom": "declined" }), 400, "outcom is unknown; known are method, amount, outcome."),
        (json!({ "amount": "120.01" }), 409, "amount must be at most 120.00"),
        (json!([]), 400, "body must be an object."),
    ] {
        let reply = world.pay(&order, &body).await;
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(reply.status == status && message.contains(says), "{body}: {reply:?}");
    }
    for number in ["1", "x", "%FF", "-1"] {
        let target = format!("/simulator/orders/{number}/pay");
        assert_eq!(world.send(&Call::unsigned("POST", &target, "{}")).await.status, 404, "{number}");
    }
    let target = format!("/simulator/orders/{}/pay", order["number"].as_str().unwrap());
    assert_eq!(world.send(&Call::unsigned("POST", &target, "{")).await.status, 400);
    assert_eq!(world.send(&Call::unsigned("GET", &target, "")).await.status, 405);
    let foreign = Call::unsigned("POST", &target, "{}").header("Origin", "https://evil.example");
    assert_eq!(world.send(&foreign).await.status, 403, "a page of another origin");
    assert_eq!(world.check_order(&order).await, order);
    assert_eq!(world.send(&Call::unsigned("POST", &target, "")).await.status, 200, "no body: all that is unpaid");
    assert_eq!(world.pay(&order, &json!({})).await.status, 409);
}
