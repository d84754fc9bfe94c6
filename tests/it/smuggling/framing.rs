//! The end of a body, which is the start of the next request.

use super::{Case, REFUSED, Range};

/// `lines` and the rest after `POST /svc/a` and `Host`. A parser that ends the body early would read a second request.
fn post(lines: &str, rest: &str) -> String {
    format!("POST /svc/a HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{rest}")
}

const INNER: &str = "GET /svc/smuggled HTTP/1.1\r\nHost: localhost\r\nX: ";

#[tokio::test]
async fn a_length_that_is_no_number_is_rejected() {
    let one = |name, length: &str| Case::refused(name, post(&format!("Content-Length: {length}\r\n"), "{}"), REFUSED);
    Range::play(vec![
        one("Content-Length: -1", "-1"),
        one("Content-Length: +2", "+2"),
        one("Content-Length: 0x2", "0x2"),
        one("Content-Length: 2, 2", "2, 2"),
        one("Content-Length: 2, 3", "2, 3"),
        one("Content-Length: 2 2", "2 2"),
        one("Content-Length: 2.0", "2.0"),
        one("Content-Length:", ""),
        // The HTTP library answers the first two by itself, without the contract.
        one("Content-Length: 18446744073709551614", "18446744073709551614"),
        one("Content-Length: 18446744073709551615", "18446744073709551615"),
        one("Content-Length: 18446744073709551616", "18446744073709551616"),
        one("Content-Length: 99999999999999999999999", "99999999999999999999999"),
    ])
    .await;
}

