//! Webhooks out of the simulator, as a receiver gets them over a real socket.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use serde_json::{Value, json};
use wonder_signer::{
    signing::{
        AppId, RequestTime, SigningKey,
        headers::Headers,
        webhook::{Accepted, Delivery, Refusal, verify},
        window::Window,
    },
    simulator::webhooks::{Callback, RetryCredential, RetryOn, Settings},
};

use super::world::{APP_ID, KEY, NOW, World, new_key};
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

/// What a receiver that verifies says of a delivery at the time `at`.
fn verdict(message: &Message, key: &SigningKey, target: &str, at: u64) -> Result<(), Refusal> {
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

mod fields {
    //! Each row of section C of the list of what real receivers read, by its name.

    use super::*;

    #[tokio::test]
    async fn method_is_post() {
        assert_eq!(method(&paid("/hook").await.0), "POST");
    }

    #[tokio::test]
    async fn content_type_is_application_json() {
        assert_eq!(paid("/hook").await.0.value("content-type"), Some("application/json"));
    }

    #[tokio::test]
    async fn credential_nonce_signature_are_of_the_webhook_key_alone() {
        let (message, ..) = paid("/hook").await;
        assert_eq!(verdict(&message, &WEBHOOK_KEY, "/hook", NOW), Ok(()));
        assert_eq!(verdict(&message, &KEY, "/hook", NOW), Err(Refusal::SignatureMismatch));
    }

    #[tokio::test]
    async fn app_id_in_credential_is_that_of_the_merchant() {
        let (message, ..) = paid("/hook").await;
        assert!(message.value("credential").unwrap().starts_with(&format!("{APP_ID}/")));
    }

    #[tokio::test]
    async fn time_in_credential_is_now() {
        let (message, ..) = paid("/hook").await;
        assert_eq!(message.value("credential").unwrap().split('/').nth(1), Some("20260214093005"));
    }

    #[tokio::test]
    async fn algorithm_part_is_wonder_rsa_sha256() {
        let (message, ..) = paid("/hook").await;
        assert_eq!(message.value("credential").unwrap().split('/').nth(2), Some("Wonder-RSA-SHA256"));
    }

    #[tokio::test]
    async fn signed_uri_is_path_and_query_of_the_callback() {
        let (message, ..) = paid("/hooks/wonder?src=w&a=%2F").await;
        assert_eq!(target(&message), "/hooks/wonder?src=w&a=%2F");
        assert_eq!(verdict(&message, &WEBHOOK_KEY, "/hooks/wonder?src=w&a=%2F", NOW), Ok(()));
        let path_alone = verdict(&message, &WEBHOOK_KEY, "/hooks/wonder", NOW);
        assert_eq!(path_alone, Err(Refusal::SignatureMismatch), "a receiver that verifies the path alone");
    }

    #[tokio::test]
    async fn characters_in_callback_that_wordpress_rejects_are_warned_of() {
        let receiver = Recorder::start().await;
        let world = world(&receiver.origin(), |_| {}).await;
        for (path, warning) in [
            ("/a+b", "answers 400"),
            ("/a:b", "answers 400"),
            ("/caf%C3%A9", "percent escapes"),
            ("/hook?src=w", "verifies the path alone"),
        ] {
            world.order_to(&format!("{}{path}", receiver.origin())).await;
            let data = world.send(&super::super::world::Call::unsigned("GET", "/simulator/webhooks", "")).await.data();
            let warnings = data["webhooks"][1]["warnings"].to_string();
            assert!(warnings.contains(warning), "{path}: {warnings}");
        }
    }

    #[tokio::test]
    async fn wc_api_in_the_query_of_a_root_path_verifies() {
        let (message, ..) = paid("/?wc-api=wonder_payment").await;
        assert_eq!(target(&message), "/?wc-api=wonder_payment");
        assert_eq!(verdict(&message, &WEBHOOK_KEY, "/?wc-api=wonder_payment", NOW), Ok(()));
    }

    #[tokio::test]
    async fn body_bytes_are_signed_raw_without_byte_order_mark_and_small() {
        let (mut message, ..) = paid("/hook").await;
        assert_eq!(message.body[0], b'{');
        assert!(message.body.len() < 200_000);
        message.body.push(b'\n');
        assert_eq!(verdict(&message, &WEBHOOK_KEY, "/hook", NOW), Err(Refusal::SignatureMismatch));
    }

    #[tokio::test]
    async fn x_action_is_always_sent_as_the_bare_name() {
        let receiver = Recorder::start().await;
        let world = world(&format!("{}/hook", receiver.origin()), |_| {}).await;
        let order = world.order("a", "120.00").await;
        world.pay(&order, &json!({ "outcome": "failure" })).await.data();
        world.pay(&order, &json!({ "amount": "20" })).await.data();
        world.pay(&order, &json!({})).await.data();
        world.refund(&order, "5").await.data();
        let unpaid = world.order("b", "1").await;
        world.post("orders/void", &json!({ "order": { "number": unpaid["number"] } })).await.data();
        let mut of = std::collections::BTreeMap::<String, Vec<String>>::new();
        for _ in 0..7 {
            let message = receiver.next().await;
            let reference = super::order(&message)["reference_number"].as_str().unwrap().to_owned();
            of.entry(reference).or_default().push(message.value("x-action").unwrap().to_owned());
        }
        let expected = ["order.created", "order.payment_failure", "order.paid", "order.paid", "order.refunded"];
        assert_eq!(of["a"], expected);
        assert_eq!(of["b"], ["order.created", "order.voided"]);
    }

    #[tokio::test]
    async fn body_shape_is_flat() {
        let body = super::order(&paid("/hook").await.0);
        assert!(body["number"].is_string() && body.get("data").is_none() && body.get("order").is_none(), "{body}");
    }

    #[tokio::test]
    async fn reference_number_is_the_merchants_string() {
        assert_eq!(super::order(&paid("/hook").await.0)["reference_number"], "INV-7781");
    }

    #[tokio::test]
    async fn number_is_the_same_string_as_in_create() {
        let (message, _, created) = paid("/hook").await;
        assert!(created["number"].is_string());
        assert_eq!(super::order(&message)["number"], created["number"]);
    }

    #[tokio::test]
    async fn state_and_correspondence_state_are_strings() {
        let body = super::order(&paid("/hook").await.0);
        assert_eq!((&body["state"], &body["correspondence_state"]), (&json!("completed"), &json!("paid")));
    }

    #[tokio::test]
    async fn currency_is_a_string() {
        assert_eq!(super::order(&paid("/hook").await.0)["currency"], "HKD");
    }

    #[tokio::test]
    async fn initial_total_is_a_number_and_paid_total_a_text() {
        let body = super::order(&paid("/hook").await.0);
        assert_eq!((&body["initial_total"], &body["paid_total"]), (&json!(120), &json!("120.00")));
    }

    #[tokio::test]
    async fn transactions_hold_a_refund_with_success_and_amount_when_refunded() {
        let receiver = Recorder::start().await;
        let world = world(&format!("{}/hook", receiver.origin()), |_| {}).await;
        let created = world.order("r", "120.00").await;
        world.pay(&created, &json!({})).await.data();
        world.refund(&created, "20.00").await.data();
        let messages = [receiver.next().await, receiver.next().await, receiver.next().await];
        assert_eq!(messages[2].value("x-action"), Some("order.refunded"));
        let transactions = super::order(&messages[2])["transactions"].clone();
        assert_eq!((&transactions[0]["type"], &transactions[0]["refunded_amount"]), (&json!("Sales"), &json!(20)));
        let refund = &transactions[1];
        assert_eq!(
            (&refund["type"], &refund["success"], &refund["amount"]),
            (&json!("Refund"), &json!(true), &json!(20))
        );
        assert!(refund["uuid"].is_string());
    }

    #[tokio::test]
    async fn transactions_begin_with_a_successful_one_and_its_payment_method() {
        let transaction = super::order(&paid("/hook").await.0)["transactions"][0].clone();
        assert_eq!((&transaction["success"], &transaction["payment_method"]), (&json!(true), &json!("credit_card")));
        assert!(transaction["uuid"].is_string());
    }

    #[tokio::test]
    async fn status_order_id_and_transaction_id_are_not_there() {
        let body = super::order(&paid("/hook").await.0);
        for name in ["status", "order_id", "transaction_id"] {
            assert!(body.get(name).is_none(), "{name}");
        }
    }
}

#[tokio::test]
async fn both_the_orders_own_url_and_the_general_one_get_each_event() {
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
async fn a_retry_carries_a_fresh_credential_when_that_is_chosen() {
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
async fn a_receiver_that_is_down_gets_its_webhooks_when_it_is_back() {
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
async fn one_order_that_fails_holds_up_no_other() {
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
