//! The payment page.

use serde_json::{Value, json};

use super::world::{Call, P, Reply, World};

/// Creates an order and returns its number and the path of its page.
async fn order(world: &World, change: impl FnOnce(&mut Value)) -> (String, String) {
    let mut order = json!({
        "reference_number": "INV-7781", "charge_fee": "120.00", "currency": "HKD", "redirect_url": "https://shop.example/thanks?a=1&b=2",
    });
    change(&mut order);
    let body = json!({ "order": order }).to_string();
    let data = world.call("POST", &format!("{P}/orders?with_payment_link=true"), &body).await.data();
    let link = data["payment_link"].as_str().unwrap();
    let (_, path) = link.split_once("://").unwrap().1.split_once('/').unwrap();
    (data["order"]["number"].as_str().unwrap().to_owned(), format!("/{path}"))
}

async fn open(world: &World, path: &str) -> Reply {
    world.send(&Call::unsigned("GET", path, "")).await
}

async fn press(world: &World, path: &str, form: &str) -> Reply {
    world.send(&Call::unsigned("POST", path, form).header("Content-Type", "application/x-www-form-urlencoded")).await
}

/// `state`, `correspondence_state` and a summary of the transactions.
async fn state(world: &World, number: &str) -> Value {
    let body = json!({ "order": { "number": number } }).to_string();
    let order = world.call("POST", &format!("{P}/orders/check"), &body).await.data()["order"].clone();
    let brief =
        |found: &Value| json!([found["payment_method"], found["amount"], found["success"], found["is_pending"]]);
    let transactions: Vec<Value> = order["transactions"].as_array().unwrap().iter().map(brief).collect();
    json!([order["state"], order["correspondence_state"], transactions])
}

#[tokio::test]
async fn a_payer_pays_declines_or_leaves_it_pending_and_returns() {
    let world = World::plain().await;
    for (form, status, says, expected) in [
        (
            "outcome=success&method=fps",
            200,
            "Payment received",
            json!(["completed", "paid", [["fps", 120, true, false]]]),
        ),
        ("outcome=success", 200, "Payment received", json!(["completed", "paid", [["credit_card", 120, true, false]]])),
        (
            "outcome=failure&method=payme",
            200,
            "Payment declined",
            json!(["invoiced", "unpaid", [["payme", 120, false, false]]]),
        ),
        (
            "outcome=pending&method=alipay_hk",
            200,
            "Payment pending",
            json!(["invoiced", "unpaid", [["alipay_hk", 120, false, true]]]),
        ),
        ("outcome=maybe", 400, "outcome must be", json!(["invoiced", "unpaid", []])),
        ("outcome=success&method=cash", 400, "outcome must be", json!(["invoiced", "unpaid", []])),
        ("", 400, "outcome must be", json!(["invoiced", "unpaid", []])),
    ] {
        let (number, path) = order(&world, |_| {}).await;
        let opened = open(&world, &path).await;
        for text in [
            "<p class=\"amount\">HKD 120.00</p>",
            "<dt>Merchant</dt><dd>Simulated Merchant</dd>",
            "<dt>Reference</dt><dd>INV-7781</dd>",
            &format!("<dt>Order</dt><dd>{number}</dd>"),
            "value=\"credit_card\" checked>Card<",
            "value=\"octopus\">Octopus<",
            ">Pay HKD 120.00</button>",
        ] {
            assert!(opened.status == 200 && opened.body.contains(text), "{text}: {opened:?}");
        }
        assert_eq!(opened.body.matches("type=\"radio\"").count(), 9);
        assert!(!opened.body.contains("http-equiv"), "before a choice it stays");

        let decided = press(&world, &path, form).await;
        assert!(decided.status == status && decided.body.contains(says), "{form}: {decided:?}");
        let returns = "content=\"4;url=https://shop.example/thanks?a=1&amp;b=2\"";
        assert_eq!(decided.body.contains(returns), status == 200, "{form}: {decided:?}");
        assert_eq!(state(&world, &number).await, expected, "{form}");
    }
}

