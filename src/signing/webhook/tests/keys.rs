//! Webhook keys: their encodings, the choice among several, and the merchant's own key in their place.

use super::*;

#[test]
fn another_key_is_rejected_even_the_merchants() {
    let known = &*KNOWN;
    for name in known.keys.keys().filter(|name| *name != WEBHOOK_KEY) {
        let verdict = Sent::right().verdict_by(&known.key(name).1, "20260214094511", TOLERANCE);
        assert_eq!(verdict, Err(DeliveryError::SignatureMismatch), "{name}");
    }
}

#[test]
fn a_delivery_of_one_app_id_is_rejected_for_another() {
    let known = &*KNOWN;
    let (ours, theirs) = (known.key(WEBHOOK_KEY).1, known.key(REQUEST_KEY).1);
    let other: AppId = "2f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11".parse().unwrap();
    let app_id: AppId = APP_ID.parse().unwrap();
    let accepted =
        [Accepted { name: "a", app_id: &app_id, key: &ours }, Accepted { name: "b", app_id: &other, key: &theirs }];
    let sent = Sent::right().set("credential", format!("{other}/20260214094511/{ALGORITHM}"));
    let body = [&sent.body[..]];
    let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
    let verdict = verify(&delivery, accepted, "20260214094511".parse().unwrap(), Window::webhook(TOLERANCE));
    assert_eq!(verdict.unwrap_err(), DeliveryError::SignatureMismatch);
}

#[test]
fn an_app_id_with_two_keys_verifies_with_either() {
    let known = &*KNOWN;
    let (old, new) = (known.key(WEBHOOK_KEY).1, known.key("rsa4096-pkcs8").1);
    let app_id: AppId = APP_ID.parse().unwrap();
    let accepted =
        [Accepted { name: "old", app_id: &app_id, key: &old }, Accepted { name: "new", app_id: &app_id, key: &new }];
    for (vector, expected) in [(0, "old"), (8, "new")] {
        let sent = Sent::from(&VECTORS[vector]);
        let body = [&sent.body[..]];
        let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
        let now = "20260214094511".parse().unwrap();
        let verified = verify(&delivery, accepted, now, Window::webhook(TOLERANCE)).unwrap();
        assert_eq!(verified.credential_name(), expected);
    }
}

#[test]
fn without_accepted_keys_nothing_verifies() {
    let sent = Sent::right();
    let body = [&sent.body[..]];
    let delivery = Delivery { method: "POST", target: &sent.target, headers: sent.headers(), body: &body };
    let verdict = verify(&delivery, [], "20260214094511".parse().unwrap(), Window::webhook(TOLERANCE));
    assert_eq!(verdict.unwrap_err().name(), "app_id_unknown");
}

#[test]
fn a_webhook_key_is_read_in_every_usual_encoding() {
    let known = &*KNOWN;
    let key = known.key(WEBHOOK_KEY).1;
    let pem = key.to_pem().unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(&base64).unwrap();
    let hex = der.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let pkcs1_der = &der[24..];
    let pkcs1 = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        BASE64_STANDARD.encode(pkcs1_der)
    );
    for (what, text) in [
        ("PEM", pem.clone()),
        ("PEM, PKCS#1", pkcs1.clone()),
        ("PEM with CRLF", pem.replace('\n', "\r\n")),
        ("PEM with literal \\n", pem.replace('\n', "\\n")),
        ("PEM on one line", pem.replace('\n', " ")),
        ("base64 of a PEM", BASE64_STANDARD.encode(&pem)),
        ("base64 of a PEM in PKCS#1", BASE64_STANDARD.encode(&pkcs1)),
        ("base64 DER", base64.clone()),
        ("base64 DER in lines", pem.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n")),
        ("hex DER", hex.clone()),
        ("hex DER in upper case", hex.to_uppercase()),
    ] {
        assert_eq!(public_key(text.as_bytes(), []), Ok(key.clone()), "{what}");
        assert_eq!(
            public_key(format!("  {text}\n").as_bytes(), []),
            Ok(key.clone()),
            "{what}, with white space around"
        );
    }
    assert_eq!(public_key(&der, []), Ok(key));
}

#[test]
fn the_wrong_one_of_the_two_keys_is_rejected_and_the_right_one_named() {
    let known = &*KNOWN;
    let request = known.key(REQUEST_KEY).1;
    let pems = &known.keys[REQUEST_KEY];
    let hidden = "Webhook Public Key";
    for text in [pems.private_key_pem.clone(), BASE64_STANDARD.encode(&pems.private_key_pem)] {
        let error = public_key(text.as_bytes(), []).unwrap_err();
        assert_eq!(error, WebhookKeyError::Private);
        assert!(error.to_string().contains(hidden));
    }
    for text in [pems.public_key_pem.clone(), BASE64_STANDARD.encode(&pems.public_key_pem)] {
        let error = public_key(text.as_bytes(), [&request]).unwrap_err();
        assert_eq!(error, WebhookKeyError::RequestKey { fingerprint: request.fingerprint().to_owned() });
        assert!(error.to_string().contains(hidden), "{error}");
        assert!(public_key(text.as_bytes(), [&known.key(WEBHOOK_KEY).1]).is_ok(), "another key's half is no reason");
    }
    for (text, said) in [("", "is empty"), ("secret", "holds no key in PEM"), ("aGVsbG8=", "holds no key in PEM")] {
        assert!(public_key(text.as_bytes(), []).unwrap_err().to_string().starts_with(said), "{text}");
    }
    let small = &known.refused_keys["rsa2047-pkcs1"].public_key_pem;
    assert!(public_key(small.as_bytes(), []).unwrap_err().to_string().contains("2047 bits"));
}
