//! The requests that public client code sends, and every field that it reads. Each row is named after its field.
//!
//! The first table is sent and must be accepted. The second has the JSON type of each field that a client reads, and its conditions. A
//! change that breaks a row breaks a shop.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::{APP_ID, Call, P, World};

/// The `order` object that creates an order, with a change to it. `null` removes a member.
fn order(change: &Value) -> Value {
    let mut order =
        json!({ "reference_number": "1001-1-1771061405", "charge_fee": "120.00", "currency": "HKD", "note": "n" });
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            order.as_object_mut().unwrap().remove(name);
        } else {
            order[name] = value.clone();
        }
    }
    order
}

/// Rows of the creation: field, members of `order`, expected total.
fn created() -> Vec<(&'static str, Value, Value)> {
    let items = json!([
        { "label": "Tea", "purchasable_type": "Listing", "purchase_id": "42", "price": "50.00", "quantity": "2", "total": "100.00" },
        { "label": "Shipping", "purchasable_type": "Listing", "purchase_id": "shipping", "price": "25.50", "quantity": "1", "total": "25.50" },
        { "label": "Adjustment", "purchasable_type": "Listing", "purchase_id": "adjustment", "price": "-5.50", "quantity": "1", "total": "-5.50" },
    ]);
    let charge =
        json!([{ "label": "Course", "purchasable_type": "Charge", "price": "88.50", "quantity": 1, "total": "88.50" }]);
    vec![
        ("order.reference_number: numbers with dashes", json!({ "reference_number": "1001-2-1771061405" }), json!(120)),
        (
            "order.reference_number: 24 hex digits",
            json!({ "reference_number": "65f1c0ffee65f1c0ffee65f1" }),
            json!(120),
        ),
        ("order.reference_number: a word with _ and hex", json!({ "reference_number": "course_9f8e7d6c" }), json!(120)),
        ("order.charge_fee: string", json!({ "charge_fee": "120.00" }), json!(120)),
        ("order.charge_fee: string with cents", json!({ "charge_fee": "19.90" }), json!(19.9)),
        ("order.charge_fee: JSON integer", json!({ "charge_fee": 100 }), json!(100)),
        ("order.charge_fee: JSON float", json!({ "charge_fee": 19.9 }), json!(19.9)),
        (
            "order.charge_fee: \"0.00\" with line items",
            json!({ "charge_fee": "0.00", "line_items": items }),
            json!(120),
        ),
        ("order.charge_fee: absent with line items", json!({ "charge_fee": null, "line_items": items }), json!(120)),
        ("order.currency: none", json!({ "currency": null }), json!(120)),
        ("order.currency: USD", json!({ "currency": "USD" }), json!(120)),
        ("order.note: non-ASCII and quotes", json!({ "note": "茶室 \"Kestrel\" – 'É'\\/" }), json!(120)),
        ("order.note: 255 characters", json!({ "note": "茶".repeat(255) }), json!(120)),
        ("order.due_date", json!({ "due_date": "2026-03-16" }), json!(120)),
        (
            "order.callback_url, redirect_url",
            json!({ "callback_url": "https://shop.example/?wc-api=wonder_payments_webhook", "redirect_url": "https://shop.example/thanks?order=1&key=a" }),
            json!(120),
        ),
        ("order.callback_url, redirect_url: empty", json!({ "callback_url": "", "redirect_url": "" }), json!(120)),
        (
            "order.customer",
            json!({ "customer": { "name": "A B", "email": "a@shop.example", "phone": "5550" } }),
            json!(120),
        ),
        ("order.language", json!({ "language": "en-gb" }), json!(120)),
        (
            "order.line_items: Charge, quantity as number",
            json!({ "charge_fee": "88.50", "line_items": charge }),
            json!(88.5),
        ),
        ("order.payment_method_option", json!({ "payment_method_option": { "online": { "x": [1] } } }), json!(120)),
        ("an unknown field", json!({ "surprise": { "a": [null, 1.5, "x"] } }), json!(120)),
    ]
}

#[tokio::test]
async fn every_order_that_client_code_creates_is_accepted() {
    let world = World::plain().await;
    for (row, change, total) in created() {
        let sent = order(&change);
        let data = world.post("orders?with_payment_link=true", &json!({ "order": sent })).await.data();
        assert_eq!(data["order"]["initial_total"], total, "{row}");
        assert_eq!(data["order"]["reference_number"], sent["reference_number"], "{row}");
        assert_eq!(data["order"]["note"], sent["note"], "{row}");
        assert_eq!(data["order"]["currency"], sent.get("currency").unwrap_or(&json!("HKD")).clone(), "{row}");
        assert!(data["payment_link"].as_str().is_some_and(|link| link.starts_with("http")), "{row}");
    }
}

