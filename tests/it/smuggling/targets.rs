//! Request targets that name one thing to one reader and another to the next.

use super::{Case, REFUSED, Range};
use crate::support::sidecar::assert_signed;

const BAD_TARGET: &[&str] = &["400 bad_target"];
const NOT_WONDER: &[&str] = &["404 not_wonder"];
const BAD_HOST: &[&str] = &["421 bad_host"];

fn line(target: &[u8]) -> Vec<u8> {
    [b"GET ", target, b" HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat()
}

fn refused(name: &'static str, target: &[u8], got: &'static [&'static str]) -> Case {
    Case::refused(name, line(target), got)
}

#[tokio::test]
async fn refuses_fragments() {
    Range::play(vec![
        refused("a fragment", b"/svc/a#b", BAD_TARGET),
        refused("an empty fragment", b"/svc/a#", BAD_TARGET),
        refused("a fragment after the query", b"/svc/a?b#c", BAD_TARGET),
        refused("a fragment that is a path", b"/svc/#/../../b", BAD_TARGET),
    ])
    .await;
}

#[tokio::test]
async fn refuses_bytes_that_no_target_has() {
    Range::play(vec![
        refused("NUL", b"/svc/a\0b", BAD_TARGET),
        refused("DEL", b"/svc/a\x7fb", BAD_TARGET),
        refused("a tab", b"/svc/a\tb", BAD_TARGET),
        refused("a bare CR", b"/svc/a\rb", BAD_TARGET),
        refused("a space", b"/svc/a b", REFUSED),
        refused("no slash", b"svc/a", BAD_TARGET),
        refused("70 kB", &[b"/svc/", &b"a".repeat(70_000)[..]].concat(), &["431"]),
    ])
    .await;
}

#[tokio::test]
async fn refuses_targets_that_lead_elsewhere() {
    Range::play(vec![
        refused("dot segments", b"/svc/../admin", NOT_WONDER),
        refused("encoded dot segments", b"/svc/%2e%2e/admin", NOT_WONDER),
        refused("half encoded", b"/svc/.%2e%2fadmin", NOT_WONDER),
        refused("back slash", b"/svc/..\\admin", NOT_WONDER),
        refused("encoded back slash", b"/svc/..%5cadmin", NOT_WONDER),
        refused("parameters on dots", b"/svc/..;/admin", NOT_WONDER),
        refused("two slashes first", b"//svc/a", NOT_WONDER),
        refused("the asterisk", b"*", NOT_WONDER),
        refused("another absolute form", b"http://evil.example/svc/a", BAD_HOST),
        refused("an absolute form with user", b"http://localhost@evil.example/svc/a", BAD_HOST),
        refused("an absolute form in https", b"https://evil.example/svc/a", BAD_HOST),
        refused("another scheme", b"ftp://localhost/svc/a", BAD_TARGET),
        refused("an absolute form with an empty path", b"http://localhost", NOT_WONDER),
        refused("an absolute form with a query and no path", b"http://localhost?/svc/a", NOT_WONDER),
        Case::refused("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", BAD_TARGET),
        Case::refused("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", NOT_WONDER),
        Case::refused("TRACE", "TRACE /svc/a HTTP/1.1\r\nHost: localhost\r\n\r\n", REFUSED),
        Case::refused("PRI", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", REFUSED),
    ])
    .await;
}

#[tokio::test]
async fn forwards_odd_targets_byte_for_byte_or_not_at_all() {
    // Signed and sent alike, whatever they mean: the strict reader compares the bytes.
    let taken = |name, target: &'static str| Case::taken(name, line(target.as_bytes()), "GET", target, b"");
    Range::play(vec![
        taken("an absolute form inside the query", "/svc/a?http://evil.example/"),
        taken("percent and no digits", "/svc/%zz%"),
        taken("encoded NUL", "/svc/a%00b"),
        taken("encoded CRLF", "/svc/a%0d%0aHost:%20evil.example"),
        taken("encoded space and plus", "/svc/a%20b+c"),
        taken("encoded fragment", "/svc/a%23b"),
        taken("two question marks", "/svc/a?b?c"),
        taken("dots that stay inside", "/svc/a/../b"),
    ])
    .await;
}

#[tokio::test]
async fn signs_or_refuses_angle_brackets_and_raw_bytes() {
    for range in Range::all(super::HEAD).await {
        for target in [
            &b"/svc/a?b=<c>"[..],
            b"/svc/<a>",
            b"/svc/a?b=\"c\"",
            b"/svc/{a}|^`?{b}|^`",
            "/svc/汉".as_bytes(),
            "/svc/a?é".as_bytes(),
            b"/svc/a?\xff\xfe",
            b"/svc/\xc0\xae\xc0\xae/x",
        ] {
            let answers = range.answers(&line(target)).await;
            eprintln!("| {} | {} |", String::from_utf8_lossy(target), answers.join(", "));
            assert_eq!(answers.len(), 1);
            for message in range.upstream.take() {
                assert_eq!(answers, ["200"]);
                assert_signed(&message);
                assert_eq!(message.start_line().as_bytes(), [b"GET ", target, b" HTTP/1.1"].concat());
            }
            assert_eq!(range.upstream.ambiguous(), [""; 0]);
        }
    }
}
