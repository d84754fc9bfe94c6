//! Deliveries that are odd on the wire: framing, codings, forms of the target, versions. What reaches the application is the one request
//! that every parser reads, and that Wonder signed.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::support::{
    patience::soon,
    sidecar::until,
    upstream::Recorder,
    webhooks::{Delivery, PAID, receiver_of},
    wire::{Message, read_message},
};

const TARGET: &str = "/hooks/wonder?src=w";

/// What a sender gets, and the reason in the metric.
enum Expected {
    /// 401 with the text that all have, for this reason.
    Rejected(&'static str),
    /// It is verified and forwarded with this request line.
    Forwarded(&'static str),
}
use Expected::{Forwarded, Rejected};

/// The delivery with another request line, and with `framing` (header lines) and `body` in place of its own.
fn raw(delivery: &Delivery, line: &str, framing: &str, body: &[u8]) -> Vec<u8> {
    let headers = delivery.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = headers.collect::<Vec<_>>().concat();
    [format!("{line}\r\nHost: shop.example\r\n{headers}{framing}\r\n").as_bytes(), body].concat()
}

fn gzip() -> Vec<u8> {
    // `{}`, as gzip writes it.
    vec![31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0]
}
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Name, bytes, whether the sender closes its half after them, and what is expected.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Vec<u8>, bool, Expected)> {
    let good = Delivery::of(TARGET, PAID);
    let at = |target: &str| Delivery::of(target, PAID);
    let length = format!("Content-Length: {}\r\n", PAID.len());
    let line = |target: &str| format!("POST {target} HTTP/1.1");
    let whole = |line: &str| raw(&Delivery::of(TARGET, PAID), line, &length, PAID.as_bytes());
    let sent = |delivery: &Delivery, target: &str| raw(delivery, &line(target), &length, PAID.as_bytes());
    let usual = line(TARGET);
    let framed = |framing: &str, body: &[u8]| raw(&Delivery::of(TARGET, PAID), &usual, framing, body);
    let (first, second) = PAID.split_at(9);
    let chunked =
        format!("9\r\n{first}\r\n{:x};note=\"x\"\r\n{second}\r\n0\r\nSignature: forged\r\n\r\n", second.len());
    let changed = chunked.replace("paid", "Paid");
    let forwarded = Forwarded("POST /hooks/wonder?src=w HTTP/1.1");
    vec![
        // Bodies.
        ("chunked", framed(CHUNKED, chunked.as_bytes()), false, forwarded),
        ("chunked and changed", framed(CHUNKED, changed.as_bytes()), false, Rejected("signature_mismatch")),
        ("chunked and empty", framed(CHUNKED, b"0\r\n\r\n"), false, Rejected("body_empty")),
        ("chunked and cut", framed(CHUNKED, b"9\r\n{\"num"), true, Rejected("body_broken")),
        (
            "cut by its length",
            framed("Content-Length: 30\r\n", &PAID.as_bytes()[..30]),
            false,
            Rejected("signature_mismatch"),
        ),
        ("cut by its sender", framed(&length, &PAID.as_bytes()[..30]), true, Rejected("body_broken")),
        ("without a length", framed("", b""), false, Rejected("body_empty")),
        ("of length zero", framed("Content-Length: 0\r\n", b""), false, Rejected("body_empty")),
        (
            "compressed and declared",
            framed(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", gzip().len()), &gzip()),
            false,
            Rejected("content_encoding"),
        ),
        (
            "compressed and not declared",
            framed(&format!("Content-Length: {}\r\n", gzip().len()), &gzip()),
            false,
            Rejected("signature_mismatch"),
        ),
        ("two codings", framed("Transfer-Encoding: gzip, chunked\r\n", b""), false, Rejected("transfer_encoding")),
        ("two lengths", framed(&format!("{length}{length}"), PAID.as_bytes()), false, Rejected("content_length")),
        (
            "length and coding",
            framed(&format!("{length}{CHUNKED}"), PAID.as_bytes()),
            false,
            Rejected("length_and_encoding"),
        ),
        (
            "a byte order mark before the body",
            framed(&format!("Content-Length: {}\r\n", PAID.len() + 3), &[b"\xef\xbb\xbf", PAID.as_bytes()].concat()),
            false,
            Rejected("signature_mismatch"),
        ),
        // Targets.
        ("another query", whole("POST /hooks/wonder?src=w&src=w HTTP/1.1"), false, Rejected("signature_mismatch")),
        ("an escape more", whole("POST /hooks/w%6fnder?src=w HTTP/1.1"), false, Rejected("signature_mismatch")),
        ("an escape less", sent(&at("/hooks/%77onder"), "/hooks/wonder"), false, Rejected("signature_mismatch")),
        ("an escape of another case", sent(&at("/hooks/%2f"), "/hooks/%2F"), false, Rejected("signature_mismatch")),
        ("a slash more", whole("POST //hooks/wonder?src=w HTTP/1.1"), false, Rejected("signature_mismatch")),
        ("dots more", whole("POST /x/../hooks/wonder?src=w HTTP/1.1"), false, Rejected("signature_mismatch")),
        ("a parameter more", whole("POST /hooks/wonder;x?src=w HTTP/1.1"), false, Rejected("signature_mismatch")),
        ("an asterisk", whole("POST * HTTP/1.1"), false, Rejected("target")),
        ("no slash", whole("POST hooks HTTP/1.1"), false, Rejected("target")),
        ("a query alone", whole("POST ?src=w HTTP/1.1"), false, Rejected("target")),
        ("a fragment", whole("POST /hooks/wonder?src=w#x HTTP/1.1"), false, Rejected("target")),
        ("a back slash", whole("POST /hooks\\wonder HTTP/1.1"), false, Rejected("target")),
        ("letters that are not ASCII", whole("POST /h\u{f6}\u{f6}ks HTTP/1.1"), false, Rejected("target")),
        ("a host and a port alone", whole("POST shop.example:80 HTTP/1.1"), false, Rejected("target")),
        ("a URL without a path", whole("POST http://shop.example HTTP/1.1"), false, Rejected("signature_mismatch")),
        (
            "a URL of another host",
            whole("POST http://evil.example/hooks/wonder?src=w HTTP/1.1"),
            false,
            Forwarded("POST /hooks/wonder?src=w HTTP/1.1"),
        ),
        (
            "a query and escapes that Wonder signed",
            sent(&at("/a%20b/%C3%B6;x=1//?x=%2f+&y=%"), "/a%20b/%C3%B6;x=1//?x=%2f+&y=%"),
            false,
            Forwarded("POST /a%20b/%C3%B6;x=1//?x=%2f+&y=% HTTP/1.1"),
        ),
        ("no path that Wonder signed", sent(&at("/"), "/"), false, Forwarded("POST / HTTP/1.1")),
        ("a question mark that Wonder signed", sent(&at("/hook?"), "/hook?"), false, Forwarded("POST /hook? HTTP/1.1")),
        ("a question mark less", sent(&at("/hook?"), "/hook"), false, Rejected("signature_mismatch")),
        // Methods and versions.
        ("GET", whole("GET /hooks/wonder?src=w HTTP/1.1"), false, Rejected("method")),
        ("a method in lower case", whole("post /hooks/wonder?src=w HTTP/1.1"), false, Rejected("method")),
        ("HTTP/1.0", whole("POST /hooks/wonder?src=w HTTP/1.0"), false, Forwarded("POST /hooks/wonder?src=w HTTP/1.1")),
        ("HTTP/0.9", b"POST /hooks/wonder\r\n\r\n".to_vec(), false, Rejected("request_line")),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), false, Rejected("http_version")),
        // Header lines.
        (
            "a folded signature",
            framed(&format!("X-A: b\r\n Signature: {}\r\n{length}", good.value("signature")), PAID.as_bytes()),
            false,
            Rejected("header_folded"),
        ),
        (
            "a space before the colon",
            framed(&format!("Nonce : x\r\n{length}"), PAID.as_bytes()),
            false,
            Rejected("header_line"),
        ),
        (
            "a second nonce of another case",
            framed(&format!("NONCE: {}\r\n{length}", good.value("nonce")), PAID.as_bytes()),
            false,
            Rejected("nonce_repeated"),
        ),
        ("two hosts", framed(&format!("Host: evil\r\n{length}"), PAID.as_bytes()), false, Rejected("host_repeated")),
    ]
}

