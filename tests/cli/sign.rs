//! The output of `sign`: the headers of a request, their explanation, and a curl line.

use std::collections::BTreeMap;

use crate::{Desk, run};

#[test]
fn sign_repeats_every_vector() {
    let desk = Desk::new();
    for vector in &desk.answers.vectors {
        let expected = format!(
            "{{\"credential\":\"{}\",\"nonce\":\"{}\",\"signature\":\"{}\"}}\n",
            vector.credential, vector.nonce, vector.signature
        );
        assert_eq!(desk.sign(vector, &[]).done(), expected, "{}", vector.name);
    }
}

#[test]
fn explain_does_not_print_the_body() {
    let desk = Desk::new();
    let vector = desk.vector("create-order-with-query");
    let answer: serde_json::Value = serde_json::from_str(&desk.sign(vector, &["--explain"]).done()).unwrap();
    let keys: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["credential", "nonce", "pre_sign_bytes", "pre_sign_sha256", "signature", "signature_message"]);
    assert_eq!(answer["signature_message"], vector.message_hex.as_str());
    let pre_sign = [b"POST\n", vector.uri.as_bytes(), b"\n", &vector.body()].concat();
    assert_eq!(answer["pre_sign_bytes"], pre_sign.len());
    // sha256sum of that string
    assert_eq!(answer["pre_sign_sha256"], "deaf69cb1c3aab6835da323b4ddbcc8de5af7997d2c596fcdf1433e38f4e08bf");

    let text = desk.sign(vector, &["--explain", "--format", "text"]).done();
    assert_eq!(
        text,
        format!(
            "Credential: {}\nNonce: {}\nSignature: {}\n\
             # key: RSA 2048 bits, fingerprint edb42c9f\n\
             # pre-sign string: method, line feed, 57 bytes of target, line feed, 56 bytes of body: 119 bytes\n\
             # SHA-256 of the pre-sign string: deaf69cb1c3aab6835da323b4ddbcc8de5af7997d2c596fcdf1433e38f4e08bf\n\
             # signature message, its HMAC as 64 hex characters, which RSA signs: {}\n",
            vector.credential, vector.nonce, vector.signature, vector.message_hex
        )
    );
    let none = desk.sign(desk.vector("get-customer-no-body"), &["--explain", "--format", "text"]).done();
    assert!(none.contains("74 bytes of target, no body: 78 bytes\n"), "{none}");
}

#[test]
fn the_printed_curl_line_sends_the_exact_target() {
    let desk = Desk::new();
    let vector = desk.vector("list-orders-literal-brackets");
    assert_eq!(
        desk.sign(vector, &["--format", "curl"]).done(),
        format!(
            "curl --request GET --request-target '{}' \\\n  --header 'Credential: {}' \\\n  --header 'Nonce: {}' \\\n  \
             --header 'Signature: {}' \\\n  --header 'Content-Type: application/json' \\\n  \
             https://gateway-stg.wonder.today\n",
            vector.uri, vector.credential, vector.nonce, vector.signature
        )
    );
    let key = desk.path("rsa2048-pkcs8.pem");
    let body = desk.write("it's.json", b"{}");
    let arguments = ["sign", "--app-id", &vector.app_id, "--private-key-file", &key, "--format", "curl"];
    let request = ["--method", "post", "--target", "/svc/it's?a=$b", "--body-file", &body];
    let origin = ["--origin", "http://127.0.0.1:8080"];
    let out = run(&[&arguments[..], &request, &origin].concat(), b"").done();
    assert!(out.starts_with("curl --request POST --request-target '/svc/it'\\''s?a=$b' \\\n"), "{out}");
    let quoted = body.replace('\'', "'\\''");
    assert!(out.ends_with(&format!("  --data-binary '@{quoted}' \\\n  http://127.0.0.1:8080\n")), "{out}");
    let head = run(&[&arguments[..], &["--method", "HEAD", "--target", "/svc/x"]].concat(), b"").done();
    assert!(head.starts_with("curl --head --request-target /svc/x \\\n"), "{head}");
}

#[test]
fn a_random_nonce_and_the_current_time_are_the_defaults() {
    let desk = Desk::new();
    let key = desk.path("rsa2048-pkcs8.pem");
    let app_id = &desk.answers.vectors[0].app_id;
    let arguments =
        ["sign", "--app-id", app_id, "--private-key-file", &key, "--method", "GET", "--target", "/svc/x?a=1"];
    let answers: Vec<BTreeMap<String, String>> =
        (0..2).map(|_| serde_json::from_str(&run(&arguments, b"").done()).unwrap()).collect();
    assert_ne!(answers[0]["nonce"], answers[1]["nonce"]);
    for answer in answers {
        let public = desk.path("rsa2048-pkcs8.pub");
        let headers =
            ["--credential", &answer["credential"], "--nonce", &answer["nonce"], "--signature", &answer["signature"]];
        let request = ["verify", "--public-key-file", &public, "--method", "GET", "--target", "/svc/x?a=1"];
        let out = run(&[&request[..], &headers].concat(), b"").done();
        assert_eq!(
            out, "signature is valid (RSA 2048 bits, fingerprint edb42c9f)\n",
            "and the time is within 30 minutes"
        );
    }
}

#[test]
fn a_body_of_white_space_is_rejected() {
    let desk = Desk::new();
    let key = desk.path("rsa2048-pkcs8.pem");
    let app_id = &desk.answers.vectors[0].app_id;
    let arguments = ["sign", "--app-id", app_id, "--private-key-file", &key, "--method", "POST", "--target", "/svc/x"];
    for body in [" ", "\r\n\t "] {
        run(&[&arguments[..], &["--body-file", "-"]].concat(), body.as_bytes()).failed(
            1,
            "ambiguous body: it is only white space, which some of Wonder's own SDKs sign and others omit; \
             leave out --body-file to send no body",
        );
    }
    run(&[&arguments[..], &["--body-file", "-"]].concat(), b"").done();
}
