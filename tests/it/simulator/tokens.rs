//! The payment-token calls.

use serde_json::{Value, json};

use super::world::{CARD, Call, P, World};

const ALIPAY: &str = r#"{"alipay":{"terminal_type":"WEB","return_url":"https://shop.example/back","transaction_type":"recurring_payment"}}"#;
const WECHAT: &str = r#"{"wechatpay":{"transaction_type":"recurring_payment"}}"#;

#[tokio::test]
async fn a_new_token_is_pending_for_each_payment_method() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let target = format!("{P}/customers/{uuid}/payment_tokens");
    for (body, token_type) in [(CARD, "CreditCard"), (ALIPAY, "AlipayAutoDebit"), (WECHAT, "WechatPayAutoDebit")] {
        let created = world.call("POST", &target, body).await.data();
        let token = &created["payment_token"];
        let verify_uuid = token["verify_uuid"].as_str().unwrap();
        let expected = json!({ "payment_token": {
            "token_type": token_type, "token": token["token"], "state": "pending", "default": false,
            "verify_url": format!("{}/3ds/{verify_uuid}", world.origin), "verify_uuid": verify_uuid
        }});
        assert_eq!(created, expected);
    }
    let unknown = format!("{P}/customers/0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10/payment_tokens");
    world.call("POST", &unknown, CARD).await.refused(404, "E000030");
    world.call("GET", &unknown, "").await.refused(404, "E000030");
}

#[tokio::test]
async fn a_card_number_is_shown_only_masked() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    let expected = json!({
        "token_type": "CreditCard", "token": token["token"], "state": "pending", "default": false,
        "credit_card": {
            "number": "411111******1111", "exp_month": "08", "exp_year": "31", "holder_name": "K TEA",
            "brand": "Visa", "billing_currency": "HKD"
        }
    });
    assert_eq!(world.check(&uuid, &token).await, expected);
    let page = token["verify_url"].as_str().unwrap().strip_prefix(&world.origin).unwrap().to_owned();
    for reply in [
        world.call("GET", &format!("{P}/customers/{uuid}/payment_tokens"), "").await,
        world.send(&Call::unsigned("GET", &page, "")).await,
    ] {
        assert!(reply.body.contains("411111******1111") && !reply.body.contains("4111111111111111"), "{reply:?}");
    }
}

