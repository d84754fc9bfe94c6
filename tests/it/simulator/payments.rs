//! Direct payments, transactions, pending payments, authorizations; concurrent refunds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{Call, NOW, P, Reply, World};

fn states(order: &Value) -> String {
    format!("{}/{}", order["state"].as_str().unwrap(), order["correspondence_state"].as_str().unwrap())
}

/// A token of a customer in state `success`.
async fn token(world: &World) -> Value {
    let customer = world.customer("KTR-0042").await;
    let token = world.card(&customer).await;
    world.press(&token, "approve").await;
    token["token"].clone()
}

fn by_token(token: &Value, amount: &str, mode: &str) -> Value {
    json!({ "payment_token": { "amount": amount, "token": token, "consume_mode": mode, "entry_type": "mit" } })
}

#[tokio::test]
async fn a_payment_token_pays_an_order_that_exists_or_is_created() {
    let world = World::plain().await;
    let token = token(&world).await;
    world.order("r1", "120.00").await;
    let body = json!({ "reference_number": "r1", "payment": by_token(&token, "120.00", "sales") });
    let data = world.post("open_payments", &body).await.data();
    assert_eq!(states(&data["order"]), "completed/paid");
    assert_eq!(
        (&data["transaction"]["payment_method"], &data["transaction"]["success"]),
        (&json!("credit_card"), &json!(true))
    );

    let uuid = "9f0b7a52-3f0f-4d0e-8a6e-0d3a1c9f2b44";
    let mut payment = by_token(&token, "20", "sales");
    payment["uuid"] = uuid.into();
    let order = json!({ "reference_number": "r2", "charge_fee": "50", "currency": "HKD" });
    let body = json!({ "order": order, "payment": payment });
    let data = world.post("open_payments", &body).await.data();
    assert_eq!(
        (states(&data["order"]), &data["transaction"]["uuid"]),
        ("in_completed/partial_paid".to_owned(), &json!(uuid))
    );
    let found = world.post("orders/check", &json!({ "transaction": { "uuid": uuid } })).await.data();
    assert_eq!(found["order"], data["order"], "after a time-out, the uuid finds the payment");
    let found = world.post("transactions/check", &json!({ "transaction": { "uuid": uuid } })).await.data();
    assert_eq!(found["transaction"], data["transaction"]);

    let again = world.post("open_payments", &body).await;
    assert_eq!((again.status, &again.json()["code"]), (200, &json!(100_908)), "the same payment.uuid");
    assert_eq!(list_length(&world).await, "2", "and no further order");
}

async fn list_length(world: &World) -> String {
    world.call("GET", &format!("{P}/orders/list"), "").await.get("x-total-entries").unwrap().to_owned()
}

#[tokio::test]
async fn a_merchant_presented_code_is_pending_until_paid() {
    let world = World::plain().await;
    for (name, method, outcome, expected) in
        [("wechatpay", "wechat", "success", "completed/paid"), ("alipay", "alipay", "failure", "invoiced/unpaid")]
    {
        let order = world.order(name, "120.00").await;
        let payment = json!({ name: { "amount": "120.00", "merchant_presented_qr_code": { "payinfo": "x" } } });
        let data = world.post("open_payments", &json!({ "reference_number": name, "payment": payment })).await.data();
        let transaction = &data["transaction"];
        assert_eq!((&transaction["is_pending"], &transaction["success"]), (&json!(true), &json!(false)));
        assert_eq!(
            (states(&data["order"]), &transaction["payment_method"]),
            ("invoiced/unpaid".to_owned(), &json!(method))
        );

        let settled = world.pay(&order, &json!({ "outcome": outcome })).await.data()["order"].clone();
        assert_eq!((states(&settled), settled["transactions"].as_array().unwrap().len()), (expected.to_owned(), 1));
        let check = json!({ "order": { "reference_number": name }, "transaction": { "uuid": transaction["uuid"] } });
        let checked = world.post("transactions/check", &check).await.data()["transaction"].clone();
        assert_eq!((&checked["is_pending"], &checked["success"]), (&json!(false), &json!(outcome == "success")));
    }
}

