//! The signature check: each attack is rejected, and each honest request that a careless verifier would reject is accepted.

use super::world::{APP_ID, Call, KEY, NOW, P, World, new_key};

const ECHO: &str = "/svc/payment/api/v1/openapi/echo";
const HI: &str = r#"{"message":"hi"}"#;

#[tokio::test]
async fn a_request_without_one_of_the_three_headers_is_rejected() {
    let world = World::plain().await;
    for name in ["Credential", "Nonce", "Signature"] {
        let message = world.send(&Call::signed("POST", ECHO, HI).without(name)).await.refused(401, "E000001");
        assert!(message.starts_with(&format!("The {name} header is missing.")), "{message}");
    }
}

#[tokio::test]
async fn a_repeated_header_is_rejected_even_with_the_same_value() {
    let world = World::plain().await;
    for name in ["Credential", "Nonce", "Signature"] {
        let call = Call::signed("POST", ECHO, HI);
        let value = call.get(name);
        let message = world.send(&call.header(&name.to_lowercase(), &value)).await.refused(401, "E000001");
        assert!(message.starts_with(&format!("The {name} header occurs more than once.")), "{message}");
    }
}

#[tokio::test]
async fn a_malformed_credential_is_rejected() {
    let world = World::plain().await;
    for (credential, said) in [
        (format!("{APP_ID}/20260214093005"), "It does not have the three parts"),
        (format!("{APP_ID}/20260214093005/Wonder-RSA-SHA256/x"), "It does not have the three parts"),
        (format!("{APP_ID}/20260214093005/Wonder-RSA-SHA512"), "The third part is not"),
        ("shop/20260214093005/Wonder-RSA-SHA256".to_owned(), "The AppID is not a UUID"),
        (format!("{APP_ID}/2026-02-14T09:30:05Z/Wonder-RSA-SHA256"), "The request time is not"),
        (format!("{APP_ID}/20260230093005/Wonder-RSA-SHA256"), "The request time is not"),
        ("é".to_owned(), "It does not have the three parts"),
        (String::new(), "It does not have the three parts"),
    ] {
        let call = Call::signed("POST", ECHO, HI).replace("Credential", &credential);
        let message = world.send(&call).await.refused(401, "E000002");
        assert!(message.starts_with(&format!("Invalid Credential Format. {said}")), "{credential}: {message}");
    }
}

#[tokio::test]
async fn an_unknown_app_id_is_rejected_even_with_a_known_key() {
    let world = World::plain().await;
    let other = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e12";
    let call = Call::signed_with(&KEY, other, NOW, "POST", ECHO, HI);
    world.send(&call).await.refused(401, "E000003");
}

#[tokio::test]
async fn a_time_over_half_an_hour_away_is_rejected_and_the_last_second_accepted() {
    let world = World::plain().await;
    let at = |time| Call::signed_with(&KEY, APP_ID, time, "POST", ECHO, HI);
    let message = world.send(&at(NOW - 1801)).await.refused(401, "E000004");
    assert!(message.starts_with("The request time is 1801 seconds behind"), "{message}");
    let message = world.send(&at(NOW + 1801)).await.refused(401, "E000004");
    assert!(message.starts_with("The request time is 1801 seconds ahead"), "{message}");
    world.send(&at(NOW - 1800)).await.data();
    world.send(&at(NOW + 1800)).await.data();
}

#[tokio::test]
async fn a_malformed_nonce_is_rejected() {
    let world = World::plain().await;
    for nonce in ["", "short", "q7Zt1LmX0aRc9KpVx", "q7Zt1LmX0aRc9Kp-", "8e6a0d3a-1c9f-2b44-8e6a-0d3a1c9f2b44"] {
        world.send(&Call::signed("POST", ECHO, HI).replace("Nonce", nonce)).await.refused(401, "E000005");
    }
}

#[tokio::test]
async fn a_replayed_request_is_rejected_until_its_time_expires() {
    let world = World::plain().await;
    let call = Call::signed_with(&KEY, APP_ID, NOW + 1800, "POST", ECHO, HI);
    world.send(&call).await.data();
    world.send(&call).await.refused(401, "E000006");
    world.set_clock(NOW + 3600);
    world.send(&call).await.refused(401, "E000006");
    world.set_clock(NOW + 3601);
    world.send(&call).await.refused(401, "E000004");
}

#[tokio::test]
async fn one_of_many_concurrent_copies_is_accepted() {
    let world = World::plain().await;
    let call = Call::signed("POST", ECHO, HI);
    let replies = tokio::join!(world.send(&call), world.send(&call), world.send(&call), world.send(&call));
    let mut statuses = [replies.0.status, replies.1.status, replies.2.status, replies.3.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401]);
}

#[tokio::test]
async fn a_wrongly_signed_request_does_not_use_up_a_nonce() {
    let world = World::plain().await;
    let call = Call::signed("POST", ECHO, HI);
    let forged = call.clone().replace("Signature", &Call::signed("POST", ECHO, HI).get("Signature"));
    world.send(&forged).await.refused(401, "E000008");
    world.send(&call).await.data();
}