#[tokio::test]
async fn members_next_to_order_are_accepted() {
    let world = World::plain().await;
    let customer = world.customer("KTR-0042").await;
    for (row, extra) in [
        ("app_id (top level)", json!({ "app_id": APP_ID })),
        ("customer_uuid (top level)", json!({ "customer_uuid": customer })),
        (
            "customer_uuid (top level): of a customer at Wonder",
            json!({ "customer_uuid": "7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77" }),
        ),
        ("customer_uuid (top level): empty", json!({ "customer_uuid": "" })),
    ] {
        let mut body = extra;
        body["order"] = order(&json!({}));
        let reply = world.post("orders?with_payment_link=true", &body).await;
        assert!(reply.status == 200 && reply.json()["code"] == 200, "{row}: {reply:?}");
    }
    let zeros = json!({ "customer_uuid": "00000000-0000-0000-0000-000000000000", "order": order(&json!({})) });
    assert!(world.post("orders", &zeros).await.refused(400, "E000024").contains("customer_uuid"));
}

#[tokio::test]
async fn bodies_written_by_php_are_accepted_byte_for_byte() {
    let world = World::plain().await;
    let body = r#"{"order":{"reference_number":"test_ref_1771061405_4711","charge_fee":100,"due_date":"2026-02-21","currency":"HKD","note":"Test order","callback_url":"https:\/\/shop.example\/hook?src=w","redirect_url":"https:\/\/shop.example\/ok?a=1","customer":[]}}"#;
    let call = Call::signed("POST", &format!("{P}/orders?with_payment_link=true"), body)
        .header("Content-Type", "application/json")
        .header("X-Request-ID", "req_65cdd1a0b5b5b4.12345678")
        .header("Authorization", "Bearer x")
        .header("X-API-Key", "x");
    let reply = world.send(&call).await;
    let order = reply.data()["order"].clone();
    assert_eq!(reply.get("x-request-id"), Some("req_65cdd1a0b5b5b4.12345678"));
    assert_eq!(
        (&order["initial_total"], &order["notify_url"]),
        (&json!(100), &json!("https://shop.example/hook?src=w"))
    );
}

#[tokio::test]
async fn every_form_of_check_void_and_refund_is_accepted() {
    let world = World::plain().await;
    let sale = async |reference: &str| {
        let order = world.order(reference, "120.00").await;
        world.pay(&order, &json!({})).await.data()["order"].clone()
    };
    let order = sale("r1").await;
    let (number, uuid) = (order["number"].clone(), order["transactions"][0]["uuid"].clone());
    for (row, path, body) in [
        ("orders/check: order.reference_number", "orders/check", json!({ "order": { "reference_number": "r1" } })),
        ("orders/check: order.number", "orders/check", json!({ "order": { "number": number } })),
        ("orders/check: transaction.uuid", "orders/check", json!({ "transaction": { "uuid": uuid } })),
        (
            "orders/check: all together, with app_id",
            "orders/check",
            json!({ "app_id": APP_ID, "order": { "number": number, "reference_number": "r1" }, "transaction": { "uuid": uuid } }),
        ),
        (
            "orders/refund: refund.amount as string, currency, reason",
            "orders/refund",
            json!({ "order": { "number": number, "reference_number": "r1" }, "transaction": { "uuid": uuid },
                    "refund": { "amount": "20.00", "currency": "HKD", "reason": "changed mind" } }),
        ),
        (
            "orders/refund: refund.amount as float, note",
            "orders/refund",
            json!({ "order": { "reference_number": "r1" }, "transaction": { "uuid": uuid }, "refund": { "amount": 19.9, "note": "n" } }),
        ),
        (
            "orders/refund: transaction.amount, no refund object, app_id",
            "orders/refund",
            json!({ "app_id": APP_ID, "order": { "reference_number": "r1" }, "transaction": { "uuid": uuid, "amount": "10.10" } }),
        ),
    ] {
        let reply = world.post(path, &body).await;
        assert!(reply.status == 200 && reply.json()["code"] == 200, "{row}: {reply:?}");
        assert_eq!(reply.data()["order"]["number"], number, "{row}");
    }
    assert_eq!(world.check_order(&order).await["transactions"][0]["refunded_amount"], 50);

    for (row, path, reference) in [
        ("orders/void: order.reference_number, transaction.uuid", "orders/void", "r2"),
        ("transactions/void: app_id, order, transaction.uuid", "transactions/void", "r3"),
    ] {
        let uuid = sale(reference).await["transactions"][0]["uuid"].clone();
        let body =
            json!({ "app_id": APP_ID, "order": { "reference_number": reference }, "transaction": { "uuid": uuid } });
        let voided = world.post(path, &body).await.data()["order"].clone();
        assert_eq!(
            (&voided["state"], &voided["correspondence_state"]),
            (&json!("completed"), &json!("voided")),
            "{row}"
        );
    }
    world.order("r4", "1").await;
    let voided = world.post("orders/void", &json!({ "order": { "reference_number": "r4" } })).await.data();
    assert_eq!(voided["order"]["state"], "voided", "orders/void: order only");
}

