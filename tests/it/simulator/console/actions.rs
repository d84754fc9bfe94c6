//! The buttons of the console: orders, customers, reset, and webhooks sent again.

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{open, press};
use crate::simulator::world::{Call, P, World};

/// Creates an order and returns its number.
async fn order(world: &World, reference: &str) -> String {
    let body =
        json!({ "order": { "reference_number": reference, "charge_fee": "120.00", "currency": "HKD" } }).to_string();
    let data = world.call("POST", &format!("{P}/orders"), &body).await.data();
    data["order"]["number"].as_str().unwrap().to_owned()
}

async fn check(world: &World, number: &str) -> serde_json::Value {
    let body = json!({ "order": { "number": number } }).to_string();
    world.call("POST", &format!("{P}/orders/check"), &body).await.data()["order"].clone()
}

#[tokio::test]
async fn buttons_pay_refund_void_and_expire_an_order() {
    let world = World::plain().await;
    let (paid, voided, expired) = (order(&world, "<b>").await, order(&world, "B").await, order(&world, "C").await);
    let path = |number: &str| format!("/console/orders/{number}");
    let act = async |number: &str, form: &str| {
        let reply = press(&world, &path(number), form).await;
        let action = form.split('&').find_map(|pair| pair.strip_prefix("action=")).unwrap_or_default();
        let expected = format!("{}?did={action}", path(number));
        assert_eq!((reply.status, reply.get("location")), (303, Some(&expected[..])), "{form}: {reply:?}");
        assert!(open(&world, &expected).await.body.contains("<p class=\"done\" role=\"status\">"), "{form}");
        let order = check(&world, number).await;
        (order["state"].as_str().unwrap().to_owned(), order["correspondence_state"].as_str().unwrap().to_owned())
    };
    let is = |state: &str, correspondence: &str| (state.to_owned(), correspondence.to_owned());
    assert_eq!(act(&paid, "action=failure").await, is("invoiced", "unpaid"));
    assert_eq!(act(&paid, "action=pending&method=fps").await, is("invoiced", "unpaid"));
    assert_eq!(act(&paid, "action=success").await, is("completed", "paid"));
    let uuid = check(&world, &paid).await["transactions"][0]["uuid"].as_str().unwrap().to_owned();
    let shown = open(&world, &path(&paid)).await.body;
    assert!(shown.contains(&uuid) && !shown.contains("<b>") && shown.contains("&lt;b&gt;"), "{shown}");
    assert_eq!(
        act(&paid, &format!("action=refund&amount=20.00&transaction={uuid}")).await,
        is("in_completed", "partial_paid")
    );
    assert_eq!(act(&paid, &format!("action=refund&amount=100&transaction={uuid}")).await, is("completed", "refunded"));
    assert_eq!(act(&voided, "action=success&amount=20").await, is("in_completed", "partial_paid"));
    let uuid = check(&world, &voided).await["transactions"][0]["uuid"].as_str().unwrap().to_owned();
    assert_eq!(act(&voided, &format!("action=void-transaction&transaction={uuid}")).await.1, "voided");
    assert_eq!(act(&expired, "action=expire").await, is("voided", "unpaid"));
    let page = world.send(&Call::unsigned("GET", &format!("/l/{expired}"), "")).await.body;
    assert!(page.contains("Order expired"), "{page}");

    // A rejected action changes nothing and names the reason.
    let before = check(&world, &paid).await;
    for (form, says) in [
        ("action=success", "order.state must be"),
        ("action=void", "order.state must be invoiced"),
        ("action=refund&amount=1", "transaction"),
        ("action=refund&transaction=x&amount=1", "transaction"),
        ("action=refund&amount=-1", "amount must be"),
        ("action=refund&amount=0.001", "amount must be"),
        ("action=explode", "action is required"),
        ("", "action is required"),
    ] {
        let reply = press(&world, &path(&paid), form).await;
        assert!(reply.status == 409 && reply.body.contains(says), "{form}: {reply:?}");
    }
    assert_eq!(check(&world, &paid).await, before);
    assert_eq!(press(&world, "/console/orders/1", "action=success").await.status, 404);
    let list = open(&world, "/console/orders").await.body;
    for number in [&paid, &voided, &expired] {
        assert!(list.contains(&format!("/console/orders/{number}\"")), "{list}");
    }
}

#[tokio::test]
async fn customers_are_listed_with_their_masked_tokens() {
    let world = World::plain().await;
    let uuid = world.customer("KTR-0042").await;
    let token = world.card(&uuid).await;
    let page = open(&world, "/console/customers").await.body;
    for text in ["KTR-0042", "Kestrel Tea Room", &uuid, "Visa 411111******1111", token["verify_url"].as_str().unwrap()]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("4111111111111111"));
}

#[tokio::test]
async fn a_reset_deletes_everything_and_reuses_no_order_number() {
    let world = World::plain().await;
    world.customer("r").await;
    let first = order(&world, "A").await;
    let reply = world.send(&Call::unsigned("POST", "/simulator/reset", "")).await;
    assert_eq!(reply.data(), json!({}));
    assert!(open(&world, "/console").await.body.contains("No call yet."));
    assert!(open(&world, "/console/orders").await.body.contains("No order yet."));
    assert!(open(&world, "/console/customers").await.body.contains("No customer yet."));
    let second = order(&world, "A").await;
    assert!(second > first, "{second} {first}");
    assert_eq!(press(&world, "/console/reset", "").await.get("location"), Some("/console?did=reset"));
    assert!(open(&world, "/console?did=reset").await.body.contains("are forgotten"));
    // A page of another origin cannot reset.
    let foreign = Call::unsigned("POST", "/simulator/reset", "").header("Origin", "https://evil.example");
    world.send(&foreign).await.refused(403, "E000049");
}

/// Accepts webhooks, answers 200, and returns the action of each.
async fn receiver() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, actions) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut lines = BufReader::new(stream).lines();
            let mut action = String::new();
            while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
                if let Some((name, value)) = line.split_once(": ")
                    && name.eq_ignore_ascii_case("x-action")
                {
                    value.clone_into(&mut action);
                }
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            lines.into_inner().write_all(answer).await.unwrap();
            if sender.send(action).is_err() {
                break;
            }
        }
    });
    (url, actions)
}

#[tokio::test]
async fn webhooks_are_listed_with_their_answers_and_can_be_sent_again() {
    let world = World::plain().await;
    let (url, mut actions) = receiver().await;
    let body =
        json!({ "order": { "reference_number": "r", "charge_fee": "1.00", "currency": "HKD", "callback_url": url } });
    world.call("POST", &format!("{P}/orders"), &body.to_string()).await.data();
    assert_eq!(actions.recv().await.unwrap(), "order.created");
    // The console records the answer a moment after it was sent.
    let mut shown = String::new();
    while !shown.contains("acknowledged") {
        shown = open(&world, "/console/webhooks").await.body;
    }
    for text in ["order.created", &url, "name=\"id\" value=\"1\">Send again<"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let sent = press(&world, "/console/webhooks", "id=1").await;
    assert_eq!((sent.status, sent.get("location")), (303, Some("/console/webhooks?did=send")));
    assert_eq!(actions.recv().await.unwrap(), "order.created");
    assert!(open(&world, "/console/webhooks?did=send").await.body.contains("on its way again"));
    for form in ["id=99", "id=x", ""] {
        assert_eq!(press(&world, "/console/webhooks", form).await.status, 404, "{form}");
    }
}