#[tokio::test]
async fn a_signature_that_is_not_standard_base64_is_rejected() {
    let world = World::plain().await;
    let signature = Call::signed("POST", ECHO, HI).get("Signature");
    for signature in ["", "not base64!", signature.trim_end_matches('='), &signature.replace(['A', 'B', 'C'], "_")] {
        world.send(&Call::signed("POST", ECHO, HI).replace("Signature", signature)).await.refused(401, "E000007");
    }
}

#[tokio::test]
async fn another_key_is_rejected_and_the_registered_one_named() {
    let world = World::plain().await;
    let call = Call::signed_with(&new_key(), APP_ID, NOW, "POST", ECHO, HI);
    let message = world.send(&call).await.refused(401, "E000008");
    assert!(message.contains(KEY.verifying_key().fingerprint()), "{message}");
    assert!(message.contains("a target of 32 bytes and a body of 16 bytes"), "{message}");
}

#[tokio::test]
async fn a_wrong_signature_gets_its_cause_or_the_usual_causes() {
    let world = World::plain().await;
    let mut call = Call::signed("GET", &format!("{P}/customers"), "");
    call.target = format!("{P}/customers?limit=5");
    let message = world.send(&call).await.refused(401, "E000008");
    assert!(message.contains(" Cause: the target was signed without its query; sign path and query"), "{message}");

    let call = Call::signed_with(&new_key(), APP_ID, NOW, "POST", ECHO, HI);
    let message = world.send(&call).await.refused(401, "E000008");
    assert!(message.contains(" Cause: the signature was made with another private key;"), "{message}");

    let mut call = Call::signed("POST", ECHO, HI);
    call.body = br#"{"message":"ho"}"#.into();
    let message = world.send(&call).await.refused(401, "E000008");
    assert!(message.contains("a body of 16 bytes arrived. Usual causes: "), "{message}");
}

#[tokio::test]
async fn a_changed_body_is_rejected() {
    let world = World::plain().await;
    for body in [r#"{"message":"ho"}"#, "{\"message\":\"hi\"}\n", r#"{"message": "hi"}"#, ""] {
        let mut call = Call::signed("POST", ECHO, HI);
        call.body = body.into();
        world.send(&call).await.refused(401, "E000008");
    }
    let mut call = Call::signed("POST", ECHO, "");
    call.body = b" ".into();
    world.send(&call).await.refused(401, "E000008");
}

#[tokio::test]
async fn a_changed_target_is_rejected() {
    let world = World::plain().await;
    let signed = format!("{P}/customers?limit=5&offset=%2B0");
    for sent in [
        format!("{P}/customers"),
        format!("{P}/customers?limit=6&offset=%2B0"),
        format!("{P}/customers?limit=5&offset=%2b0"),
        format!("{P}/customers?limit=5&offset=+0"),
        format!("{P}/customers?offset=%2B0&limit=5"),
        format!("{P}/customers?limit=5&offset=%2B0&"),
        format!("{P}/./customers?limit=5&offset=%2B0"),
    ] {
        let mut call = Call::signed("GET", &signed, "");
        call.target = sent;
        world.send(&call).await.refused(401, "E000008");
    }
}

#[tokio::test]
async fn a_changed_method_time_or_nonce_is_rejected() {
    let world = World::plain().await;
    let mut call = Call::signed("POST", ECHO, HI);
    call.method = "PUT".into();
    world.send(&call).await.refused(401, "E000008");
    let call = Call::signed("POST", ECHO, HI);
    let credential = call.get("Credential").replace("20260214093005", "20260214093006");
    world.send(&call.replace("Credential", &credential)).await.refused(401, "E000008");
    let call = Call::signed("POST", ECHO, HI).replace("Nonce", "q7Zt1LmX0aRc9KpV");
    world.send(&call).await.refused(401, "E000008");
}

#[tokio::test]
async fn x_skip_signature_does_not_skip_the_check() {
    let world = World::plain().await;
    world.send(&Call::unsigned("POST", ECHO, HI).header("X-Skip-Signature", "True")).await.refused(401, "E000001");
    let forged = Call::signed("POST", ECHO, HI).replace("Signature", "c2hhMjU2").header("X-Skip-Signature", "True");
    world.send(&forged).await.refused(401, "E000008");
}

#[tokio::test]
async fn the_signature_is_checked_before_the_route() {
    let world = World::plain().await;
    for (method, target) in [("GET", "/svc/nothing"), ("PATCH", ECHO), ("GET", "/svc/")] {
        world.send(&Call::unsigned(method, target, "")).await.refused(401, "E000001");
    }
}

#[tokio::test]
async fn the_target_is_verified_as_it_was_sent() {
    let world = World::plain().await;
    for query in [
        "?linked_source_type=User&x[a][_in]=b,c&t=2026-01-01T00:00:00+08:00",
        "?x%5Ba%5D=%2f%2F&y=+&z=%20",
        "?",
        "?x=%C3%A9&y=%22q%22&z={'|'}",
        "?x=?&&",
    ] {
        world.call("GET", &format!("{P}/customers{query}"), "").await.data();
    }
    for target in ["/svc//payment/x", "/svc/a/../b", "/svc/a/%2e%2e/b", "/svc/%FF", "/svc/a;b=c"] {
        world.call("GET", target, "").await.refused(404, "E000032");
    }
    world.call("post", ECHO, HI).await.refused(405, "E000040");
}