#[tokio::test]
async fn an_invalid_card_field_is_named_and_its_value_not_repeated() {
    let world = World::plain().await;
    let target = format!("{P}/customers/{}/payment_tokens", world.customer("r").await);
    let whole: Value = serde_json::from_str(CARD).unwrap();
    for (path, value, code, said) in [
        ("/card/number", Value::Null, "E000021", "card.number is required."),
        ("/card/number", json!(4_111_111_111_111_111_u64), "E000022", "card.number must be a string."),
        ("/card/number", json!("41111111111"), "E000024", "card.number must be 12 to 19 digits"),
        ("/card/number", json!("4111 1111 1111 1111"), "E000024", "card.number must be 12 to 19 digits"),
        ("/card/exp_month", json!("13"), "E000024", "card.exp_month must be two digits, 01 to 12."),
        ("/card/exp_month", json!("8"), "E000024", "card.exp_month must be two digits, 01 to 12."),
        (
            "/card/exp_year",
            json!("25"),
            "E000024",
            "card.exp_year and exp_month are in the past: the card has expired.",
        ),
        ("/card/exp_year", json!("2031"), "E000024", "card.exp_year must be the last two digits of the year."),
        ("/card/holder_name", json!(""), "E000021", "card.holder_name is required."),
        ("/card/transaction_type", json!("one_off"), "E000024", "card.transaction_type must be one of: partial_"),
        ("/card/transaction_type", Value::Null, "E000021", "card.transaction_type is required."),
        ("/card/billing_address/country_code", json!("HK"), "E000024", "card.billing_address.country_code must be"),
        ("/card/billing_address/city", json!("x".repeat(256)), "E000023", "card.billing_address.city has more than"),
        ("/card/3ds", json!("x"), "E000022", "card.3ds must be an object."),
        ("/card/3ds/fail_return_url", Value::Null, "E000021", "card.3ds.fail_return_url is required."),
        ("/card/3ds/success_return_url", json!("javascript:alert(1)"), "E000024", "card.3ds.success_return_url must"),
        ("/card/3ds/success_return_url", json!("/ok"), "E000024", "card.3ds.success_return_url must"),
        ("/card", Value::Null, "E000024", "body needs exactly one of: card, alipay, wechatpay."),
    ] {
        let mut body = whole.clone();
        *body.pointer_mut(path).unwrap() = value;
        let message = world.call("POST", &target, &body.to_string()).await.refused(400, code);
        assert!(message.starts_with(said), "{path}: {message}");
        assert!(!message.contains("411"), "{message}");
    }
    let both = r#"{"alipay":{"transaction_type":"no_show"},"wechatpay":{"transaction_type":"no_show"}}"#;
    world.call("POST", &target, both).await.refused(400, "E000024");
    let terminal = r#"{"alipay":{"terminal_type":"TV","transaction_type":"no_show"}}"#;
    let message = world.call("POST", &target, terminal).await.refused(400, "E000024");
    assert_eq!(message, "alipay.terminal_type must be one of: WEB, WAP, official_account.");
    world.call("POST", &target, r#"{"alipay":{}}"#).await.refused(400, "E000021");
}

#[tokio::test]
async fn a_token_is_also_found_under_the_literal_segment_uuid() {
    let world = World::plain().await;
    let (uuid, other) = (world.customer("r").await, world.customer("s").await);
    let token = world.card(&uuid).await;
    assert_eq!(world.check("uuid", &token).await, world.check(&uuid, &token).await);

    let target = format!("{P}/customers/{uuid}/payment_tokens/check");
    let body = json!({ "payment_token": { "token": token["token"], "verify_uuid": token["verify_uuid"] } });
    world.call("POST", &target, &body.to_string()).await.data();
    world
        .call("POST", &format!("{P}/customers/{other}/payment_tokens/check"), &body.to_string())
        .await
        .refused(404, "E000031");
    world
        .call("POST", &format!("{P}/customers/x/payment_tokens/check"), &body.to_string())
        .await
        .refused(404, "E000030");
    let body = json!({ "payment_token": { "token": token["token"], "verify_uuid": token["token"] } });
    world.call("POST", &target, &body.to_string()).await.refused(404, "E000031");
    let message = world.call("POST", &target, r#"{"payment_token":{}}"#).await.refused(400, "E000021");
    assert_eq!(message, "payment_token.token is required.");
}

#[tokio::test]
async fn tokens_are_listed_by_type() {
    let world = World::plain().await;
    let target = format!("{P}/customers/{}/payment_tokens", world.customer("r").await);
    for body in [WECHAT, CARD, ALIPAY] {
        world.call("POST", &target, body).await.data();
    }
    for (query, types) in [
        ("", &["WechatPayAutoDebit", "CreditCard", "AlipayAutoDebit"][..]),
        ("?token_type=Gateway", &["CreditCard"]),
        ("?token_type=CreditCard", &["CreditCard"]),
        ("?token_type=Gateway,AlipayAutoDebit", &["CreditCard", "AlipayAutoDebit"]),
        ("?token_type=AlipayAutoDebit%2CWechatPayAutoDebit", &["WechatPayAutoDebit", "AlipayAutoDebit"]),
    ] {
        let data = world.call("GET", &format!("{target}{query}"), "").await.data();
        let listed: Vec<_> =
            data["payment_tokens"].as_array().unwrap().iter().map(|t| t["token_type"].clone()).collect();
        assert_eq!(listed, types, "{query}");
    }
    world.call("GET", &format!("{target}?token_type=Cash"), "").await.refused(400, "E000024");
}

#[tokio::test]
async fn the_first_approved_token_is_the_default_until_changed() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let target = format!("{P}/customers/{uuid}");
    let (first, second) = (world.card(&uuid).await, world.card(&uuid).await);
    let set =
        async |token: &Value| world.call("PUT", &target, &json!({ "default_payment_token": token }).to_string()).await;

    set(&first["token"]).await.refused(400, "E000024");
    world.press(&first, "approve").await;
    world.press(&second, "approve").await;
    assert_eq!(world.check(&uuid, &first).await["default"], true);
    assert_eq!(world.check(&uuid, &second).await["default"], false);

    let customer = set(&second["token"]).await.data()["customer"].clone();
    assert_eq!(customer["default_payment_method"], "Credit Card");
    assert_eq!(customer["default_payment_token"], world.check(&uuid, &second).await);
    assert_eq!(customer["default_payment_token"]["default"], true);
    assert_eq!(world.check(&uuid, &first).await["default"], false);

    assert_eq!(set(&"".into()).await.data()["customer"]["default_payment_token"], Value::Null);
    assert_eq!(world.check(&uuid, &second).await["default"], false);
}

/// NOW is in February 2026.
#[tokio::test]
async fn a_card_is_accepted_until_its_last_month_ends() {
    let world = World::plain().await;
    let target = format!("{P}/customers/{}/payment_tokens", world.customer("r").await);
    for (month, year, taken) in [
        ("02", "26", true),
        ("01", "26", false),
        ("12", "25", false),
        ("01", "27", true),
        ("12", "99", true),
        ("12", "00", false),
    ] {
        let mut body: Value = serde_json::from_str(CARD).unwrap();
        (body["card"]["exp_month"], body["card"]["exp_year"]) = (month.into(), year.into());
        let reply = world.call("POST", &target, &body.to_string()).await;
        if taken {
            assert_eq!(reply.data()["payment_token"]["state"], "pending", "{month}/{year}");
        } else {
            reply.refused(400, "E000024");
        }
    }
    let listed = world.call("GET", &target, "").await.data();
    assert_eq!(listed["payment_tokens"].as_array().unwrap().len(), 3, "a refused card leaves nothing");
}

#[tokio::test]
async fn the_cards_of_the_sandbox_are_frictionless_or_have_a_challenge() {
    let world = World::plain().await;
    for (number, brand, state) in [
        ("4440000042200011", "Visa", "success"),
        ("4440000009900010", "Visa", "pending"),
        ("5123456789012345", "Mastercard", "success"),
        ("5123450000000008", "Mastercard", "pending"),
        ("4111111111111112", "Visa", "pending"),
    ] {
        let uuid = world.customer(number).await;
        let mut body: Value = serde_json::from_str(CARD).unwrap();
        body["card"]["number"] = number.into();
        let target = format!("{P}/customers/{uuid}/payment_tokens");
        let token = world.call("POST", &target, &body.to_string()).await.data()["payment_token"].clone();
        let frictionless = state == "success";
        assert_eq!(
            (&token["state"], &token["default"], token["verify_url"].is_null(), token["verify_uuid"].is_string()),
            (&state.into(), &frictionless.into(), frictionless, true),
            "{number}"
        );
        let checked = world.check(&uuid, &token).await;
        assert_eq!(
            (&checked["state"], &checked["credit_card"]["brand"], checked.get("error_code")),
            (&state.into(), &brand.into(), None),
            "{number}"
        );
        if !frictionless {
            world.press(&token, "decline").await;
            let failed = world.check(&uuid, &token).await;
            assert_eq!((&failed["state"], &failed["error_code"]), (&"failed".into(), &"3DS_DECLINED".into()));
            assert!(failed["error_msg"].is_string(), "{failed}");
        }
    }
}

#[tokio::test]
async fn a_token_named_in_the_body_is_deleted() {
    let world = World::plain().await;
    let (uuid, other) = (world.customer("r").await, world.customer("s").await);
    let (token, kept) = (world.card(&uuid).await, world.card(&uuid).await);
    let target = format!("{P}/customers/{uuid}/payment_tokens");
    let body = json!({ "token": token["token"] }).to_string();
    let theirs = format!("{P}/customers/{other}/payment_tokens");
    let unknown = format!("{P}/customers/0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10/payment_tokens");
    for (target, body, status, code) in [
        (&theirs, &body[..], 404, "E000031"),
        (&unknown, &body, 404, "E000030"),
        (&target, "", 400, "E000020"),
        (&target, "[]", 400, "E000022"),
        (&target, "{}", 400, "E000021"),
        (&target, r#"{"token":7}"#, 400, "E000022"),
        (&target, r#"{"token":"x"}"#, 404, "E000031"),
        (&target, r#"{"token":"0c6f6a3e-2d53-4f6b-9f55-3a1d6a0c7a10"}"#, 404, "E000031"),
    ] {
        world.call("DELETE", target, body).await.refused(status, code);
    }
    assert_eq!(world.call("DELETE", &target, &body).await.data(), json!({ "success": true }));
    world.call("DELETE", &target, &body).await.refused(404, "E000031");
    let listed = world.call("GET", &target, "").await.data();
    assert_eq!(listed["payment_tokens"].as_array().unwrap().len(), 1);
    assert_eq!(listed["payment_tokens"][0]["token"], kept["token"]);
}

#[tokio::test]
async fn a_deleted_token_is_gone_and_no_longer_the_default() {
    let world = World::plain().await;
    let (uuid, other) = (world.customer("r").await, world.customer("s").await);
    let token = world.card(&uuid).await;
    world.press(&token, "approve").await;
    let id = token["token"].as_str().unwrap();
    let target = format!("{P}/customers/{uuid}/payment_tokens/{id}");

    world.call("DELETE", &format!("{P}/customers/{other}/payment_tokens/{id}"), "").await.refused(404, "E000031");
    assert_eq!(world.call("DELETE", &target, "").await.data(), json!({ "success": true }));
    world.call("DELETE", &target, "").await.refused(404, "E000031");
    let customer = world.call("GET", &format!("{P}/customers/{uuid}"), "").await.data()["customer"].clone();
    assert_eq!((&customer["default_payment_method"], &customer["default_payment_token"]), (&"".into(), &Value::Null));
    let listed = world.call("GET", &format!("{P}/customers/{uuid}/payment_tokens"), "").await.data();
    assert_eq!(listed, json!({ "payment_tokens": [] }));
    assert_eq!(world.press(&token, "decline").await.status, 404);
}