/// Whether a value has the type of a row.
fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "filled" => value.as_str().is_some_and(|text| !text.is_empty()),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "string or null" => value.is_string() || value.is_null(),
        "absent" => false,
        other => panic!("{other}"),
    }
}

/// Every value at a dotted path; `[]` means each element.
fn at<'a>(value: &'a Value, path: &str) -> Vec<Option<&'a Value>> {
    let mut found = vec![Some(value)];
    for step in path.split('.') {
        let (name, each) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        found = found.into_iter().map(|value| value.and_then(|value| value.get(name))).collect();
        if each {
            found = found.into_iter().flat_map(|list| list.unwrap().as_array().unwrap().iter().map(Some)).collect();
        }
    }
    found
}

/// Rows of the answers: path and type, in every state of an order.
const READ: &str = "\
data.order                                       object
data.order.business.id                           filled
data.order.business.business_name                filled
data.order.number                                filled
data.order.reference_number                      filled
data.order.currency                              filled
data.order.initial_total                         number
data.order.initial_tips                          number
data.order.subtotal                              number
data.order.paid_total                            filled
data.order.unpaid_total                          filled
data.order.state                                 filled
data.order.correspondence_state                  filled
data.order.source                                string
data.order.type                                  string
data.order.note                                  string
data.order.authCode                              string
data.order.due_date                              string or null
data.order.line_items                            array
data.order.created_at                            filled
data.order.updated_at                            filled
data.order.transactions                          array
data.order.transactions[].uuid                   filled
data.order.transactions[].type                   filled
data.order.transactions[].success                boolean
data.order.transactions[].is_pending             boolean
data.order.transactions[].amount                 number
data.order.transactions[].allow_refund           boolean
data.order.transactions[].allow_void             boolean
data.order.transactions[].voided                 boolean
data.order.transactions[].refunded_amount        number
data.order.transactions[].payment_method         filled
data.order.transactions[].currency               filled
data.order.transactions[].source                 string
data.order.transactions[].created_at             filled
data.order.transactions[].acquirer_response_body string
data.order.transactions[].3ds.enrolled           string
data.order.transactions[].3ds.redirect_url       string
data.order.transactions[].payment_data.acquirer_type      string
data.order.transactions[].payment_data.new_gateway_txn_id string
data.order.transactions[].payment_data.rrn                string
data.order.transactions[].payment_data.brn                string
data.order.transactions[].payment_data.resp_code          string
data.order.transactions[].payment_data.resp_msg           string
payment_link       absent
payment_url        absent
url                absent
id                 absent
order_id           absent
data.payment_url   absent
data.url           absent
data.id            absent
data.order_id      absent
data.order_number  absent
data.transactions  absent
data.order.transaction absent
error_code         absent
";

