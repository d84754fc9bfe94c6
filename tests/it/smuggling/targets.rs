//! Request targets that two parsers may resolve to different resources.

use super::{Case, REFUSED, Range};
use crate::support::{
    caller::ask,
    faults::Upstream,
    sidecar::{Sidecar, assert_signed},
};

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
async fn fragments_are_rejected() {
    Range::play(vec![
        refused("a fragment", b"/svc/a#b", BAD_TARGET),
        refused("an empty fragment", b"/svc/a#", BAD_TARGET),
        refused("a fragment after the query", b"/svc/a?b#c", BAD_TARGET),
        refused("a fragment that is a path", b"/svc/#/../../b", BAD_TARGET),
    ])
    .await;
}

#[tokio::test]
async fn invalid_bytes_in_a_target_are_rejected() {
    Range::play(vec![
        refused("NUL", b"/svc/a\0b", BAD_TARGET),
        refused("DEL", b"/svc/a\x7fb", BAD_TARGET),
        refused("a tab", b"/svc/a\tb", BAD_TARGET),
        refused("a bare CR", b"/svc/a\rb", BAD_TARGET),
        refused("a space", b"/svc/a b", REFUSED),
        refused("a back slash", b"/svc/a\\b", BAD_TARGET),
        refused("a back slash in the query", b"/svc/a?b\\c", BAD_TARGET),
        refused("a back slash in an absolute form", b"http://localhost\\@evil.example/svc/a", BAD_TARGET),
        refused("no slash", b"svc/a", BAD_TARGET),
        refused("70 kB", &[b"/svc/", &b"a".repeat(70_000)[..]].concat(), &["431"]),
    ])
    .await;
}

#[tokio::test]
async fn targets_that_lead_out_of_svc_are_rejected() {
    Range::play(vec![
        refused("dot segments", b"/svc/../admin", NOT_WONDER),
        refused("encoded dot segments", b"/svc/%2e%2e/admin", NOT_WONDER),
        refused("half encoded", b"/svc/.%2e%2fadmin", NOT_WONDER),
        refused("back slash", b"/svc/..\\admin", BAD_TARGET),
        refused("encoded back slash", b"/svc/..%5cadmin", NOT_WONDER),
        refused("parameters on dots", b"/svc/..;/admin", NOT_WONDER),
        refused("out, if %5c is no separator", b"/svc/a%5cb/../../admin", NOT_WONDER),
        refused("out, if %2f is no separator", b"/svc/a%2fb/../../admin", NOT_WONDER),
        refused("encoded twice", b"/svc/%252e%252e/admin", NOT_WONDER),
        refused("encoded twice, with a slash", b"/svc/..%252fadmin", NOT_WONDER),
        refused("inside, with %2f", b"/svc/a/b%2fc/../d", BAD_TARGET),
        refused("inside, with %5c", b"/svc/a/b%5Cc/%2e%2E/d", BAD_TARGET),
        refused("inside, with %252f", b"/svc/a/b%252fc/../d", BAD_TARGET),
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
async fn public_targets_without_a_signature_are_rejected() {
    let public = |name, target: &[u8]| refused(name, target, NOT_WONDER);
    Range::play(vec![
        public("as documented", b"/svc/payment/public/api/v1/openapi/orders"),
        public("with empty and dot segments", b"/svc//payment/./public/x"),
        public("by way of another", b"/svc/payment/api/../public/x"),
        public("encoded", b"/svc/payment%2f%70ublic/x"),
        public("in capitals", b"/svc/Payment/Public/x"),
        public("with parameters", b"/svc/payment;v=1/public;x"),
        Case::taken("a longer name", line(b"/svc/payment/publicity"), "GET", "/svc/payment/publicity", b""),
    ])
    .await;
}

/// The bytes that a target may have, as in the table of `deploy/errors.md`: in the path, in the query.
#[tokio::test]
async fn every_byte_of_a_target_is_accepted_or_rejected_as_documented() {
    let upstream = Upstream::builder().start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let lines = include_str!("../../../deploy/errors.md").lines();
    let table = lines.skip_while(|line| !line.starts_with("| Bytes | In the path | In the query |")).skip(2);
    let mut seen = [0; 256];
    for row in table.take_while(|row| row.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let byte = |text: &str| u8::from_str_radix(text, 16).unwrap();
        let bytes = cells[0].split(' ').flat_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            byte(first)..=byte(last)
        });
        for byte in bytes {
            seen[usize::from(byte)] += 1;
            for (place, cell) in [("/svc/x", cells[1]), ("/svc/x?y", cells[2])] {
                let target = |bytes: &[u8]| [place.as_bytes(), bytes, b"z"].concat();
                // A byte of a multi-byte character is no character by itself.
                let (targets, wanted) = match cell {
                    "taken" => (vec![target(&[byte])], "200 whole".to_owned()),
                    "taken in UTF-8" => {
                        assert_eq!(ask(sidecar.listen, &line(&target(&[byte]))).await.text(), "400 bad_target no");
                        let character = ('\u{80}'..='\u{10ffff}')
                            .find(|character| character.to_string().as_bytes().contains(&byte));
                        (vec![target(character.unwrap().to_string().as_bytes())], "200 whole".to_owned())
                    }
                    refusal => (vec![target(&[byte])], format!("400 {} no", refusal.trim_matches('`'))),
                };
                for target in targets {
                    let got = ask(sidecar.listen, &line(&target)).await.text();
                    assert_eq!(got, wanted, "{byte:#04x} in {place}");
                    let reached = upstream.take();
                    assert_eq!(reached.len(), usize::from(wanted == "200 whole"));
                    for message in reached {
                        assert_signed(&message);
                        assert_eq!(message.start_line().as_bytes(), [b"GET ", &target[..], b" HTTP/1.1"].concat());
                    }
                }
            }
        }
    }
    assert_eq!(seen, [1; 256], "each byte is in one row");
}

#[tokio::test]
async fn an_overlong_target_gets_the_error_contract() {
    let upstream = Upstream::builder().start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nheader_bytes = \"1MiB\"").await;
    for (length, wanted) in
        [(65_534, "200 whole"), (65_535, "431 headers_too_large no"), (900_000, "431 headers_too_large no")]
    {
        let target = format!("/svc/{}", "a".repeat(length - 5));
        assert_eq!(ask(sidecar.listen, &line(target.as_bytes())).await.text(), wanted, "{length}");
    }
}

#[tokio::test]
async fn odd_targets_are_forwarded_byte_for_byte() {
    // Signed and sent unchanged: the strict parser compares the bytes.
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
async fn angle_brackets_and_raw_bytes_are_signed_or_rejected() {
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
