//! The verdict of `verify --webhook` on a captured delivery: right, or the change that broke its signature.

use crate::{Desk, Ended, run};

const APP_ID: &str = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11";
const TIME: &str = "20260214094511";
const ORDER: &[u8] = br#"{"number":"93000120417","reference_number":"INV-7781","state":"completed","note":"a/b"}"#;
/// Wonder's webhook key.
const WEBHOOK: &str = "rsa2048-pkcs1";
/// The merchant's own request key.
const REQUEST: &str = "rsa2048-pkcs8";

/// A delivery captured by a merchant.
struct Captured {
    desk: Desk,
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Captured {
    /// Signed by Wonder over `target` and `body`, and captured unchanged.
    fn signed(target: &str, body: &[u8]) -> Self {
        Self::signed_by(WEBHOOK, target, body)
    }

    fn signed_by(key: &str, target: &str, body: &[u8]) -> Self {
        let desk = Desk::new();
        let key = desk.path(&format!("{key}.pem"));
        let file = desk.write("signed", body);
        let out = run(
            &[
                "sign",
                "--app-id",
                APP_ID,
                "--private-key-file",
                &key,
                "--method",
                "POST",
                "--target",
                target,
                "--body-file",
                &file,
                "--request-time",
                TIME,
                "--format",
                "text",
            ],
            b"",
        )
        .done();
        let headers = out.lines().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { desk, line: format!("POST {target} HTTP/1.1"), headers, body: body.to_vec() }
    }

    fn target(mut self, target: &str) -> Self {
        self.line = format!("POST {target} HTTP/1.1");
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Verifies at the time of the signature, with `more` arguments.
    fn verify(&self, more: &[&str]) -> Ended {
        self.verify_at(TIME, more)
    }

    fn verify_at(&self, time: &str, more: &[&str]) -> Ended {
        let headers = lines(&self.headers, "\r\n");
        let head = format!("{}\r\nHost: shop.example\r\n{headers}\r\n", self.line);
        let file = self.desk.write("captured.http", &[head.as_bytes(), &self.body].concat());
        let key = self.desk.path(&format!("{WEBHOOK}.pub"));
        let mut arguments = vec!["verify", "--webhook", "--request-file", &file];
        if !more.contains(&"--public-key-file") {
            arguments.extend(["--public-key-file", &key]);
        }
        arguments.extend(["--at", time]);
        arguments.extend(more);
        run(&arguments, b"")
    }
}

fn lines(headers: &[(String, String)], end: &str) -> String {
    headers.iter().fold(String::new(), |lines, (name, value)| lines + name + ": " + value + end)
}

const TARGET: &str = "verify path and query exactly as Wonder sent them; behind a proxy that rewrites them, webhook.original_target_header or \
                      webhook.original_target_prefix restores them";
const BODY: &str = "verify the bytes of the body as they arrive, before a JSON parser or a framework changes them";

#[test]
fn an_unchanged_delivery_is_accepted() {
    for target in ["/hooks/wonder?src=w", "/", "/?wc-api=wonder", "/hooks/caf%C3%A9?next=%2Fshop"] {
        let out = Captured::signed(target, ORDER).verify(&["--app-id", APP_ID]).done();
        assert_eq!(out, "signature is valid (RSA 2048 bits, fingerprint 887bb68c)\n");
    }
}

#[test]
fn a_missing_query_is_named() {
    let captured = Captured::signed("/hooks/wonder?src=w", ORDER).target("/hooks/wonder");
    let expected = |source: &str| {
        format!(
            "signature is not valid: the query was left out of the target that arrived: Wonder signed the target of {source}; {TARGET}"
        )
    };
    captured
        .verify(&["--callback-url", "https://shop.example/hooks/wonder?src=w"])
        .failed(1, &expected("--callback-url"));
    captured.header("X-Original-URI", "/hooks/wonder?src=w").verify(&[]).failed(1, &expected("X-Original-URI"));
}

#[test]
fn an_unexplained_mismatch_asks_for_the_callback_url() {
    Captured::signed("/hooks/wonder?src=w", ORDER).target("/hooks/wonder").verify(&[]).failed(
        1,
        "signature is not valid: the key is right, but Wonder signed another target or body: give the callback URL with \
         --callback-url, and compare the body with the bytes that arrived",
    );
}

#[test]
fn a_rewritten_path_is_named() {
    let stripped = Captured::signed("/payments/hooks/wonder?src=w", ORDER).target("/hooks/wonder?src=w");
    let expected = |source: &str| {
        format!(
            "signature is not valid: the path was rewritten on its way: Wonder signed the target of {source}; {TARGET}"
        )
    };
    stripped
        .verify(&["--callback-url", "https://shop.example/payments/hooks/wonder?src=w"])
        .failed(1, &expected("--callback-url"));
    stripped.header("X-Forwarded-Prefix", "/payments/").verify(&[]).failed(1, &expected("X-Forwarded-Prefix"));
    Captured::signed("/hooks/wonder?src=w", ORDER).target("/api/v2/hooks/wonder?src=w").verify(&[]).failed(
        1,
        &format!("signature is not valid: the path was rewritten on its way: a prefix was added to it; {TARGET}"),
    );
    Captured::signed("/hooks/caf%C3%A9", ORDER).target("/hooks/caf%c3%a9").verify(&[]).failed(
        1,
        &format!(
            "signature is not valid: the target was signed with percent escapes in another case (%2f, %2F); {TARGET}"
        ),
    );
}

#[test]
fn an_added_or_changed_query_is_named() {
    Captured::signed("/hooks/wonder", ORDER)
        .target("/hooks/wonder?utm=1")
        .verify(&[])
        .failed(1, &format!("signature is not valid: the target was signed without its query; {TARGET}"));
    Captured::signed("/hooks/wonder?a=1", ORDER)
        .target("/hooks/wonder?a=2")
        .verify(&["--callback-url", "/hooks/wonder?a=1"])
        .failed(
            1,
            &format!(
                "signature is not valid: the query of the target that arrived was changed: Wonder signed the target of --callback-url; {TARGET}"
            ),
        );
}

#[test]
fn a_reserialised_body_is_named() {
    let order = String::from_utf8(ORDER.to_vec()).unwrap();
    for (arrived, done) in [
        (order.replace(':', ": ").replace(',', ", "), "the body was signed as compact JSON but sent in another form"),
        (order.replace("a/b", "a\\/b"), "the body was signed as compact JSON but sent in another form"),
        (format!("{order}\n"), "the body was signed without its last line end"),
        (format!("\u{feff}{order}"), "body signed and body sent differ by a byte order mark"),
    ] {
        Captured::signed("/hooks/wonder", ORDER)
            .body(&arrived)
            .verify(&[])
            .failed(1, &format!("signature is not valid: the body was changed on its way ({done}); {BODY}"));
    }
}

#[test]
fn a_missing_query_and_a_reserialised_body_are_named_together() {
    let order = String::from_utf8(ORDER.to_vec()).unwrap();
    let captured =
        Captured::signed("/hooks?a=1", ORDER).target("/hooks").body(&order.replace(':', ": ").replace(',', ", "));
    captured.verify(&["--callback-url", "https://shop.example/hooks?a=1"]).failed_with(
        1,
        "signature is not valid: Wonder signed the target of --callback-url, and also the body was changed on its way (the body was signed as compact JSON",
    );
}

#[test]
fn the_wrong_one_of_the_two_keys_is_named() {
    let captured = Captured::signed("/hooks/wonder", ORDER);
    let [public, private] = ["pub", "pem"].map(|kind| captured.desk.path(&format!("{REQUEST}.{kind}")));
    // The merchant's own public key, without --request-key to recognise it.
    captured.verify(&["--public-key-file", &public]).failed(
        1,
        "signature is not valid: another key made the signature: take the key that Wonder's portal shows as \"Webhook Public Key\", not \
         the public half of your own request key, and the one of the same environment; otherwise the webhook is forged (checked with RSA \
         2048 bits, fingerprint edb42c9f)",
    );
    for own in [&public, &private] {
        captured.verify(&["--public-key-file", &public, "--request-key-file", own]).failed(
            64,
            &format!(
                "--public-key-file {public}: is the public half of your own request key (fingerprint edb42c9f), with which Wonder does not sign webhooks; \
                 the webhook key is the one that Wonder's portal shows as \"Webhook Public Key\" when the AppID is created"
            ),
        );
    }
    captured.verify(&["--public-key-file", &private]).failed(
        64,
        &format!(
            "--public-key-file {private}: is a private key, which cannot verify webhooks; the webhook key is the one that \
             Wonder's portal shows as \"Webhook Public Key\" when the AppID is created"
        ),
    );
    let own_test = Captured::signed_by(REQUEST, "/hooks/wonder", ORDER);
    own_test.verify(&["--request-key-file", &private]).failed_with(
        1,
        "signature is not valid: your own request key made the signature (RSA 2048 bits, fingerprint edb42c9f), with which Wonder does not sign webhooks",
    );
}

#[test]
fn local_time_and_a_retry_older_than_the_tolerance_are_named() {
    let captured = Captured::signed("/hooks/wonder", ORDER);
    captured.verify_at("20260215101511", &[]).done();
    captured.verify_at("20260215101512", &[]).failed(
        1,
        "signature is valid, but the request time is 88201 s in the past: a retry that is older than the tolerance, a replay of an old \
         delivery, or a clock of this machine that is ahead",
    );
    captured.verify_at("20260214102512", &["--tolerance", "40m"]).failed_with(
        1,
        "signature is valid, but the request time is 2401 s in the past: a retry that is older than the tolerance",
    );
    captured.verify_at("20260214014511", &[]).failed(
        1,
        "signature is valid, but the request time is local time (UTC+08:00) in place of UTC: the sender signs local time in place of \
         UTC, which Wonder does not, or the clock of this machine is behind; compare it with UTC",
    );
    captured
        .verify_at("20260213094511", &[])
        .failed_with(1, "signature is valid, but the request time is 86400 s in the future");
    let file = captured.desk.path("captured.http");
    let key = captured.desk.path(&format!("{WEBHOOK}.pub"));
    let arguments = ["verify", "--webhook", "--request-file", &file, "--public-key-file", &key, "--ignore-time"];
    run(&arguments, b"").done();
}

#[test]
fn a_wrong_header_or_credential_is_named() {
    let captured = |name: &str, value: &str| Captured::signed("/hooks/wonder", ORDER).header(name, value).verify(&[]);
    captured("Credential", &format!("{APP_ID}/{TIME}/Wonder-HMAC-SHA256")).failed_with(
        1,
        "signature is not valid: the third part of the credential is Wonder-HMAC-SHA256, the mobile SDK's scheme",
    );
    captured("Nonce", "short").failed_with(1, "signature is not valid: the nonce is not 16 characters");
    captured("Signature", "").failed_with(1, "signature is not valid: the Signature header is empty");
    captured("content-encoding", "gzip").failed_with(1, "signature is not valid: the body has a Content-Encoding");
    let twice = Captured::signed("/hooks/wonder", ORDER).header("nonce", "B3k0vWn8ZsE1yQ7d");
    twice.verify(&[]).failed_with(1, "signature is not valid: the Nonce header occurs more than once");
    let other = Captured::signed("/hooks/wonder", ORDER);
    other.verify(&["--app-id", "2f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"]).failed_with(
        1,
        "signature is not valid: no accepted webhook key has the credential's AppID; the webhook belongs to another",
    );
    other.verify(&["--method", "GET"]).failed_with(1, "signature is not valid: the method is not POST");
}

#[test]
fn header_and_body_files_are_accepted() {
    let captured = Captured::signed("/hooks/wonder?src=w", ORDER);
    let headers = lines(&captured.headers, "\n");
    let headers = captured.desk.write("headers.txt", headers.as_bytes());
    let (body, key) = (captured.desk.path("signed"), captured.desk.path(&format!("{WEBHOOK}.pub")));
    let common = [
        "verify",
        "--webhook",
        "--public-key-file",
        &key,
        "--headers-file",
        &headers,
        "--body-file",
        &body,
        "--at",
        TIME,
    ];
    for more in [["--target", "/hooks/wonder?src=w"], ["--callback-url", "https://shop.example/hooks/wonder?src=w"]] {
        run(&[&common[..], &more].concat(), b"").done();
    }
    run(&common, b"")
        .failed(64, "usage: --target is missing; give it, a captured request with --request-file, or --callback-url");
    run(&["verify", "--public-key-file", &key, "--callback-url", "/x"], b"").failed_with(64, "usage: ");
}