#[tokio::test]
async fn two_different_lengths_are_rejected() {
    Range::play(vec![
        Case::refused("Content-Length 2 and 3", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x"), REFUSED),
        Case::refused("Content-Length 0 and 40", post("Content-Length: 0\r\nContent-Length: 40\r\n", INNER), REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn two_equal_lengths_are_rejected() {
    let two = post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}");
    Range::play(vec![Case::refused("Content-Length 2 twice", two, REFUSED)]).await;
}

#[tokio::test]
async fn a_length_with_a_transfer_encoding_is_rejected() {
    let chunked = "0\r\n\r\n";
    Range::play(vec![
        Case::refused(
            "Content-Length, then Transfer-Encoding",
            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunked),
            REFUSED,
        ),
        Case::refused(
            "Transfer-Encoding, then Content-Length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked),
            REFUSED,
        ),
        Case::refused(
            "Transfer-Encoding, Content-Length over a second request",
            post("Transfer-Encoding: chunked\r\nContent-Length: 60\r\n", &format!("{chunked}{INNER}")),
            REFUSED,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_transfer_encoding_other_than_chunked_is_rejected() {
    let one = |name, lines: &str| Case::refused(name, post(lines, "0\r\n\r\n"), REFUSED);
    Range::play(vec![
        one("Transfer-Encoding: identity", "Transfer-Encoding: identity\r\n"),
        one("Transfer-Encoding: gzip", "Transfer-Encoding: gzip\r\n"),
        one("Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked, gzip\r\n"),
        one("Transfer-Encoding: chunked, identity", "Transfer-Encoding: chunked, identity\r\n"),
        one("Transfer-Encoding: xchunked", "Transfer-Encoding: xchunked\r\n"),
        one("Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked;q=1\r\n"),
        one("Transfer-Encoding: \"chunked\"", "Transfer-Encoding: \"chunked\"\r\n"),
        one("Transfer-Encoding:", "Transfer-Encoding:\r\n"),
        one("Transfer-Encoding: chunked with a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        one(
            "Transfer-Encoding chunked, then identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ),
        Case::refused(
            "Transfer-Encoding in HTTP/1.0",
            "POST /svc/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            REFUSED,
        ),
    ])
    .await;
}

#[tokio::test]
async fn more_than_one_transfer_coding_is_rejected() {
    let one = |name, lines: &str| Case::refused(name, post(lines, "0\r\n\r\n"), REFUSED);
    Range::play(vec![
        one("Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n"),
        one("Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        one("Transfer-Encoding: identity, chunked", "Transfer-Encoding: identity, chunked\r\n"),
        one("Transfer-Encoding: x, then chunked", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n"),
        one("Transfer-Encoding chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    ])
    .await;
}

fn chunked(name: &'static str, rest: &str) -> Case {
    Case::refused(name, post("Transfer-Encoding: chunked\r\n", rest), REFUSED)
}

#[tokio::test]
async fn malformed_chunks_are_rejected() {
    let long = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000));
    Range::play(vec![
        chunked("chunk size over 64 bits", "10000000000000000\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk size of many digits", "fffffffffffffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk size -2", "-2\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk size +2", "+2\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk size 0x2", "0x2\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk size zz", "zz\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk size empty", "\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk longer than its size", "2\r\n{}{}\r\n0\r\n\r\n"),
        chunked("chunk ends in bare LF", "2\r\n{}\n0\r\n\r\n"),
        chunked("chunk size ends in bare LF", "2\n{}\r\n0\r\n\r\n"),
        chunked("chunk size ends in bare CR", "2\r{}\r\n0\r\n\r\n"),
        chunked("chunk extension with bare LF", "2;a\nb\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk extension of 100 kB", &long),
        chunked("chunk size with a space", "2 \r\n{}\r\n0\r\n\r\n"),
        chunked("chunk size with a tab", "2\t\r\n{}\r\n0\r\n\r\n"),
        chunked("last chunk with a space", "2\r\n{}\r\n0 \r\n\r\n"),
        chunked("chunk extension without a name", "2;\r\n{}\r\n0\r\n\r\n"),
        chunked("last chunk extension without a name", "2\r\n{}\r\n0;\r\n\r\n"),
        chunked("chunk extension that is no token", "2;bad[=x\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk extension without its value", "2;a=\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk extension with white space", "2 ; a = b\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk extension with an open quote", "2;a=\"b\r\n{}\r\n0\r\n\r\n"),
        chunked("chunk extension after a quote", "2;a=\"b\"c\r\n{}\r\n0\r\n\r\n"),
        chunked("trailer with a space before the colon", "2\r\n{}\r\n0\r\nX-A : b\r\n\r\n"),
        chunked("trailer that is folded", "2\r\n{}\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
        chunked("trailer of 100 kB", &format!("2\r\n{{}}\r\n0\r\nX: {}\r\n\r\n", "x".repeat(100_000))),
        chunked("trailer without a colon", "2\r\n{}\r\n0\r\nnonsense\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn an_endless_body_times_out() {
    let late = &["408 body_timeout"];
    Range::play(vec![
        Case::refused("body shorter than announced", post("Content-Length: 10\r\n", "{}"), late),
        Case::refused("last chunk missing", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n"), late),
        Case::refused("chunk of 64 bits", post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n{}"), REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn the_bytes_after_a_body_are_the_next_request() {
    let next = "GET /svc/next HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let taken = |name, bytes: String, got, reached| Case { name, bytes: bytes.into_bytes(), got, reached };
    let first: (_, _, &[u8]) = ("POST", "/svc/a", b"{}");
    let second: (_, _, &[u8]) = ("GET", "/svc/next", b"");
    let length = "Content-Length: 2\r\n";
    Range::play(vec![
        taken("a pipelined second request", post(length, &format!("{{}}{next}")), &["200", "200"], vec![first, second]),
        taken("CRLF between requests", post(length, &format!("{{}}\r\n{next}")), &["200", "200"], vec![first, second]),
        taken("trailing garbage", post(length, "{}garbage\r\n\r\n"), &["200", "400 bad_request"], vec![first]),
        taken(
            "a second request outside /svc/",
            post(length, "{}GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            &["200", "404 not_wonder"],
            vec![first],
        ),
        taken(
            "a second request after Connection: close",
            post(&format!("{length}Connection: close\r\n"), &format!("{{}}{next}")),
            &["200"],
            vec![first],
        ),
        taken(
            "a second request inside the body of a GET",
            format!("GET /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{next}", next.len()),
            &["200"],
            vec![("GET", "/svc/a", b"GET /svc/next HTTP/1.1\r\nHost: localhost\r\n\r\n")],
        ),
        taken(
            "a second request in a trailer",
            post("Transfer-Encoding: chunked\r\n", &format!("2\r\n{{}}\r\n0\r\nX: y\r\n\r\n{next}")),
            &["200", "200"],
            vec![first, second],
        ),
        taken(
            "forbidden trailers",
            post(
                "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n",
                "2\r\n{}\r\n0\r\nContent-Length: 50\r\nHost: evil.example\r\nSignature: forged\r\n\r\n",
            ),
            &["200"],
            vec![first],
        ),
        taken("a length with leading zeros", post("Content-Length: 0000000002\r\n", "{}"), &["200"], vec![first]),
        taken(
            "Transfer-Encoding: CHUNKED",
            post("Transfer-Encoding: CHUNKED\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            &["200"],
            vec![first],
        ),
    ])
    .await;
}
