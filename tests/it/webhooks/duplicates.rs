//! Repeats of a delivery: forwarded until one copy is acknowledged, and never again.

use super::outcome;
use crate::support::{
    patience::soon,
    sidecar::until,
    upstream::{Act, Recorder},
    webhooks::{Delivery, receiver_of},
};

#[tokio::test]
async fn a_repeat_of_an_acknowledged_delivery_gets_200_and_is_not_forwarded() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let delivery = Delivery::paid();
    for _ in 0..3 {
        assert_eq!(delivery.send(address).await.status(), 200);
    }
    application.next().await;
    assert_eq!(application.waiting(), 0);
    until(sidecar.admin, &outcome("order.paid", "duplicate"), 2.0).await;
    until(sidecar.admin, "wonder_signer_webhook_duplicates_total{store=\"memory\"}", 2.0).await;
    // The same order once more, signed anew, is another delivery.
    assert_eq!(Delivery::paid().send(address).await.status(), 200);
    application.next().await;
}

#[tokio::test]
async fn a_repeat_of_a_delivery_that_was_not_acknowledged_is_forwarded() {
    for first in ["500", "404", "422"] {
        let application = Recorder::acting(move |count| match count {
            0 => Act::Answer(format!("HTTP/1.1 {first} X\r\nContent-Length: 0\r\n\r\n").into_bytes()),
            _ => Act::ok(),
        })
        .await;
        let (_sidecar, address) = receiver_of(&application, "").await;
        let delivery = Delivery::paid();
        assert!(delivery.send(address).await.status() >= 400, "{first}");
        assert_eq!(delivery.send(address).await.status(), 200, "{first}");
        assert_eq!(delivery.send(address).await.status(), 200, "{first}");
        application.next().await;
        application.next().await;
        assert_eq!(application.waiting(), 0, "{first}");
    }
}

#[tokio::test]
async fn of_copies_at_the_same_time_one_is_forwarded_and_the_others_wait_for_it() {
    let (application, permits) = Recorder::holding().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let delivery = Delivery::paid();
    let copies: Vec<_> = (0..20)
        .map(|_| {
            let delivery = delivery.clone();
            tokio::spawn(async move { delivery.send(address).await.status() })
        })
        .collect();
    application.next().await;
    permits.add_permits(1);
    for copy in copies {
        assert_eq!(soon(copy).await.unwrap(), 200);
    }
    assert_eq!(application.waiting(), 0);
    until(sidecar.admin, &outcome("order.paid", "duplicate"), 19.0).await;
}

#[tokio::test]
async fn a_copy_that_waited_is_forwarded_when_the_first_one_failed() {
    let application = Recorder::acting(|count| match count {
        0 => Act::AnswerAndClose(Vec::new()),
        _ => Act::ok(),
    })
    .await;
    let (_sidecar, address) = receiver_of(&application, "").await;
    let delivery = Delivery::paid();
    let (one, other) = tokio::join!(soon(delivery.send(address)), soon(delivery.send(address)));
    let mut both = [one.status(), other.status()];
    both.sort_unstable();
    assert_eq!(both, [200, 503]);
}

#[tokio::test]
async fn a_sender_that_hangs_up_does_not_end_the_delivery() {
    let (application, permits) = Recorder::holding().await;
    let (sidecar, address) = receiver_of(&application, "").await;
    let delivery = Delivery::paid();
    let impatient = tokio::spawn({
        let delivery = delivery.clone();
        async move { delivery.send(address).await }
    });
    application.next().await;
    impatient.abort();
    assert!(impatient.await.is_err());
    permits.add_permits(1);
    until(sidecar.admin, &outcome("order.paid", "acknowledged"), 1.0).await;
    assert_eq!(delivery.send(address).await.status(), 200);
    assert_eq!(application.waiting(), 0);
}

#[tokio::test]
async fn with_room_for_none_every_repeat_is_forwarded() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, "webhook.remember = 0").await;
    let delivery = Delivery::paid();
    for _ in 0..2 {
        assert_eq!(delivery.send(address).await.status(), 200);
        application.next().await;
    }
}
