//! Requests that no program should read as a webhook, as raw bytes: each has a name in log and metric, and the answer is the one that every
//! forged webhook gets. It differs at most in `Connection: close`, which HTTP requires where the next request cannot be found.

use std::net::SocketAddr;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    logged::Logged,
    patience::soon,
    sidecar::{Sidecar, until},
    upstream::Recorder,
    webhooks::{Delivery, key_file, receiver_of},
    wire::{Message, exchange, read_message},
};

const LIMITS: &str = "limits.headers = 20\nlimits.header_bytes = \"8KiB\"";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// The request line and the headers of a right delivery, then `lines`, the empty line and `rest`.
fn with(lines: &str, rest: &str) -> Vec<u8> {
    let good = Delivery { body: Vec::new(), ..Delivery::paid() }.bytes();
    let head = String::from_utf8(good).unwrap();
    format!("{}{lines}\r\n{rest}", head.strip_suffix("\r\n").unwrap()).into_bytes()
}

/// The same with `from` replaced by `to` in the head.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(Delivery::paid().bytes()).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

fn chunks(name: &'static str, rest: &str) -> (&'static str, Vec<u8>, bool, &'static str) {
    (name, with(CHUNKED, rest), false, "body_broken")
}

/// Name, bytes, whether the sender closes its half after them, and the reason.
fn cases() -> Vec<(&'static str, Vec<u8>, bool, &'static str)> {
    let long = "x".repeat(9000);
    let many = (0..20).fold(String::new(), |lines, number| format!("{lines}X-{number}: x\r\n"));
    let huge_target = format!("POST /{} HTTP/1.1", "a".repeat(7000));
    let line = "POST /hooks/wonder?src=w HTTP/1.1";
    vec![
        // Request lines.
        ("no HTTP", b"hello\r\n\r\n".to_vec(), false, "request_line"),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), false, "request_line"),
        ("HTTP/0.9", b"POST /hooks/wonder\r\n\r\n".to_vec(), false, "request_line"),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), false, "http_version"),
        ("HTTP/1.2", changed("HTTP/1.1", "HTTP/1.2"), false, "http_version"),
        ("HTTP/2.0", changed("HTTP/1.1", "HTTP/2.0"), false, "http_version"),
        ("http in lower case", changed("HTTP/1.1", "http/1.1"), false, "request_line"),
        ("two spaces", changed("POST /", "POST  /"), false, "request_line"),
        ("a tab", changed("POST /", "POST\t/"), false, "request_line"),
        ("a space before the method", changed("POST /", " POST /"), false, "request_line"),
        ("a space in the target", changed("src=w", "src=w w"), false, "request_line"),
        ("a method that is no token", changed("POST", "PO(ST"), false, "request_line"),
        ("no target", b"POST HTTP/1.1\r\n\r\n".to_vec(), false, "request_line"),
        ("a back slash in the target", changed("/hooks", "\\hooks"), false, "target"),
        ("a fragment", changed("src=w", "src=w#x"), false, "target"),
        ("a NUL in the target", changed("src=w", "src=\0"), false, "target"),
        ("a target that Wonder did not sign", changed(line, &huge_target), false, "signature_mismatch"),
        ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), false, "method"),
        ("CONNECT", b"CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example\r\n\r\n".to_vec(), false, "target"),
        ("TRACE", b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), false, "method"),
        ("GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), false, "method"),
        ("GET with a body", changed("POST", "GET"), false, "method"),
        ("an unknown method", changed("POST", "POSTS"), false, "method"),
        // Line ends and header lines.
        ("line feeds alone", b"POST / HTTP/1.1\nHost: x\n\n".to_vec(), false, "line_end"),
        ("a line feed alone in the head", changed("\r\nNonce", "\nNonce"), false, "line_end"),
        ("a carriage return alone in a value", changed("Nonce: ", "Nonce: \r"), false, "line_end"),
        ("a NUL in a value", changed("Nonce: ", "Nonce: \0"), false, "header_line"),
        ("a header without a colon", with("Nonsense\r\n", ""), false, "header_line"),
        ("a header without a name", with(": x\r\n", ""), false, "header_line"),
        ("a space before the colon", changed("Nonce:", "Nonce :"), false, "header_line"),
        ("a name that is no token", with("X(Y): x\r\n", ""), false, "header_line"),
        ("a folded header", changed("Nonce: ", "Nonce:\r\n "), false, "header_folded"),
        ("a folded header after a tab", with("X-A: b\r\n\tc\r\n", ""), false, "header_folded"),
        ("two hosts", with("Host: localhost\r\n", ""), false, "host_repeated"),
        ("two hosts of different case", with("HOST: x\r\n", ""), false, "host_repeated"),
        // Sizes of the head.
        ("21 header lines and more", with(&many, ""), false, "too_many_headers"),
        ("a header of 9000 bytes", with(&format!("X-Large: {long}\r\n"), ""), false, "head_too_large"),
        ("a signature of 9000 bytes", changed("Signature: ", &format!("Signature: {long}")), false, "head_too_large"),
        ("a head without end", [&b"POST / HTTP/1.1\r\nX: "[..], long.as_bytes()].concat(), false, "head_too_large"),
        // Lengths and codings.
        ("two equal lengths", with("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), false, "content_length"),
        ("two lengths", with("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x"), false, "content_length"),
        ("a list of lengths", with("Content-Length: 2, 2\r\n", "{}"), false, "content_length"),
        ("a length with a sign", with("Content-Length: +2\r\n", "{}"), false, "content_length"),
        ("a negative length", with("Content-Length: -2\r\n", "{}"), false, "content_length"),
        ("a length in hex", with("Content-Length: 0x2\r\n", "{}"), false, "content_length"),
        ("an empty length", with("Content-Length:\r\n", "{}"), false, "content_length"),
        ("a length over 64 bits", with("Content-Length: 99999999999999999999\r\n", "{}"), false, "content_length"),
        ("a coding of gzip", with("Transfer-Encoding: gzip\r\n", ""), false, "transfer_encoding"),
        ("two codings", with("Transfer-Encoding: gzip, chunked\r\n", ""), false, "transfer_encoding"),
        ("chunked twice", with(&CHUNKED.repeat(2), "0\r\n\r\n"), false, "transfer_encoding"),
        ("an empty coding", with("Transfer-Encoding:\r\n", ""), false, "transfer_encoding"),
        (
            "a coding in HTTP/1.0",
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            false,
            "transfer_encoding",
        ),
        (
            "a length and a coding",
            with(&format!("Content-Length: 2\r\n{CHUNKED}"), "0\r\n\r\n"),
            false,
            "length_and_encoding",
        ),
        (
            "a coding and a length",
            with(&format!("{CHUNKED}Content-Length: 2\r\n"), "0\r\n\r\n"),
            false,
            "length_and_encoding",
        ),
        // Chunks.
        chunks("a chunk size that is no number", "zz\r\n{}\r\n0\r\n\r\n"),
        chunks("an empty chunk size", "\r\n{}\r\n0\r\n\r\n"),
        chunks("a chunk size with a sign", "+2\r\n{}\r\n0\r\n\r\n"),
        chunks("a chunk size over 64 bits", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        chunks("a chunk longer than its size", "2\r\n{}{}\r\n0\r\n\r\n"),
        chunks("a chunk that ends in a line feed", "2\r\n{}\n0\r\n\r\n"),
        chunks("an extension without a name", "2;\r\n{}\r\n0\r\n\r\n"),
        chunks("a trailer without a colon", "2\r\n{}\r\n0\r\nnonsense\r\n\r\n"),
        chunks("a folded trailer", "2\r\n{}\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
        // Bodies that end early.
        ("a body that is cut", with("Content-Length: 9\r\n", "{"), true, "body_broken"),
        ("a body that is left out", with("Content-Length: 9\r\n", ""), true, "body_broken"),
        ("chunks without the last", with(CHUNKED, "2\r\n{}\r\n"), true, "body_broken"),
        ("a chunk that is cut", with(CHUNKED, "9\r\n{"), true, "body_broken"),
    ]
}

async fn send(address: SocketAddr, bytes: &[u8], closes: bool) -> Option<Message> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // An early answer may have arrived although the write fails.
    let _ = stream.write_all(bytes).await;
    if closes {
        stream.shutdown().await.unwrap();
    }
    soon(read_message(&mut stream, false)).await
}

/// The answer without the request id, the date and the end of the connection.
fn seen(answer: &Message) -> (String, String) {
    let id = answer.value("x-request-id").unwrap();
    let head = answer.head.lines().filter(|line| !line.starts_with("date:") && *line != "connection: close");
    (head.collect::<Vec<_>>().join("\n").replace(id, "ID"), answer.text().replace(id, "ID"))
}

async fn count(sidecar: &Sidecar, reason: &str) -> f64 {
    sidecar.metric(&format!("wonder_signer_webhook_errors_total{{reason=\"{reason}\"}}")).await
}

#[tokio::test]
async fn each_malformed_request_has_a_name_and_gets_the_answer_of_a_forged_webhook() {
    let application = Recorder::start().await;
    let (sidecar, address) = receiver_of(&application, LIMITS).await;
    let forged = seen(&Delivery::paid().with("Nonce", "AAAAAAAAAAAAAAAA").send(address).await);
    assert!(forged.0.starts_with("HTTP/1.1 401 ") && forged.1.contains("the webhook was not accepted"), "{forged:?}");
    let mut rejected = 1.0;
    for (name, bytes, closes, reason) in cases() {
        let before = count(&sidecar, reason).await;
        let answer = send(address, &bytes, closes).await;
        let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(seen(&answer), forged, "{name}");
        until(sidecar.admin, &format!("wonder_signer_webhook_errors_total{{reason=\"{reason}\"}}"), before + 1.0).await;
        rejected += 1.0;
    }
    let mut counted = 0.0;
    for action in ["other", "order.paid"] {
        let series = format!("{{action=\"{action}\",credential=\"none\",outcome=\"rejected\"}}");
        counted += sidecar.metric(&format!("wonder_signer_webhooks_total{series}")).await;
    }
    assert!((counted - rejected).abs() < f64::EPSILON, "{counted} of {rejected}");
    assert_eq!(application.connections(), 0);
    assert_eq!(Delivery::paid().send(address).await.status(), 200);
}

#[tokio::test]
async fn a_malformed_request_after_a_right_delivery_on_its_connection_is_rejected_alone() {
    let application = Recorder::start().await;
    let (_sidecar, address) = receiver_of(&application, LIMITS).await;
    for (name, bytes, closes, _) in cases() {
        let delivery = Delivery::paid();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(&[delivery.bytes(), bytes].concat()).await;
        if closes {
            stream.shutdown().await.unwrap();
        }
        for status in [200, 401] {
            let answer = soon(read_message(&mut stream, false)).await;
            assert_eq!(answer.map(|answer| answer.status()), Some(status), "{name}");
        }
        assert_eq!(application.next().await.body, delivery.body, "{name}");
    }
    assert_eq!(application.waiting(), 0);
}

#[tokio::test]
async fn with_a_body_at_hand_a_rejection_for_the_head_looks_like_one_for_the_signature() {
    let application = Recorder::start().await;
    let toml = "webhook.path_prefixes = [\"/hooks\"]\nwebhook.source_addresses = [\"119.8.39.23\", \"127.0.0.1\"]\n\
                webhook.original_target_header = \"X-Original-URI\"";
    let (sidecar, address) = receiver_of(&application, toml).await;
    let good = || Delivery::paid().and("X-Original-URI", "/hooks/wonder?src=w");
    let whole = |answer: &Message| (seen(answer), answer.value("connection").map(str::to_owned));
    let forged = whole(&good().with("Nonce", "AAAAAAAAAAAAAAAA").send(address).await);
    assert_eq!(forged.1, None);
    for (delivery, reason) in [
        (Delivery::paid().and("X-Original-URI", "/admin"), "path"),
        (Delivery::paid(), "original_target_missing"),
        (good().and("X-Original-URI", "/hooks"), "original_target_repeated"),
        (Delivery::paid().and("X-Original-URI", "http://shop/hooks"), "original_target_invalid"),
        (good().with("X-Action", ""), "action_empty"),
    ] {
        assert_eq!(whole(&delivery.send(address).await), forged, "{reason}");
        assert!((count(&sidecar, reason).await - 1.0).abs() < f64::EPSILON, "{reason}");
    }
    let (sidecar, address) = receiver_of(&application, "webhook.source_addresses = [\"119.8.39.23\"]").await;
    assert_eq!(whole(&Delivery::paid().send(address).await), forged);
    assert!((count(&sidecar, "source_address").await - 1.0).abs() < f64::EPSILON);
    assert_eq!(application.connections(), 0);
}

#[tokio::test]
async fn the_log_names_what_is_malformed_and_the_likely_cause() {
    let application = Recorder::start().await;
    let file = key_file();
    let variables = [
        ("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0"),
        ("WONDER_SIGNER_WEBHOOK__FORWARD_TO", &application.origin()),
        ("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", file.path().to_str().unwrap()),
        ("WONDER_SIGNER_LIMITS__HEADERS", "20"),
        ("WONDER_SIGNER_LIMITS__HEADER_BYTES", "8KiB"),
    ];
    let program = Logged::before("http://127.0.0.1:9", &variables).await;
    let address = program.webhook.unwrap();
    for (name, bytes, closes, reason) in cases() {
        send(address, &bytes, closes).await;
        let line = program.line("webhook").await;
        let seen = (line["reason"].as_str(), line["outcome"].as_str(), line["status"].as_u64(), line["level"].as_str());
        assert_eq!(seen, (Some(reason), Some("rejected"), Some(401), Some("info")), "{name}");
        assert!(line["likely_cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{name}: {line}");
    }
    assert!(exchange(address, &Delivery::paid().bytes()).await.status() == 200);
    program.stop().await;
}

#[tokio::test]
async fn the_error_page_explains_every_reason() {
    let application = Recorder::start().await;
    let (sidecar, _) = receiver_of(&application, "").await;
    let page = include_str!("../../../deploy/errors.md");
    let metrics = exchange(sidecar.admin, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.text();
    let reasons: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("wonder_signer_webhook_errors_total{reason=\"")?.split('"').next())
        .filter(|reason| *reason != "other")
        .collect();
    assert!(reasons.len() > 60, "{reasons:?}");
    for reason in reasons {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}