async fn send(address: std::net::SocketAddr, bytes: &[u8], closes: bool) -> Option<Message> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    if closes {
        stream.shutdown().await.unwrap();
    }
    soon(read_message(&mut stream, false)).await
}

#[tokio::test]
async fn each_odd_delivery_has_one_named_end() {
    let application = Recorder::start().await;
    for (name, bytes, closes, expected) in cases() {
        let (sidecar, address) = receiver_of(&application, "").await;
        let answer = send(address, &bytes, closes).await;
        let reason = match expected {
            Forwarded(line) => {
                assert_eq!(answer.map(|answer| answer.status()), Some(200), "{name}");
                let received = application.next().await;
                assert_eq!((received.start_line(), received.body.as_slice()), (line, PAID.as_bytes()), "{name}");
                for header in ["signature", "credential", "nonce", "transfer-encoding"] {
                    assert_eq!(received.value(header), None, "{name}");
                }
                continue;
            }
            Rejected(reason) => {
                let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
                assert_eq!(answer.contract(), (401, "webhook_rejected".to_owned(), "no".to_owned()), "{name}");
                assert!(answer.text().contains("the webhook was not accepted"), "{name}: {}", answer.text());
                reason
            }
        };
        until(sidecar.admin, &format!("wonder_signer_webhook_errors_total{{reason=\"{reason}\"}}"), 1.0).await;
        assert_eq!(application.waiting(), 0, "{name}");
    }
}