#[tokio::test]
async fn a_consumer_presented_code_pays_at_once() {
    let world = World::plain().await;
    for (content, method) in
        [("134567890123456789", "wechat"), ("281234567890123456", "alipay"), ("6212345678901234567", "unionpay_wallet")]
    {
        world.order(content, "1").await;
        let payment =
            json!({ "consumer_presented_qr_code": { "amount": 1, "code_type": "qrcode", "content": content } });
        let data =
            world.post("open_payments", &json!({ "reference_number": content, "payment": payment })).await.data();
        assert_eq!(
            (states(&data["order"]), &data["transaction"]["payment_method"]),
            ("completed/paid".to_owned(), &json!(method))
        );
    }
}

#[tokio::test]
async fn an_authorization_holds_the_amount_until_it_is_voided() {
    let world = World::plain().await;
    let token = token(&world).await;
    let order = world.order("r", "120.00").await;
    let body = json!({ "reference_number": "r", "payment": by_token(&token, "120.00", "pre_authorize") });
    let data = world.post("open_payments", &body).await.data();
    let hold = &data["transaction"];
    assert_eq!(
        (states(&data["order"]), &hold["type"]),
        ("in_completed/authorized".to_owned(), &json!("Authorization"))
    );
    assert_eq!(
        (&hold["allow_void"], &hold["allow_refund"], &hold["captured"]),
        (&json!(true), &json!(false), &json!(false))
    );
    assert_eq!(data["order"]["paid_total"], "0.00");
    assert_eq!(world.pay(&order, &json!({})).await.status, 409);
    let voided = world.post("transactions/void", &json!({ "transaction": { "uuid": hold["uuid"] } })).await.data();
    assert_eq!(states(&voided["order"]), "completed/voided");

    let only = json!({ "reference_number": "r2", "charge_fee": "5", "is_only_pre_auth": true });
    let only = world.post("orders", &json!({ "order": only })).await.data()["order"].clone();
    assert_eq!(states(&world.pay(&only, &json!({})).await.data()["order"]), "in_completed/authorized");
}

#[tokio::test]
async fn a_header_chooses_the_outcome_of_a_direct_payment() {
    let world = World::plain().await;
    let token = token(&world).await;
    world.order("r", "120.00").await;
    let body = json!({ "reference_number": "r", "payment": by_token(&token, "120.00", "sales") }).to_string();
    let call = async |outcome: &str| -> Reply {
        let call = Call::signed("POST", &format!("{P}/open_payments"), &body);
        world.send(&call.header("X-Wonder-Simulator-Outcome", outcome)).await
    };
    let failed = call("failure").await.data();
    assert_eq!(
        (states(&failed["order"]), &failed["transaction"]["success"]),
        ("invoiced/unpaid".to_owned(), &json!(false))
    );
    assert_eq!(call("pending").await.data()["transaction"]["is_pending"], true);
    call("perhaps").await.refused(400, "E000024");
}

