//! The webhook listener: the requests that the application receives, and the answers that Wonder receives.

mod application;
mod copies;
mod drain;
mod duplicates;
mod ends;
mod hops;
mod keys;
mod malformed;
mod own_listeners;
mod password;
mod rotation;
mod routes;
mod threats;
mod wire;

use crate::support::{
    closed::Closed,
    sidecar::APP_ID,
    upstream::{Act, Recorder},
    webhooks::{Delivery, PAID, receiver, receiver_of},
    wire::Message,
};

/// The metric series of one outcome.
pub(crate) fn outcome(action: &str, outcome: &str) -> String {
    format!("wonder_signer_webhooks_total{{action=\"{action}\",credential=\"default\",outcome=\"{outcome}\"}}")
}

fn answer(status: &str) -> Act {
    Act::Answer(
        format!("HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nANSWER").into_bytes(),
    )
}

/// The answer to Wonder if the application answers a delivery with `status`.
async fn answered(status: &'static str) -> (Message, String) {
    let application = Recorder::acting(move |_| answer(status)).await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let answer = Delivery::paid().send(address).await;
    application.next().await;
    let metrics =
        crate::support::wire::exchange(sidecar.admin, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let counted = metrics.text();
    let outcome = counted
        .lines()
        .filter_map(|line| line.strip_prefix("wonder_signer_webhooks_total{")?.strip_suffix(" 1"))
        .map(|labels| labels.split("outcome=\"").nth(1).unwrap().trim_end_matches("\"}").to_owned())
        .collect::<Vec<_>>()
        .join(",");
    (answer, outcome)
}

#[tokio::test]
async fn the_application_receives_the_body_byte_for_byte_and_the_verifying_credential() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let body = "{ \"number\" : \"1\", \"note\":\"\\u00e9\\/ \", \"correspondence_state\":\"partial_paid\"}\r\n";
    let delivery = Delivery::at(crate::support::webhooks::now() - 90, "/hooks/wonder?src=w&x=%2f+", body)
        .and("X-Request-ID", "theirs")
        .and("X-Wonder-Signer-Verified", "forged")
        .and("X-Wonder-Signer-Paid", "yes")
        .and("x_wonder_signer_paid", "yes")
        .and("X-Wonder-Signer-Other", "forged")
        .and("X-HTTP-Method-Override", "DELETE")
        .and("X-Original-URL", "/admin")
        .and("Cookie", "session=theirs")
        .and("Connection", "keep-alive, X-Hop")
        .and("X-Hop", "1")
        .and("X-Forwarded-For", "119.8.39.23")
        .and("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let answer = delivery.send(address).await;
    assert_eq!((answer.status(), answer.text().as_str()), (200, ""));
    let received = application.next().await;
    assert_eq!(received.start_line(), "POST /hooks/wonder?src=w&x=%2f+ HTTP/1.1");
    assert_eq!(received.body, body.as_bytes());
    let id = received.value("x-request-id").unwrap();
    assert_eq!((id.len(), answer.value("x-request-id")), (36, Some(id)));
    let time = received.value("x-wonder-signer-webhook-time").unwrap();
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits, delivery.value("credential").split('/').nth(1).unwrap(), "{time}");
    assert!(time.as_bytes()[10] == b'T' && time.ends_with('Z'), "{time}");
    for (name, value) in [
        ("host", Some(application.address().to_string())),
        ("x-wonder-signer-verified", Some("default".to_owned())),
        ("x-wonder-signer-app-id", Some(APP_ID.to_owned())),
        ("x-wonder-signer-paid", Some("partial".to_owned())),
        ("x-action", Some("order.paid".to_owned())),
        ("content-type", Some("application/json".to_owned())),
        ("content-length", Some(body.len().to_string())),
        ("x-forwarded-for", Some("119.8.39.23".to_owned())),
        ("traceparent", Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned())),
        ("credential", None),
        ("nonce", None),
        ("signature", None),
        ("cookie", None),
        ("x_wonder_signer_paid", None),
        ("x-wonder-signer-other", None),
        ("x-http-method-override", None),
        ("x-original-url", None),
        ("x-hop", None),
        ("connection", None),
    ] {
        assert_eq!(received.value(name), value.as_deref(), "{name}");
    }
    let forwarded = sidecar.metric("wonder_signer_webhook_duration_seconds_count{phase=\"forward\"}").await;
    assert!((forwarded - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn each_application_status_becomes_an_answer_that_fits_wonders_retry_rules() {
    for (status, wonders, counted, body) in [
        ("200", 200, "acknowledged", ""),
        ("201", 200, "acknowledged", ""),
        ("299", 200, "acknowledged", ""),
        ("302", 503, "failed", "application_failed"),
        ("404", 503, "failed", "application_failed"),
        ("408", 503, "failed", "application_failed"),
        ("425", 503, "failed", "application_failed"),
        ("429", 503, "failed", "application_failed"),
        ("500", 503, "failed", "application_failed"),
        ("503", 503, "failed", "application_failed"),
        ("400", 400, "refused", "ANSWER"),
        ("401", 401, "refused", "ANSWER"),
        ("410", 410, "refused", "ANSWER"),
        ("422", 422, "refused", "ANSWER"),
    ] {
        let (answer, outcome) = answered(status).await;
        assert_eq!((answer.status(), outcome.as_str()), (wonders, counted), "{status}");
        match body {
            "application_failed" => {
                assert_eq!(answer.contract(), (503, "application_failed".to_owned(), "no".to_owned()), "{status}");
                assert_eq!(answer.value("retry-after"), Some("1"), "{status}");
            }
            body => {
                assert_eq!(answer.text(), body, "{status}");
                assert_eq!(answer.value("x-wonder-signer-error"), None, "{status}");
            }
        }
    }
}

#[tokio::test]
async fn a_webhook_is_delivered_again_if_the_application_is_unreachable_or_disconnects() {
    for act in [
        Act::AnswerAndClose(Vec::new()),
        Act::AnswerAndClose(b"HTTP/1.1 2".to_vec()),
        Act::AnswerAndClose(b"no HTTP\r\n\r\n".to_vec()),
    ] {
        let application = Recorder::acting(move |count| if count == 0 { act.clone() } else { Act::ok() }).await;
        let (sidecar, address) = receiver_of(&application, "").await;
        let delivery = Delivery::paid();
        assert_eq!(delivery.send(address).await.contract().0, 503);
        assert_eq!(delivery.send(address).await.status(), 200);
        crate::support::sidecar::until(sidecar.admin, &outcome("order.paid", "unreachable"), 1.0).await;
        crate::support::sidecar::until(sidecar.admin, &outcome("order.paid", "acknowledged"), 1.0).await;
    }
    let closed = Closed::port();
    let (_sidecar, address) = receiver(&closed.origin(), "").await;
    assert_eq!(Delivery::paid().send(address).await.contract().0, 503);
}

#[tokio::test]
async fn a_webhook_is_delivered_again_if_the_application_times_out() {
    let application = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let (sidecar, address) = receiver_of(&application, "webhook.forward_timeout = \"30ms\"").await;
    assert_eq!(Delivery::paid().send(address).await.contract().0, 503);
    crate::support::sidecar::until(sidecar.admin, &outcome("order.paid", "timeout"), 1.0).await;
}

#[tokio::test]
async fn a_2xx_status_acknowledges_even_if_the_body_breaks() {
    let application =
        Recorder::acting(|_| Act::AnswerAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec())).await;
    let (_sidecar, address) = receiver_of(&application, "").await;
    assert_eq!(Delivery::paid().send(address).await.status(), 200);
}

#[tokio::test]
async fn webhooks_without_an_order_have_no_hint_and_unknown_actions_are_accepted() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let secret = Delivery::of("/", r#"{"otp":"123456"}"#).with("X-Action", "card.3ds_otp");
    assert_eq!(secret.send(address).await.status(), 200);
    let received = application.next().await;
    assert_eq!((received.value("x-action"), received.value("x-wonder-signer-paid")), (Some("card.3ds_otp"), None));
    assert_eq!(Delivery::of("/", PAID).without("X-Action").send(address).await.status(), 200);
    let received = application.next().await;
    assert_eq!((received.value("x-action"), received.value("x-wonder-signer-paid")), (None, Some("yes")));
    crate::support::sidecar::until(sidecar.admin, &outcome("other", "acknowledged"), 2.0).await;
}