#[tokio::test]
async fn every_field_that_client_code_reads_has_its_type_in_every_state() {
    let world = World::plain().await;
    let mut answers = BTreeMap::new();
    let create = json!({ "order": order(&json!({ "line_items": [{ "label": "a", "price": "120", "quantity": 1 }], "due_date": "2026-12-31" })) });
    let made = world.post("orders?with_payment_link=true", &create).await.json();
    let order = made["data"]["order"].clone();
    answers.insert("created", made);
    answers.insert("failed", world.pay(&order, &json!({ "outcome": "failure" })).await.json());
    answers.insert("pending", world.pay(&order, &json!({ "outcome": "pending", "method": "fps" })).await.json());
    answers.insert("paid in part", world.pay(&order, &json!({ "amount": "50", "method": "alipay_hk" })).await.json());
    answers.insert("paid", world.pay(&order, &json!({ "method": "card" })).await.json());
    answers.insert("refunded in part", world.refund(&order, "20").await.json());
    let check = json!({ "order": { "number": order["number"] } });
    answers.insert("checked", world.post("orders/check", &check).await.json());
    for (name, answer) in &answers {
        assert_eq!((&answer["code"], &answer["message"]), (&json!(200), &json!("success")), "{name}: code, message");
        for row in READ.lines() {
            let (path, kind) = row.split_once(' ').unwrap();
            for value in at(answer, path) {
                let holds = value.map_or(kind.trim() == "absent", |value| is(value, kind.trim()));
                assert!(holds, "{name}: {row}, but it is {value:?}");
            }
        }
        assert_eq!(answer["data"]["order"]["number"], order["number"], "{name}: data.order.number is equal everywhere");
    }
    let has_link = |name: &str| answers[name]["data"].get("payment_link").is_some();
    assert!(has_link("created") && !has_link("checked"), "data.payment_link: only with ?with_payment_link=true");
    let without = world.post("orders", &create).await.data();
    assert_eq!(without.get("payment_link"), None, "data.payment_link: only with ?with_payment_link=true");
}

#[tokio::test]
async fn the_conditions_on_transactions_hold() {
    let world = World::plain().await;
    let order = world.order("r", "120.00").await;
    assert_eq!(order["transactions"], json!([]), "data.order.transactions: [] when unpaid");
    assert_eq!(order["correspondence_state"], "unpaid", "SDK voidOrder: exactly 'unpaid'");
    world.pay(&order, &json!({ "outcome": "failure" })).await.data();
    let paid = world.pay(&order, &json!({})).await.data()["order"].clone();
    let sale = &paid["transactions"][0];
    let flags =
        |row: &Value| ["success", "is_pending", "allow_refund", "allow_void", "voided"].map(|name| row[name] == true);
    assert_eq!(sale["type"], "Sales", "transactions[].type: exact case");
    assert_eq!(flags(sale), [true, false, true, false, false], "exactly one of allow_void and allow_refund");
    assert_eq!((&sale["amount"], &sale["refunded_amount"]), (&json!(120), &json!(0)), "major units");
    assert_eq!((&paid["paid_total"], &paid["unpaid_total"]), (&json!("120.00"), &json!("0.00")));
    assert!(paid["state"] == "completed" && paid["correspondence_state"] == "paid");

    let refunded = world.refund(&order, "19.90").await.data()["order"].clone();
    let rows = &refunded["transactions"];
    assert_eq!(rows[0]["uuid"], sale["uuid"], "transactions ORDER: the original sale first");
    assert_eq!(rows[0]["refunded_amount"], 19.9, "transactions[].refunded_amount on the sale");
    assert_eq!(flags(&rows[0]), [true, false, true, false, false], "allow_refund until wholly refunded");
    assert_eq!(
        (&rows[1]["type"], &rows[1]["amount"]),
        (&json!("Refund"), &json!(19.9)),
        "the answer has the new Refund"
    );
    assert_eq!((&rows[1]["success"], &rows[1]["original_transaction_uuid"]), (&json!(true), &sale["uuid"]));
    let refunded = world.refund(&order, "100.10").await.data()["order"].clone();
    assert_eq!(flags(&refunded["transactions"][0]), [true, false, false, false, false], "wholly refunded");
    assert_eq!(refunded["correspondence_state"], "refunded");
}

#[tokio::test]
async fn a_business_error_is_http_200_with_a_code_and_a_text() {
    let world = World::plain().await;
    let reply =
        world.post("orders?with_payment_link=true", &json!({ "order": order(&json!({ "currency": "XYZ" })) })).await;
    assert_eq!(reply.status, 200, "HTTP status: below 400, or the SDK throws");
    assert_eq!(
        reply.json(),
        json!({ "code": 100_102, "error_code": "EO100102", "message": "invalid currency", "data": {} }),
        "error_code, message: compared by the OpenCart plugin"
    );
    for currency in ["hkd", "", "HK", "HKDX"] {
        let reply = world.post("orders", &json!({ "order": order(&json!({ "currency": currency })) })).await;
        assert_eq!(reply.json()["error_code"], "EO100102", "{currency}");
    }
}

#[tokio::test]
async fn echo_answers_200_on_both_paths() {
    let world = World::plain().await;
    for path in ["/svc/payment/api/v1/echo", "/svc/payment/api/v1/openapi/echo"] {
        assert_eq!(world.call("POST", path, r#"{"message":"Hello, Wonder!"}"#).await.status, 200, "echo: exactly 200");
    }
}
