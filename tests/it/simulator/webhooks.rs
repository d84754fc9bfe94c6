//! Webhooks of the simulator, as a receiver gets them over a real socket.

mod fields;
mod probe;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::{Value, json};
use wonder_signer::{
    signing::{
        AppId, RequestTime, SigningKey,
        headers::Headers,
        webhook::{Accepted, Delivery, DeliveryError, verify},
        window::Window,
    },
    simulator::webhooks::{Callback, RetryCredential, RetryOn, Settings},
};

use super::world::{APP_ID, NOW, World, new_key};
use crate::support::{
    closed::Closed,
    patience::soon,
    upstream::{Act, Recorder},
    wire::Message,
};

static WEBHOOK_KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(new_key()));

/// A simulator that sends the webhooks of all orders to `url`.
async fn world(url: &str, change: impl FnOnce(&mut Settings)) -> World {
    let mut settings = Settings {
        url: Some(url.parse().unwrap()),
        keys: vec![(APP_ID.parse().unwrap(), Arc::clone(&WEBHOOK_KEY))],
        time_scale: "10000".parse().unwrap(),
        ..Settings::default()
    };
    change(&mut settings);
    World::with(|options| {
        options.tls = false;
        options.webhooks = settings;
    })
    .await
}

/// The verdict of a verifying receiver on a delivery at the time `at`.
fn verdict(message: &Message, key: &SigningKey, target: &str, at: u64) -> Result<(), DeliveryError> {
    let app_id: AppId = APP_ID.parse().unwrap();
    let lines = message.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = Headers::collect(lines.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let body = [&message.body[..]];
    let delivery = Delivery { method: method(message), target: target.as_bytes(), headers, body: &body };
    let accepted = [Accepted { name: "shop", app_id: &app_id, key: key.verifying_key() }];
    let window = Window::webhook(Duration::from_mins(24 * 60 + 30));
    verify(&delivery, accepted, RequestTime::from_unix_seconds(at), window).map(drop)
}

fn method(message: &Message) -> &str {
    message.start_line().split(' ').next().unwrap()
}

fn target(message: &Message) -> &str {
    message.start_line().split(' ').nth(1).unwrap()
}

fn order(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

fn status(status: u16) -> Act {
    Act::Answer(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n").into_bytes())
}

impl World {
    /// The newest delivery, once it has this outcome.
    async fn delivery(&self, outcome: &str) -> Value {
        soon(async {
            loop {
                let data = self.send(&super::world::Call::unsigned("GET", "/simulator/webhooks", "")).await.data();
                if data["webhooks"][0]["outcome"] == outcome {
                    return data["webhooks"][0].clone();
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    async fn order_to(&self, callback_url: &str) -> Value {
        let order = json!({ "reference_number": "INV-1", "charge_fee": "120.00", "currency": "HKD", "callback_url": callback_url });
        self.post("orders", &json!({ "order": order })).await.data()["order"].clone()
    }
}

/// A delivery of `order.paid` for 120 HKD, with the world that sent it and the order as it was created.
async fn paid(path: &str) -> (Message, World, Value) {
    let receiver = Recorder::start().await;
    let world = world(&format!("{}{path}", receiver.origin()), |_| {}).await;
    let created = world.order("INV-7781", "120.00").await;
    assert_eq!(receiver.next().await.value("x-action"), Some("order.created"));
    world.pay(&created, &json!({ "method": "credit_card" })).await.data();
    (receiver.next().await, world, created)
}

#[tokio::test]
async fn each_event_goes_to_the_orders_url_and_to_the_general_one() {
    let (own, general) = (Recorder::start().await, Recorder::start().await);
    let world = world(&format!("{}/general", general.origin()), |_| {}).await;
    world.order_to(&format!("{}/own", own.origin())).await;
    assert_eq!(target(&own.next().await), "/own");
    assert_eq!(target(&general.next().await), "/general");
    // The same URL twice is one destination.
    world.order_to(&format!("{}/general", general.origin())).await;
    assert_eq!(target(&general.next().await), "/general");
    world.delivery("acknowledged").await;
    assert_eq!((own.waiting(), general.waiting()), (0, 0));
}

#[tokio::test]
async fn a_failed_delivery_is_attempted_until_it_is_acknowledged_by_200_exactly() {
    let answers = [500, 404, 302, 204, 200];
    let receiver = Recorder::acting(move |at| status(answers[at.min(4)])).await;
    let world = world(&format!("{}/hook", receiver.origin()), |_| {}).await;
    world.order("r", "1").await;
    let first = receiver.next().await;
    for _ in 1..answers.len() {
        let retry = receiver.next().await;
        for name in ["credential", "nonce", "signature", "x-action"] {
            assert_eq!(retry.value(name), first.value(name), "{name}");
        }
        assert_eq!(retry.body, first.body);
    }
    let delivery = world.delivery("acknowledged").await;
    let statuses: Vec<_> = delivery["attempts"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, answers.map(Value::from));
}

#[tokio::test]
async fn a_retry_has_a_new_credential_if_configured() {
    let receiver = Recorder::acting(|at| status(if at == 0 { 503 } else { 200 })).await;
    let world =
        world(&format!("{}/hook", receiver.origin()), |settings| settings.retry_credential = RetryCredential::Fresh)
            .await;
    world.order("r", "1").await;
    let (first, retry) = (receiver.next().await, receiver.next().await);
    assert_ne!(first.value("nonce"), retry.value("nonce"));
    assert_eq!(first.body, retry.body);
    for message in [first, retry] {
        assert_eq!(verdict(&message, &WEBHOOK_KEY, "/hook", NOW), Ok(()));
    }
}

#[tokio::test]
async fn a_delivery_fails_after_15_retries() {
    let receiver = Recorder::acting(|_| status(500)).await;
    let world = world(&receiver.origin(), |settings| settings.time_scale = "1e9".parse().unwrap()).await;
    world.order("r", "1").await;
    let delivery = world.delivery("failed").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 16);
    assert_eq!(delivery["next_attempt_in"], Value::Null);
}

#[tokio::test]
async fn a_4xx_is_final_under_the_older_rule() {
    let receiver = Recorder::acting(|at| status(if at == 0 { 404 } else { 200 })).await;
    let world = world(&receiver.origin(), |settings| settings.retry_on = RetryOn::ServerError).await;
    world.order("r", "1").await;
    let delivery = world.delivery("failed").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_receiver_gets_its_webhooks_after_an_outage() {
    let closed = Closed::port();
    let url = format!("{}/hook", closed.origin());
    let world = world(&url, |_| {}).await;
    let order = world.order("r", "1").await;
    world.pay(&order, &json!({})).await.data();
    let waiting = soon(async {
        loop {
            let data = world.send(&super::world::Call::unsigned("GET", "/simulator/webhooks", "")).await.data();
            if data["webhooks"][1]["attempts"][0]["error"].is_string() {
                return data["webhooks"].clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(waiting[0]["attempts"], json!([]), "the second event waits for the first");
    let receiver = Recorder::on(closed.open(), |_| Act::ok());
    assert_eq!(receiver.next().await.value("x-action"), Some("order.created"));
    assert_eq!(receiver.next().await.value("x-action"), Some("order.paid"));
    world.delivery("acknowledged").await;
}

#[tokio::test]
async fn a_failing_order_does_not_delay_others() {
    let receiver = Recorder::acting(|at| status(if at == 0 { 500 } else { 200 })).await;
    let world = world(&receiver.origin(), |settings| settings.time_scale = "1".parse().unwrap()).await;
    world.order("a", "1").await;
    receiver.next().await;
    world.order("b", "1").await;
    assert_eq!(order(&receiver.next().await)["reference_number"], "b");
}

#[tokio::test]
async fn no_webhook_goes_to_a_host_that_is_not_allowed() {
    let receiver = Recorder::start().await;
    let world = world(&receiver.origin(), |settings| settings.url = None).await;
    world.order_to("https://shop.example/hook?token=secret").await;
    let delivery = world.delivery("refused").await;
    assert_eq!(delivery["url"], "https://shop.example/hook?…");
    assert_eq!(
        delivery["warnings"],
        json!(["shop.example is not loopback and not allowed; allow it with --webhook-allow shop.example"])
    );
    let settings = Settings { allowed_hosts: vec!["Shop.example".to_owned()], ..Settings::default() };
    for (url, expected) in [
        ("https://shop.example/hook", true),
        ("http://shop.example:3000/hook", true),
        ("https://evil.example/shop.example", false),
        ("https://shop.example.evil.example/", false),
        ("http://127.0.0.1/", true),
        ("http://127.8.9.10/", true),
        ("http://localhost/", true),
        ("http://[::1]/", true),
        ("http://169.254.169.254/latest", false),
        ("http://0.0.0.0/", false),
        ("http://localhost.evil.example/", false),
    ] {
        assert_eq!(settings.allow(&url.parse::<Callback>().unwrap()), expected, "{url}");
    }
}

#[tokio::test]
async fn an_order_without_any_url_sends_nothing() {
    let world = world("http://127.0.0.1:1", |settings| settings.url = None).await;
    world.order("r", "1").await;
    let data = world.send(&super::world::Call::unsigned("GET", "/simulator/webhooks", "")).await.data();
    assert_eq!(data["webhooks"], json!([]));
}
