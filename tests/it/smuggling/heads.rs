//! Request heads with line ends, folding or names that only some parsers accept.

use super::{Case, REFUSED, Range};
use crate::support::sidecar::assert_signed;

fn get(lines: &[u8]) -> Vec<u8> {
    [b"GET /svc/a HTTP/1.1\r\nHost: localhost\r\n", lines, b"\r\n"].concat()
}

fn bad(name: &'static str, lines: &[u8]) -> Case {
    Case::refused(name, get(lines), REFUSED)
}

#[tokio::test]
async fn malformed_header_lines_are_rejected() {
    Range::play(vec![
        bad("space before the colon", b"X-A : b\r\n"),
        bad("tab before the colon", b"X-A\t: b\r\n"),
        bad("space before the name", b"X-A: b\r\n X-B: c\r\n"),
        bad("Content-Length with space before the colon", b"Content-Length : 2\r\n"),
        bad("Transfer-Encoding with space before the colon", b"Transfer-Encoding : chunked\r\n"),
        bad("no colon", b"nonsense\r\n"),
        bad("no name", b": b\r\n"),
        bad("NUL in a value", b"X-A: a\0b\r\n"),
        bad("NUL in a name", b"X\0A: b\r\n"),
        bad("bare CR in a value", b"X-A: a\rb\r\n"),
        bad("bare CR, then a header", b"X-A: a\rTransfer-Encoding: chunked\r\n"),
        bad("bell in a value", b"X-A: \x07\r\n"),
        bad("DEL in a value", b"X-A: \x7f\r\n"),
        bad("non-ASCII in a name", "X-Ä: b\r\n".as_bytes()),
        bad("brackets in a name", b"X[A]: b\r\n"),
        bad("a folded first header", b"\tfolded\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn bare_line_feeds_are_rejected() {
    Range::play(vec![
        bad("bare LF ends a header", b"X-A: b\nX-B: c\r\n"),
        bad("bare LF, then a length", b"X-A: b\nContent-Length: 2\r\n"),
        Case::refused("bare LF everywhere", "GET /svc/a HTTP/1.1\nHost: localhost\n\n", REFUSED),
        Case::refused("bare LF ends the head", "GET /svc/a HTTP/1.1\r\nHost: localhost\r\n\n", REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn folded_headers_are_rejected() {
    Range::play(vec![
        bad("folded with a space", b"X-A: b\r\n c\r\n"),
        bad("folded with a tab", b"X-A: b\r\n\tc\r\n"),
        bad("folded Transfer-Encoding", b"Transfer-Encoding:\r\n chunked\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn foreign_hosts_are_rejected() {
    let host = |name, lines: &str, got| Case::refused(name, format!("GET /svc/a HTTP/1.1\r\n{lines}\r\n"), got);
    let misdirected: &[&str] = &["421 bad_host"];
    Range::play(vec![
        host("no Host", "", REFUSED),
        host("two Hosts", "Host: localhost\r\nHost: evil.example\r\n", REFUSED),
        host("two Hosts that agree", "Host: localhost\r\nHost: localhost\r\n", REFUSED),
        host("an empty Host", "Host:\r\n", misdirected),
        host("two in one Host", "Host: localhost, evil.example\r\n", misdirected),
        host("a Host with user", "Host: localhost@evil.example\r\n", misdirected),
        host("a Host with path", "Host: localhost/evil\r\n", misdirected),
        host("a Host with a bad port", "Host: localhost:x\r\n", misdirected),
        host("another Host", "Host: gateway.wonder.today\r\n", misdirected),
    ])
    .await;
}

#[tokio::test]
async fn connection_cannot_weaken_the_request() {
    let nominated = "POST /svc/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close, signature, nonce, \
        credential, host, content-length, content-type, x-request-id\r\n\r\n{}";
    Range::play(vec![Case::taken("Connection nominates our headers", nominated, "POST", "/svc/a", b"{}")]).await;
}

#[tokio::test]
async fn malformed_request_lines_are_rejected() {
    let line = |name, line: &str| Case::refused(name, format!("{line}\r\nHost: localhost\r\n\r\n"), REFUSED);
    Range::play(vec![
        line("HTTP/1.2", "GET /svc/a HTTP/1.2"),
        line("HTTP/2.0", "GET /svc/a HTTP/2.0"),
        line("HTTP/3", "GET /svc/a HTTP/3"),
        line("http/1.1 in lower case", "GET /svc/a http/1.1"),
        line("HTTP/1.10", "GET /svc/a HTTP/1.10"),
        line("HTTP/01.1", "GET /svc/a HTTP/01.1"),
        line("two spaces", "GET  /svc/a HTTP/1.1"),
        line("tab for space", "GET\t/svc/a\tHTTP/1.1"),
        line("a space after the version", "GET /svc/a HTTP/1.1 "),
        line("a space before the method", " GET /svc/a HTTP/1.1"),
        line("no target", "GET HTTP/1.1"),
        line("four words", "GET /svc/a /svc/b HTTP/1.1"),
        line("a method with a colon", "GE:T /svc/a HTTP/1.1"),
        Case::refused("HTTP/0.9", "GET /svc/a\r\n", REFUSED),
        Case::refused("TLS on the plain port", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", REFUSED),
        Case::refused("binary noise", b"\0\x01\x02\x03\r\n\r\n", REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn heads_over_the_limits_are_rejected() {
    let many = "X-A: b\r\n".repeat(101);
    let large = format!("X-A: {}\r\n", "b".repeat(70_000));
    let too_large: &[&str] = &["431"];
    Range::play(vec![
        Case::refused("102 headers", get(many.as_bytes()), too_large),
        Case::refused("a header of 70 kB", get(large.as_bytes()), too_large),
    ])
    .await;
}

#[tokio::test]
async fn an_endless_head_times_out() {
    Range::play_within(
        "500ms",
        vec![
            Case::refused("half a request line", "GET /svc", &["408 head_timeout"]),
            Case::refused("half a head", "GET /svc/a HTTP/1.1\r\nHost: localhost\r\nX", &["408 head_timeout"]),
            Case::refused("empty lines", "\r\n\r\n\r\n", &["closed"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    Range::play_within("500ms", vec![Case::refused("nothing", "", &["closed"])]).await;
}

#[tokio::test]
async fn an_ambiguous_head_is_not_forwarded() {
    // The answers do not matter: none of these may reach the upstream in an ambiguous form.
    for range in Range::all(super::HEAD).await {
        for lines in [
            &b"X-A : b\r\n"[..],
            b"X-A: b\r\n c\r\n",
            b"X-A: a\0b\r\n",
            b"X-A: a\rb\r\n",
            b"X-A: b\nX-B: c\r\n",
            b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: 0\r\nContent-Length: 0\r\n",
        ] {
            range.answers(&[&get(lines)[..], b"0\r\n\r\n"].concat()).await;
            for message in range.upstream.take() {
                assert_signed(&message);
            }
            assert_eq!(range.upstream.ambiguous(), [""; 0]);
        }
    }
}
