//! The framing of answers, from the origin to the caller.

use super::{numbered, upstream};
use crate::support::{
    faults::{Fault, Upstream},
    patience::soon,
    sidecar::Sidecar,
    wire::{Message, exchange},
};

/// An upstream that gives this answer to every request, and a sidecar in front of it.
async fn answering(answer: &[u8], settings: &str) -> (Upstream, Sidecar) {
    let fault = Fault::AnswerThenClose(answer.to_vec());
    let upstream = upstream().plan(move |_| fault.clone()).start().await;
    let sidecar = Sidecar::with(&upstream.origin(), settings).await;
    (upstream, sidecar)
}

/// The answer that a caller gets for this one.
async fn forwarded(answer: &[u8]) -> Message {
    let (_upstream, sidecar) = answering(answer, "").await;
    exchange(sidecar.listen, &numbered(0, b"{}")).await
}

/// The same for an answer with these headers and a body of eight bytes.
async fn with(lines: &str) -> Message {
    forwarded(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n12345678").as_bytes()).await
}

#[tokio::test]
async fn an_answer_has_one_numeric_length_or_is_an_error() {
    for lines in
        ["Content-Length: 8, 8", "Content-Length: 8\r\nContent-Length: 8", "Content-Length: 8,8\r\nContent-Length: 08"]
    {
        let answer = with(lines).await;
        assert_eq!(
            (answer.status(), answer.values("content-length"), &answer.body[..]),
            (200, vec!["8"], &b"12345678"[..])
        );
    }
    for lines in
        ["Content-Length: 8, 7", "Content-Length: 8\r\nContent-Length: 7", "Content-Length: 8,", "Content-Length: +8"]
    {
        assert_eq!(
            with(lines).await.contract(),
            (502, "upstream_bad_response".to_owned(), "maybe".to_owned()),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn the_length_of_an_answer_to_head_is_the_origins() {
    for (lines, length) in [("Content-Length: 8, 8", vec!["8"]), ("Content-Length: 8", vec!["8"]), ("X-A: b", vec![])] {
        let (_upstream, sidecar) = answering(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n").as_bytes(), "").await;
        let answer = exchange(sidecar.listen, b"HEAD /svc/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!((answer.status(), answer.values("content-length")), (200, length), "{lines}");
        assert_eq!(answer.value("transfer-encoding"), None);
    }
    let (_upstream, sidecar) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: eight\r\n\r\n", "").await;
    let answer = exchange(sidecar.listen, b"HEAD /svc/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(answer.value("x-wonder-signer-error"), Some("upstream_bad_response"));
}

#[tokio::test]
async fn an_answer_without_a_body_has_no_framing() {
    for status in ["204 No Content", "304 Not Modified"] {
        let answer = forwarded(format!("HTTP/1.1 {status}\r\nContent-Length: 8\r\nETag: x\r\n\r\n").as_bytes()).await;
        assert_eq!((answer.value("content-length"), answer.value("transfer-encoding")), (None, None), "{status}");
        assert_eq!(answer.value("etag"), Some("x"));
    }
    for empty in
        ["Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Connection: close\r\n\r\n"]
    {
        let answer = forwarded(format!("HTTP/1.1 200 OK\r\n{empty}").as_bytes()).await;
        assert_eq!((answer.status(), answer.value("content-length")), (200, Some("0")), "{empty}");
    }
}

/// RFC 9110 §2.5: the HTTP version applies to one hop only.
#[tokio::test]
async fn a_held_answer_has_its_length_whatever_the_versions() {
    let chunked = "Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n";
    for (version, rest) in [
        ("1.1", chunked),
        ("1.1", "\r\n12345678"),
        ("1.0", "\r\n12345678"),
        ("1.0", "Content-Length: 8\r\n\r\n12345678"),
    ] {
        let (_upstream, sidecar) = answering(format!("HTTP/{version} 200 OK\r\n{rest}").as_bytes(), "").await;
        for caller in ["1.0", "1.1"] {
            let request = format!("GET /svc/a HTTP/{caller}\r\nHost: localhost\r\n\r\n");
            let answer = exchange(sidecar.listen, request.as_bytes()).await;
            assert_eq!(answer.start_line(), format!("HTTP/{caller} 200 OK"), "{version} {rest}");
            assert_eq!(
                (answer.value("content-length"), &answer.body[..]),
                (Some("8"), &b"12345678"[..]),
                "{version} {rest}"
            );
            assert_eq!(answer.value("transfer-encoding"), None);
        }
    }
}

#[tokio::test]
async fn a_space_before_the_colon_is_removed() {
    let answer = with("X-Spaced : yes\r\nX-Tab\t: yes\r\nContent-Length : 8").await;
    assert!(answer.head.contains("\r\nx-spaced: yes\r\nx-tab: yes\r\ncontent-length: 8\r\n"), "{}", answer.head);
}

#[tokio::test]
async fn the_sidecars_own_headers_are_removed_from_upstream_answers() {
    let lines = "X-Wonder-Signer-Error: a\r\nX_Wonder_Signer_Sent: no\r\nx.wonder.signer.error: b\r\nContent-Length: 8";
    let head = with(lines).await.head.to_ascii_lowercase();
    assert!(!head.contains("wonder"), "{head}");
    // The same holds for trailers, even if the caller accepts them.
    let trailers = "X-Wonder-Signer-Sent: no\r\nX_Wonder_Signer_Error: a\r\nX-Sum: 1\r\n";
    let answer = format!(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-Wonder-Signer-Sent\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n{trailers}\r\n"
    );
    for settings in ["", "[limits]\nresponse_held = \"0B\""] {
        let (_upstream, sidecar) = answering(answer.as_bytes(), settings).await;
        let request = b"GET /svc/a HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n";
        let mut stream = tokio::net::TcpStream::connect(sidecar.listen).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
        let mut bytes = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut bytes).await.unwrap();
        assert!(bytes.starts_with("HTTP/1.1 200 OK\r\n") && bytes.contains("{}"), "{bytes}");
        assert!(
            !bytes.to_ascii_lowercase().contains("wonder") && !bytes.to_ascii_lowercase().contains("x-sum"),
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn a_response_head_may_be_as_large_as_the_limits_that_the_error_names() {
    let lines = |count: usize| format!("{}Content-Length: 8", "X-A: b\r\n".repeat(count - 1));
    assert_eq!(with(&lines(256)).await.status(), 200);
    let refused = with(&lines(257)).await;
    assert_eq!(refused.contract(), (502, "upstream_bad_response".to_owned(), "maybe".to_owned()));
    assert!(refused.text().contains("limits.response_headers"), "{}", refused.text());
    let long = |size: usize| format!("X-A: {}\r\nContent-Length: 8", "b".repeat(size));
    assert_eq!(with(&long(60_000)).await.value("x-a").map(str::len), Some(60_000));
    let refused = with(&long(66_000)).await;
    assert_eq!(refused.contract(), (502, "upstream_bad_response".to_owned(), "maybe".to_owned()));
    assert!(refused.text().contains("limits.response_header_bytes"), "{}", refused.text());
    // Both can be changed.
    let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n12345678", lines(11));
    let (_upstream, sidecar) = answering(answer.as_bytes(), "[limits]\nresponse_headers = 10").await;
    assert_eq!(exchange(sidecar.listen, &numbered(0, b"{}")).await.status(), 502);
    let answer = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n12345678", long(900_000));
    let (_upstream, sidecar) = answering(answer.as_bytes(), "[limits]\nresponse_header_bytes = \"1MiB\"").await;
    assert_eq!(exchange(sidecar.listen, &numbered(0, b"{}")).await.status(), 200);
}

/// An HTTP/1.0 caller reads an answer without a length to the end of the connection, so only a reset can show that it is cut.
#[tokio::test]
async fn an_http_1_0_caller_of_a_streamed_answer_gets_a_reset_where_it_breaks() {
    let chunks = format!("{:x}\r\n{}\r\n", 90_000, "x".repeat(90_000));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (answer, whole) in [(format!("{head}{chunks}"), false), (format!("{head}{chunks}0\r\n\r\n"), true)] {
        let (_upstream, sidecar) = answering(answer.as_bytes(), "").await;
        for keep in ["", "Connection: keep-alive\r\n"] {
            let mut stream = tokio::net::TcpStream::connect(sidecar.listen).await.unwrap();
            let request = format!("GET /svc/a HTTP/1.0\r\nHost: localhost\r\n{keep}\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            let end = soon(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes)).await;
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.starts_with("HTTP/1.0 200 OK\r\n") && !text.contains("keep-alive"), "{}", &text[..300]);
            assert!(!text.contains("content-length") && text.contains("\r\n\r\nxxx"), "{}", &text[..300]);
            match end {
                Ok(_) => assert!(whole && text.ends_with(&"x".repeat(90_000))),
                Err(error) => assert!(!whole && error.kind() == std::io::ErrorKind::ConnectionReset, "{error}"),
            }
        }
    }
}

/// Some clients accept the bytes before a FIN as the whole answer, against `Content-Length` and the missing last chunk.
#[tokio::test]
async fn a_streamed_answer_that_breaks_ends_in_a_reset_whatever_its_framing() {
    let (length, body) = ("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "x".repeat(90_000));
    let chunks = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", 90_000);
    for (answer, read) in [(length.to_owned(), 0), (format!("{length}{body}"), 90_000), (chunks, 90_000)] {
        let (_upstream, sidecar) = answering(answer.as_bytes(), "").await;
        let mut stream = tokio::net::TcpStream::connect(sidecar.listen).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, &numbered(0, b"{}")).await.unwrap();
        let mut bytes = Vec::new();
        let end = soon(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes)).await;
        assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        // The caller reads the head and the part of the body before the reset.
        assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && bytes.len() > read, "{} bytes", bytes.len());
    }
}

/// An HTTP/1.1 caller gets chunks for any version of the origin; the last chunk is missing if the answer is cut.
#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_chunked_for_http_1_1() {
    for version in ["1.0", "1.1"] {
        let answer = format!("HTTP/{version} 200 OK\r\n\r\n{}", "x".repeat(90_000));
        let (_upstream, sidecar) = answering(answer.as_bytes(), "").await;
        let answer = exchange(sidecar.listen, &numbered(0, b"{}")).await;
        assert_eq!((answer.value("transfer-encoding"), answer.body.len()), (Some("chunked"), 90_000));
    }
}
