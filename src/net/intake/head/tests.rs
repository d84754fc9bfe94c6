//! Every way to write a head that two readers could read differently.

use super::*;

fn checked(head: &str) -> Result<Framing, HeadError> {
    checked_bytes(head.as_bytes())
}

fn checked_bytes(head: &[u8]) -> Result<Framing, HeadError> {
    let mut search = Search::default();
    match scan(head, &mut search) {
        Scan::Whole(length) => {
            assert_eq!(length, head.len());
            check(head, search, 5)
        }
        Scan::Wrong(refusal) => Err(refusal),
        Scan::Partial => panic!("not a whole head: {:?}", String::from_utf8_lossy(head)),
    }
}

fn with(headers: &str) -> Result<Framing, HeadError> {
    checked(&format!("POST /svc/a HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
}

#[test]
fn tells_what_follows() {
    assert_eq!(with(""), Ok(Framing::None));
    assert_eq!(with("Content-Length: 0\r\n"), Ok(Framing::None));
    assert_eq!(with("content-length:  12 \r\n"), Ok(Framing::Length(12)));
    assert_eq!(with("Content-Length: 18446744073709551613\r\n"), Ok(Framing::Length(u64::MAX - 2)));
    assert_eq!(with("Transfer-Encoding: CHUNKED\r\n"), Ok(Framing::Chunked));
}

#[test]
fn refuses_every_doubtful_length() {
    for value in ["", "+1", "-1", "1,1", "1 1", "0x1", "1.0", "18446744073709551614", "18446744073709551616", "one"] {
        assert_eq!(with(&format!("Content-Length: {value}\r\n")), Err(HeadError::ContentLength), "{value}");
    }
    assert_eq!(with("Content-Length: 1\r\nContent-Length: 1\r\n"), Err(HeadError::ContentLength));
    assert_eq!(with("Content-Length: 1\r\ncontent-length: 2\r\n"), Err(HeadError::ContentLength));
}

#[test]
fn refuses_every_doubtful_encoding() {
    for value in ["", "identity", "gzip, chunked", "chunked, chunked", "xchunked", "chunked;q=1", "\"chunked\""] {
        assert_eq!(with(&format!("Transfer-Encoding: {value}\r\n")), Err(HeadError::TransferEncoding), "{value}");
    }
    let twice = "Transfer-Encoding: chunked\r\n".repeat(2);
    assert_eq!(with(&twice), Err(HeadError::TransferEncoding));
    let old = "POST /svc/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(checked(old), Err(HeadError::TransferEncoding));
}

#[test]
fn refuses_length_and_encoding_in_either_order() {
    assert_eq!(with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), Err(HeadError::LengthAndEncoding));
    assert_eq!(with("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), Err(HeadError::LengthAndEncoding));
}

#[test]
fn refuses_doubtful_lines() {
    assert_eq!(with("X-A: 1\r\n folded\r\n"), Err(HeadError::FoldedHeader));
    assert_eq!(with("X-A: 1\r\n\tfolded\r\n"), Err(HeadError::FoldedHeader));
    assert_eq!(with("X-A: 1\nX-B: 2\r\n"), Err(HeadError::BareLineEnd));
    assert_eq!(with("X-A: 1\rX-B: 2\r\n"), Err(HeadError::BareLineEnd));
    for line in ["X-A : 1", "X-A\t: 1", ": 1", "X-A", "X A: 1", "X-\u{e9}: 1", "X-A: \0", "X-A: \u{7f}", "(x): 1"] {
        assert_eq!(with(&format!("{line}\r\n")), Err(HeadError::HeaderLine), "{line:?}");
    }
    assert_eq!(with("Host: other\r\n"), Err(HeadError::TwoHosts));
    assert_eq!(with("X-A: 1\r\nX-B:\r\nX-C: caf\u{e9}\r\nX-D: \t\r\n"), Ok(Framing::None));
}

#[test]
fn refuses_request_lines_of_another_form() {
    for line in [
        "GET /svc/a",
        "GET  /svc/a HTTP/1.1",
        " GET /svc/a HTTP/1.1",
        "GET /svc/a HTTP/1.1 ",
        "GET /svc/a b HTTP/1.1",
        "GET\t/svc/a\tHTTP/1.1",
        "GET /svc/a http/1.1",
        "GET /svc/a HTTP/1.1\r",
        "G(T /svc/a HTTP/1.1",
    ] {
        assert_eq!(checked(&format!("{line}\r\n\r\n")), Err(HeadError::RequestLine), "{line:?}");
    }
    for line in ["GET /svc/a HTTP/1.2", "GET /svc/a HTTP/2.0", "PRI * HTTP/2.0", "PRI * HTTP/1.1"] {
        assert_eq!(checked(&format!("{line}\r\n\r\n")), Err(HeadError::Version), "{line:?}");
    }
}

#[test]
fn refuses_targets_that_would_not_arrive_as_they_are() {
    let target = |target: &[u8]| checked_bytes(&[b"GET ", target, b" HTTP/1.1\r\n\r\n"].concat());
    assert_eq!(target(b"/svc/a#b"), Err(HeadError::Fragment));
    assert_eq!(target(b"/svc/a?b#"), Err(HeadError::Fragment));
    for refused in [&b"/svc/a?b=\"c\""[..], b"/svc/a?<b>", b"/svc/\x01", b"/svc/\x7f", b"/svc/\xff", b"svc/a/"] {
        assert_eq!(target(refused), Err(HeadError::Target), "{:?}", String::from_utf8_lossy(refused));
    }
    for fine in
        ["/svc/a?f[x]=1&g=%2f%2F+", "/svc/a?b={c}|^`", "/svc/\u{6c49}", "*", "http://localhost/svc/a", "localhost:80"]
    {
        assert_eq!(target(fine.as_bytes()), Ok(Framing::None), "{fine}");
    }
}

#[test]
fn refuses_a_name_that_is_longer_than_the_http_library_takes() {
    let named = |length: usize| with(&format!("{}: 1\r\n", "x".repeat(length)));
    assert_eq!((named(65_535), named(65_536)), (Ok(Framing::None), Err(HeadError::LongName)));
}

#[test]
fn counts_header_lines() {
    assert_eq!(with(&"X-A: 1\r\n".repeat(4)), Ok(Framing::None));
    assert_eq!(with(&"X-A: 1\r\n".repeat(5)), Err(HeadError::TooManyHeaders));
}

#[test]
fn finds_the_end_however_the_head_is_cut() {
    let head = b"GET /svc/a HTTP/1.1\r\nHost: localhost\r\n\r\nrest";
    let mut search = Search::default();
    for end in 0..head.len() - 4 {
        assert_eq!(scan(&head[..end], &mut search), Scan::Partial, "{end}");
    }
    assert_eq!(scan(head, &mut search), Scan::Whole(head.len() - 4));
}
