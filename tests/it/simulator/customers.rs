//! The customer calls.

use serde_json::{Value, json};

use super::world::{Call, NOW, P, World, new_key};

#[tokio::test]
async fn echo_returns_any_message_on_both_paths() {
    let world = World::plain().await;
    for path in ["/svc/payment/api/v1/echo", "/svc/payment/api/v1/openapi/echo"] {
        assert_eq!(world.call("POST", path, r#"{"message":"hi"}"#).await.data(), json!({ "message": "hi" }));
        assert_eq!(world.call("POST", path, r#"{"message":[1]}"#).await.data(), json!({ "message": [1] }));
        assert_eq!(world.call("POST", path, "{}").await.refused(400, "E000021"), "message is required.");
        assert_eq!(world.call("POST", path, "[]").await.refused(400, "E000022"), "body must be an object.");
        assert_eq!(world.call("POST", path, "").await.refused(400, "E000020"), "The body is not JSON.");
    }
}

#[tokio::test]
async fn a_customer_keeps_its_uuid_when_created_again() {
    let world = World::plain().await;
    let target = format!("{P}/customers");
    let body = r#"{"customer":{"name":"Kestrel Tea Room","email":"books@kestrel.example","dial_code":"+852","phone":"55501234","company_name":"Kestrel Ltd","reference_number":"KTR-0042"}}"#;
    let created = world.call("POST", &target, body).await.data();
    let uuid = created["customer"]["uuid"].as_str().unwrap();
    assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
    let expected = json!({ "customer": {
        "uuid": uuid, "name": "Kestrel Tea Room", "email": "books@kestrel.example", "dial_code": "+852",
        "phone": "55501234", "reference_number": "KTR-0042", "default_payment_method": "", "default_payment_token": null
    }});
    assert_eq!(created, expected);

    let body = r#"{"customer":{"name":"Kestrel","phone":"1","reference_number":"KTR-0042"}}"#;
    let updated = world.call("POST", &target, body).await.data();
    assert_eq!(updated["customer"]["uuid"], uuid);
    assert_eq!(updated["customer"]["name"], "Kestrel");
    assert_eq!(updated["customer"]["phone"], "1");
    assert_eq!(updated["customer"]["email"], "books@kestrel.example");
    assert_eq!(world.call("GET", &target, "").await.get("x-total-entries"), Some("1"));
}

#[tokio::test]
async fn a_missing_long_or_mistyped_field_is_named() {
    let world = World::plain().await;
    let whole = json!({ "name": "n", "phone": "p", "reference_number": "r" });
    let long = "é".repeat(256);
    for (field, value, code, message) in [
        ("name", Value::Null, "E000021", "customer.name is required."),
        ("name", json!(" "), "E000021", "customer.name is required."),
        ("phone", json!(""), "E000021", "customer.phone is required."),
        ("reference_number", Value::Null, "E000021", "customer.reference_number is required."),
        ("phone", json!(55_501_234), "E000022", "customer.phone must be a string."),
        ("name", json!(long), "E000023", "customer.name has more than 255 characters."),
        ("email", json!(long), "E000023", "customer.email has more than 255 characters."),
        ("company_name", json!(long), "E000023", "customer.company_name has more than 255 characters."),
        ("reference_number", json!(long), "E000023", "customer.reference_number has more than 255 characters."),
        ("dial_code", json!("+852000"), "E000023", "customer.dial_code has more than 6 characters."),
    ] {
        let mut customer = whole.clone();
        customer[field] = value;
        let body = json!({ "customer": customer }).to_string();
        assert_eq!(world.call("POST", &format!("{P}/customers"), &body).await.refused(400, code), message);
    }
    let bodies = [("{}", "E000021"), (r#"{"customer":[]}"#, "E000022"), ("{", "E000020"), ("\u{feff}{}", "E000020")];
    for (body, code) in bodies {
        world.call("POST", &format!("{P}/customers"), body).await.refused(400, code);
    }
    let mut customer = whole.clone();
    customer["name"] = "é".repeat(255).into();
    world.call("POST", &format!("{P}/customers"), &json!({ "customer": customer }).to_string()).await.data();
}

#[tokio::test]
async fn an_unknown_default_method_or_token_is_rejected() {
    let world = World::plain().await;
    let target = format!("{P}/customers/{}", world.customer("r").await);
    let message = world.call("PUT", &target, r#"{"default_payment_method":"Cheque"}"#).await.refused(400, "E000024");
    assert!(message.starts_with("default_payment_method must be one of: Credit Card, Alipay,"), "{message}");
    for token in ["7a4b2f10-9f0e-4c61-8b0e-5d2f1c3e9a77", "x"] {
        let body = json!({ "name": "changed", "default_payment_token": token }).to_string();
        world.call("PUT", &target, &body).await.refused(404, "E000031");
    }
    assert_eq!(world.call("GET", &target, "").await.data()["customer"]["name"], "Kestrel Tea Room");
}

#[tokio::test]
async fn an_edit_changes_only_the_given_fields() {
    let world = World::plain().await;
    let uuid = world.customer("KTR-0042").await;
    let target = format!("{P}/customers/{uuid}");
    let body = r#"{"name":"","email":"","phone":"","dial_code":"","default_payment_method":"Alipay"}"#;
    let edited = world.call("PUT", &target, body).await.data()["customer"].clone();
    let expected = json!({
        "uuid": uuid, "name": "Kestrel Tea Room", "email": "books@kestrel.example", "dial_code": "",
        "phone": "55501234", "reference_number": "KTR-0042", "default_payment_method": "Alipay",
        "default_payment_token": null
    });
    assert_eq!(edited, expected);
    let body = r#"{"name":"Kestrel Tea House","reference_number":"KTR-0042","default_payment_method":""}"#;
    let edited = world.call("PUT", &target, body).await.data()["customer"].clone();
    assert_eq!((&edited["name"], &edited["default_payment_method"]), (&"Kestrel Tea House".into(), &"".into()));
    let message = world.call("PUT", &target, r#"{"reference_number":"other"}"#).await.refused(400, "E000024");
    assert_eq!(message, "reference_number cannot be changed.");
}

#[tokio::test]
async fn a_customer_is_found_by_uuid_and_by_any_reference_number() {
    let world = World::plain().await;
    for (reference_number, encoded) in [
        ("KTR-0042", "KTR-0042"),
        ("a/b c", "a%2Fb%20c"),
        ("50%", "50%25"),
        ("a+b", "a+b"),
        ("茶", "%E8%8C%B6"),
        ("..", "%2e%2e"),
    ] {
        let uuid = world.customer(reference_number).await;
        let by_uuid = world.call("GET", &format!("{P}/customers/{uuid}"), "").await.data();
        assert_eq!(by_uuid["customer"]["reference_number"], reference_number);
        let by_reference = world.call("GET", &format!("{P}/customers/ref/{encoded}"), "").await.data();
        assert_eq!(by_reference, by_uuid);
    }
    for target in ["customers/ref/none", "customers/ref/%FF", "customers/none", "customers/by"] {
        world.call("GET", &format!("{P}/{target}"), "").await.refused(404, "E000030");
    }
}

#[tokio::test]
async fn a_customer_is_found_by_token() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await["token"].clone();
    let target = format!("{P}/customers/by/token");
    let found = world.call("POST", &target, &json!({ "token": token }).to_string()).await.data();
    assert_eq!(found["customer"]["uuid"], uuid);
    world.call("POST", &target, r#"{"token":"x"}"#).await.refused(404, "E000031");
    world.call("POST", &target, "{}").await.refused(400, "E000021");
}

#[tokio::test]
async fn a_list_has_pages_and_a_total_count() {
    let world = World::plain().await;
    for number in 0..22 {
        world.customer(&format!("r{number}")).await;
    }
    let list = async |query: &str| world.call("GET", &format!("{P}/customers{query}"), "").await;
    let references = |data: Value| -> Vec<String> {
        let rows = data["customers"].as_array().unwrap().iter();
        rows.map(|row| row["reference_number"].as_str().unwrap().to_owned()).collect()
    };
    let page = list("?limit=2&offset=3").await;
    assert_eq!(page.get("x-total-entries"), Some("22"));
    assert_eq!(references(page.data()), ["r3", "r4"]);
    assert_eq!(references(list("").await.data()).len(), 20);
    assert_eq!(references(list("?limit=1000").await.data()).len(), 22);
    assert_eq!(references(list("?offset=22").await.data()), [""; 0]);
    let message = "limit must be a whole number from 1 to 1000.";
    for query in ["?limit=1001", "?limit=0", "?limit=x", "?limit=-1", "?limit="] {
        assert_eq!(list(query).await.refused(400, "E000024"), message, "{query}");
    }
    list("?offset=-1").await.refused(400, "E000024");
    list("?linked_source_type=Other").await.refused(400, "E000024");
    list("?linked_source_type=Store").await.data();
    let message = list("?filter[name][_eq]=x").await.refused(400, "E000024");
    assert_eq!(message, "filter is not supported by the simulator.");
}

#[tokio::test]
async fn a_deleted_customer_loses_its_tokens() {
    let world = World::plain().await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    let target = format!("{P}/customers/{uuid}");
    assert_eq!(world.call("DELETE", &target, "").await.data(), json!({}));
    world.call("DELETE", &target, "").await.refused(404, "E000030");
    world.call("GET", &target, "").await.refused(404, "E000030");
    world.call("PUT", &target, "{}").await.refused(404, "E000030");
    world.call("GET", &format!("{P}/customers/ref/r"), "").await.refused(404, "E000030");
    let body = json!({ "token": token["token"] }).to_string();
    world.call("POST", &format!("{P}/customers/by/token"), &body).await.refused(404, "E000031");
    assert_eq!(world.press(&token, "approve").await.status, 404);
    assert_ne!(world.customer("r").await, uuid);
}

#[tokio::test]
async fn success_messages_follow_x_i18n_lang_and_errors_are_in_english() {
    let world = World::plain().await;
    let target = format!("{P}/customers");
    for (language, success) in [("en", "success"), ("zh-HK", "成功"), ("zh-CN", "成功"), ("fr", "success")] {
        let reply = world.send(&Call::signed("GET", &target, "").header("x-i18n-lang", language)).await;
        assert_eq!(reply.json()["message"], success);
        let reply = world.send(&Call::signed("POST", &target, "{}").header("x-i18n-lang", language)).await;
        assert_eq!(reply.refused(400, "E000021"), "customer is required.");
    }
    let message = world.send(&Call::unsigned("GET", &target, "").header("x-i18n-lang", "zh-CN")).await;
    assert!(message.refused(401, "E000001").starts_with("The Credential header is missing."));
}

#[tokio::test]
async fn an_app_id_finds_no_customer_or_token_of_another() {
    let (other_app, other_key) = ("1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e12", new_key());
    let world = World::with(|options| {
        options.tls = false;
        options.apps.push((other_app.parse().unwrap(), other_key.verifying_key().clone()));
    })
    .await;
    let uuid = world.customer("r").await;
    let token = world.card(&uuid).await;
    let other = async |method: &str, target: &str, body: &str| {
        let call = Call::signed_with(&other_key, other_app, NOW, method, &format!("{P}/{target}"), body);
        world.send(&call).await
    };
    let token_body = json!({ "token": token["token"] }).to_string();
    let check = json!({ "payment_token": { "token": token["token"] } }).to_string();
    for (method, target, body, code) in [
        ("GET", format!("customers/{uuid}"), "", "E000030"),
        ("PUT", format!("customers/{uuid}"), "{}", "E000030"),
        ("DELETE", format!("customers/{uuid}"), "", "E000030"),
        ("GET", "customers/ref/r".to_owned(), "", "E000030"),
        ("GET", format!("customers/{uuid}/payment_tokens"), "", "E000030"),
        ("POST", format!("customers/{uuid}/payment_tokens"), super::world::CARD, "E000030"),
        ("POST", "customers/by/token".to_owned(), &token_body, "E000031"),
        ("POST", "customers/uuid/payment_tokens/check".to_owned(), &check, "E000031"),
    ] {
        other(method, &target, body).await.refused(404, code);
    }
    assert_eq!(other("GET", "customers", "").await.get("x-total-entries"), Some("0"));
    // The same reference number is another customer there.
    let body = r#"{"customer":{"name":"n","phone":"p","reference_number":"r"}}"#;
    assert_ne!(other("POST", "customers", body).await.data()["customer"]["uuid"], uuid);
}