#[tokio::test]
async fn an_invalid_direct_payment_is_rejected_and_changes_nothing() {
    let world = World::plain().await;
    let customer = world.customer("c").await;
    let pending = world.card(&customer).await["token"].clone();
    let token = token(&world).await;
    let order = world.order("r", "120.00").await;
    let with = |payment: Value| json!({ "reference_number": "r", "payment": payment });
    let replaced = |name: &str, value: Value| {
        let mut payment = by_token(&token, "1", "sales");
        payment["payment_token"][name] = value;
        with(payment)
    };
    for (body, code, says) in [
        (json!({ "reference_number": "r" }), "E000021", "payment is required."),
        (json!({ "payment": by_token(&token, "1", "sales") }), "E000021", "reference_number or order is required."),
        (with(json!({})), "E000024", "payment needs exactly one of: payment_token, wechatpay"),
        (
            with(json!({ "alipay": { "amount": "1" }, "wechatpay": { "amount": "1" } })),
            "E000024",
            "payment needs exactly one of",
        ),
        (
            with(json!({ "alipay": { "amount": "1" } })),
            "E000021",
            "payment.alipay.merchant_presented_qr_code is required.",
        ),
        (with(json!({ "alipay": "x" })), "E000022", "payment.alipay must be an object."),
        (replaced("amount", Value::Null), "E000021", "payment.payment_token.amount is required."),
        (replaced("amount", json!("0.001")), "E000024", "payment.payment_token.amount must be greater than 0"),
        (replaced("token", Value::Null), "E000021", "payment.payment_token.token is required."),
        (
            replaced("consume_mode", json!("later")),
            "E000024",
            "payment.payment_token.consume_mode must be one of: sales, pre_authorize.",
        ),
        (replaced("entry_type", json!("cit")), "E000024", "payment.payment_token.entry_type must be one of: mit."),
        (with(json!({ "uuid": "x", "alipay": {} })), "E000024", "payment.uuid must be a UUID"),
        (
            with(json!({ "consumer_presented_qr_code": { "amount": 1, "code_type": "barcode", "content": "1" } })),
            "E000024",
            "payment.consumer_presented_qr_code.code_type must be one of: qrcode.",
        ),
    ] {
        let message = world.post("open_payments", &body).await.refused(400, code);
        assert!(message.starts_with(says), "{body}: {message}");
    }
    world
        .post("open_payments", &replaced("token", json!("7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77")))
        .await
        .refused(404, "E000031");
    world.post("open_payments", &replaced("token", json!("none"))).await.refused(404, "E000031");
    for (body, code) in [
        (replaced("token", pending), 100_909),
        (replaced("amount", json!("120.01")), 100_903),
        (
            json!({ "order": { "reference_number": "new", "charge_fee": "5" }, "payment": by_token(&token, "5.01", "sales") }),
            100_903,
        ),
        (
            json!({ "order": { "reference_number": "new", "charge_fee": "5", "currency": "XYZ" }, "payment": {} }),
            100_102,
        ),
    ] {
        let reply = world.post("open_payments", &body).await;
        assert_eq!((reply.status, &reply.json()["code"]), (200, &json!(code)), "{body}");
    }
    assert_eq!((world.check_order(&order).await, list_length(&world).await), (order, "1".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_refunds_never_exceed_the_payment() {
    let world = Arc::new(World::plain().await);
    let order = world.order("r", "100.00").await;
    let paid = world.pay(&order, &json!({})).await.data()["order"].clone();
    let body = json!({ "transaction": { "uuid": paid["transactions"][0]["uuid"] }, "refund": { "amount": "7.50" } });
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (world, body) = (Arc::clone(&world), body.clone());
            tokio::spawn(async move { world.post("orders/refund", &body).await.json()["code"].clone() })
        })
        .collect();
    let mut codes = Vec::new();
    for caller in callers {
        codes.push(caller.await.unwrap());
    }
    let refunded = codes.iter().filter(|code| **code == 200).count();
    assert_eq!(refunded, 13, "13 times 7.50 is 97.50");
    assert!(codes.iter().all(|code| *code == 200 || *code == 100_907), "{codes:?}");
    let after = world.check_order(&order).await;
    assert_eq!(
        (after["transactions"].as_array().unwrap().len(), &after["transactions"][0]["refunded_amount"]),
        (14, &json!(97.5))
    );
}

#[tokio::test]
async fn the_same_refund_within_the_window_is_denied() {
    let world = World::with(|options| {
        options.tls = false;
        options.refund_window = std::time::Duration::from_mins(5);
    })
    .await;
    let order = world.order("r", "100").await;
    world.pay(&order, &json!({})).await.data();
    world.refund(&order, "10.00").await.data();
    let again = world.refund(&order, "10").await;
    assert_eq!((again.status, &again.json()["code"]), (200, &json!(100_701)));
    world.refund(&order, "11").await.data();
    world.set_clock(NOW + 300);
    world.refund(&order, "10").await.data();
}

#[tokio::test]
async fn only_enabled_currencies_are_accepted() {
    let world = World::with(|options| {
        options.tls = false;
        options.currencies.retain(|currency| currency.as_str() == "EUR");
    })
    .await;
    let order =
        |currency: &Value| json!({ "order": { "reference_number": "r", "charge_fee": "1", "currency": currency } });
    assert_eq!(world.post("orders", &order(&json!("EUR"))).await.json()["code"], 200);
    for currency in [json!("HKD"), Value::Null] {
        assert_eq!(world.post("orders", &order(&currency)).await.json()["error_code"], "EO100102", "{currency}");
    }
}
