//! One test for each part of a delivery that real receivers read, named after it.

use serde_json::json;
use wonder_signer::signing::webhook::DeliveryError;

use super::{WEBHOOK_KEY, method, paid, target, verdict, world};
use crate::{
    simulator::world::{APP_ID, KEY, NOW},
    support::upstream::Recorder,
};

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
    assert_eq!(verdict(&message, &KEY, "/hook", NOW), Err(DeliveryError::SignatureMismatch));
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
    assert_eq!(path_alone, Err(DeliveryError::SignatureMismatch), "a receiver that verifies the path alone");
}

#[tokio::test]
async fn a_callback_with_characters_that_wordpress_rejects_is_warned_about() {
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
    assert_eq!(verdict(&message, &WEBHOOK_KEY, "/hook", NOW), Err(DeliveryError::SignatureMismatch));
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
async fn initial_total_is_a_number_and_paid_total_a_string() {
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
    assert_eq!((&refund["type"], &refund["success"], &refund["amount"]), (&json!("Refund"), &json!(true), &json!(20)));
    assert!(refund["uuid"].is_string());
}

#[tokio::test]
async fn transactions_begin_with_a_successful_one_and_its_payment_method() {
    let transaction = super::order(&paid("/hook").await.0)["transactions"][0].clone();
    assert_eq!((&transaction["success"], &transaction["payment_method"]), (&json!(true), &json!("credit_card")));
    assert!(transaction["uuid"].is_string());
}

#[tokio::test]
async fn status_order_id_and_transaction_id_are_absent() {
    let body = super::order(&paid("/hook").await.0);
    for name in ["status", "order_id", "transaction_id"] {
        assert!(body.get(name).is_none(), "{name}");
    }
}