#[tokio::test]
async fn the_page_of_an_unpayable_order_names_the_reason() {
    let world = World::plain().await;
    let call =
        async |path: &str, body: Value| world.call("POST", &format!("{P}/{path}"), &body.to_string()).await.data();
    let paid = order(&world, |_| {}).await;
    press(&world, &paid.1, "outcome=success").await;
    let refunded = order(&world, |_| {}).await;
    press(&world, &refunded.1, "outcome=success").await;
    let found = call("orders/check", json!({ "order": { "number": refunded.0 } })).await;
    let uuid = &found["order"]["transactions"][0]["uuid"];
    let refund = json!({ "order": { "number": refunded.0 }, "transaction": { "uuid": uuid }, "refund": { "amount": "120.00", "note": "n" } });
    call("orders/refund", refund).await;
    let voided = order(&world, |_| {}).await;
    call("orders/void", json!({ "order": { "number": voided.0 } })).await;
    let expired = order(&world, |order| order["due_date"] = "2026-02-15".into()).await;
    world.set_clock(super::world::NOW + 3 * 86400);
    let unknown = (String::new(), "/l/93999999999".to_owned());
    for ((number, path), status, says) in [
        (&paid, 200, "Paid already"),
        (&refunded, 200, "Payment returned"),
        (&voided, 200, "Order voided"),
        (&expired, 200, "Order expired"),
        (&unknown, 404, "There is no such order"),
        (&(String::new(), "/l/x".to_owned()), 404, "There is no such order"),
        (&(String::new(), "/l/%FF".to_owned()), 404, "There is no such order"),
    ] {
        let opened = open(&world, path).await;
        assert!(opened.status == status && opened.body.contains(says), "{says}: {opened:?}");
        assert!(!opened.body.contains("<form"), "{says}");
        // The page was open in another window.
        let pressed = press(&world, path, "outcome=success").await;
        let expected = if number.is_empty() { 404 } else { 409 };
        assert!(pressed.status == expected && pressed.body.contains(says), "{says}: {pressed:?}");
    }
}

#[tokio::test]
async fn a_pending_payment_is_settled_on_the_page() {
    let world = World::plain().await;
    for (outcome, expected) in [
        ("success", json!(["completed", "paid", [["fps", 120, true, false]]])),
        ("failure", json!(["invoiced", "unpaid", [["fps", 120, false, false]]])),
    ] {
        let (number, path) = order(&world, |_| {}).await;
        press(&world, &path, "outcome=pending&method=fps").await;
        let opened = open(&world, &path).await.body;
        assert!(
            opened.contains("Let it succeed") && opened.contains("Let it fail") && !opened.contains("radio"),
            "{opened}"
        );
        press(&world, &path, &format!("outcome={outcome}")).await;
        assert_eq!(state(&world, &number).await, expected);
    }
}

#[tokio::test]
async fn the_page_asks_for_the_rest_of_a_partly_paid_order() {
    let world = World::plain().await;
    let (number, path) = order(&world, |_| {}).await;
    let part = Call::unsigned("POST", &format!("/simulator/orders/{number}/pay"), r#"{"amount":"20.00"}"#);
    assert_eq!(world.send(&part).await.status, 200);
    let opened = open(&world, &path).await.body;
    for text in
        ["<p class=\"amount\">HKD 100.00</p>", "<dt>Total</dt><dd>HKD 120.00</dd>", "<dt>Paid</dt><dd>HKD 20.00</dd>"]
    {
        assert!(opened.contains(text), "{text}: {opened}");
    }
    press(&world, &path, "outcome=success").await;
    assert_eq!(state(&world, &number).await[1], "paid");
}

#[tokio::test]
async fn merchant_texts_are_escaped_and_the_return_url_is_http_or_https() {
    let world = World::plain().await;
    let (_, path) = order(&world, |order| {
        order["reference_number"] = "<script>alert(1)</script>".into();
        order["redirect_url"] = "https://shop.example/?q='&amp;".into();
    })
    .await;
    let opened = open(&world, &path).await;
    assert!(!opened.body.contains("<script"), "{}", opened.body);
    let policy = opened.get("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("script"), "{policy}");
    let decided = press(&world, &path, "outcome=success").await.body;
    assert!(decided.contains("href=\"https://shop.example/?q=&#39;&amp;amp;\""), "{decided}");

    for url in ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "/thanks", "//evil.example"] {
        let body =
            json!({ "order": { "reference_number": "r", "charge_fee": "1", "currency": "HKD", "redirect_url": url } });
        let refused = world.call("POST", &format!("{P}/orders"), &body.to_string()).await.refused(400, "E000024");
        assert!(refused.starts_with("order.redirect_url must be"), "{url}: {refused}");
    }
    let (_, path) = order(&world, |order| order["redirect_url"] = Value::Null).await;
    let decided = press(&world, &path, "outcome=success").await.body;
    assert!(decided.contains("no redirect_url") && !decided.contains("http-equiv"), "{decided}");
}

#[tokio::test]
async fn the_page_follows_accept_language() {
    let world = World::plain().await;
    let (_, path) = order(&world, |_| {}).await;
    let page =
        world.send(&Call::unsigned("GET", &path, "").header("Accept-Language", "zh-HK,zh;q=0.9,en;q=0.8")).await.body;
    assert!(page.contains("<html lang=\"zh-HK\">") && page.contains("支付 HKD 120.00"), "{page}");
}

/// Ten windows press the button concurrently.
#[tokio::test]
async fn concurrent_payments_pay_an_order_once() {
    let world = World::plain().await;
    let (number, path) = order(&world, |_| {}).await;
    let pressed = futures_util::future::join_all((0..10).map(|_| press(&world, &path, "outcome=success"))).await;
    let mut statuses: Vec<u16> = pressed.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[409; 9][..]));
    assert_eq!(state(&world, &number).await, json!(["completed", "paid", [["credit_card", 120, true, false]]]));
}
