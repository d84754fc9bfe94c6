//! The sidecar's own answers before the request body was read. The rest of the body could be read as a next request, so the
//! connection ends. The answer has `Connection: close`, and arrives although the caller is still sending.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, split};

use crate::support::{
    patience::soon,
    sidecar::Sidecar,
    transport::Transport,
    upstream::Recorder,
    wire::{Message, read_message, request},
};

/// More than the socket buffers hold.
const LARGE: usize = 8 << 20;
const SETTINGS: &str = "[limits]\nbody = \"1KiB\"\n";

/// A request line and headers, and the code of its answer. The last is refused only with a large body.
fn refused() -> Vec<(&'static str, &'static str)> {
    vec![
        ("POST /other HTTP/1.1\r\nHost: localhost\r\n", "not_wonder"),
        ("POST /svc/a/..%2fb HTTP/1.1\r\nHost: localhost\r\n", "bad_target"),
        ("POST /svc/a HTTP/1.1\r\nHost: localhost\r\nOrigin: https://other.example\r\n", "browser_denied"),
        ("POST /svc/a HTTP/1.1\r\nHost: localhost\r\nX-Wonder-Signer-Credential: none\r\n", "unknown_credential"),
        ("POST /svc/a HTTP/1.1\r\nHost: localhost\r\nX-Wonder-Signer-Timeout: soon\r\n", "bad_request"),
        ("POST /svc/a HTTP/1.1\r\nHost: other.example\r\n", "bad_host"),
        ("POST /svc/a HTTP/1.1\r\n", "bad_request"),
        ("POST /other HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n", "not_wonder"),
        ("POST /svc/a HTTP/1.1\r\nHost: localhost\r\n", "body_too_large"),
    ]
}

/// Framing, and the body on the wire.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let chunk = |size: usize| [format!("{size:x}\r\n").as_bytes(), &vec![b'x'; size], b"\r\n"].concat();
    vec![
        ("Content-Length: 2\r\n", b"{}".to_vec()),
        ("Content-Length: 8388608\r\n", vec![b'x'; LARGE]),
        ("Transfer-Encoding: chunked\r\n", [&chunk(2)[..], &chunk(2), b"0\r\n\r\n"].concat()),
        ("Transfer-Encoding: chunked\r\n", [&chunk(1 << 20).repeat(8)[..], b"0\r\n\r\n"].concat()),
    ]
}

/// When the body is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// With the head; the answer is read after the whole body was sent.
    AtOnce,
    /// After the answer was read.
    Late,
    /// Not at all.
    Never,
}

async fn answer(stream: &mut (impl AsyncRead + Unpin), what: &str) -> Message {
    soon(read_message(stream, false)).await.unwrap_or_else(|| panic!("{what}: no answer"))
}

#[tokio::test]
async fn an_answer_before_the_body_arrives_and_closes_the_connection() {
    let upstream = Recorder::start().await;
    for transport in Transport::all() {
        let sidecar = transport.sidecar(&upstream.origin(), SETTINGS).await;
        for (head, code) in refused() {
            for (framing, body) in bodies() {
                for when in [When::AtOnce, When::Late, When::Never] {
                    for expect in ["", "Expect: 100-continue\r\n"] {
                        let what = format!("{transport}, {head}{framing}{expect}{} bytes, {when:?}", body.len());
                        let declared = framing.contains(&LARGE.to_string());
                        let old = head.contains("HTTP/1.0");
                        if code == "body_too_large" && !(declared || when == When::AtOnce && body.len() > LARGE)
                            || old && (framing.contains("chunked") || !expect.is_empty())
                        {
                            continue;
                        }
                        let head = format!("{head}{framing}{expect}\r\n");
                        let stream = transport.send(sidecar.listen, head.as_bytes()).await;
                        let (mut reading, mut writing) = split(stream);
                        let mut send = async || {
                            writing.write_all(&body).await.expect(&what);
                            writing.flush().await.expect(&what);
                        };
                        if when == When::AtOnce {
                            soon(send()).await;
                        }
                        let mut answer = answer(&mut reading, &what).await;
                        // A chunked body is found too large only while it is read.
                        if answer.status() == 100 && code == "body_too_large" && !declared {
                            answer = self::answer(&mut reading, &what).await;
                        }
                        assert_eq!(answer.contract().1, code, "{what}");
                        assert_eq!(answer.value("connection"), Some("close"), "{what}: {}", answer.head);
                        if when == When::Late {
                            soon(send()).await;
                        }
                        // Nothing follows, and no reset.
                        let mut rest = Vec::new();
                        soon(reading.read_to_end(&mut rest)).await.expect(&what);
                        assert_eq!(rest, b"", "{what}");
                    }
                }
            }
        }
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn an_answer_after_the_body_or_without_one_keeps_the_connection() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    for (target, headers, body, code) in [
        ("/other", &[][..], &b""[..], "not_wonder"),
        ("/svc/a", &[("X-Wonder-Signer-Credential", "none")], b"", "unknown_credential"),
        ("/svc/a", &[("X-Wonder-Signer-Timeout", "soon")], b"", "bad_request"),
        ("/svc/a", &[], b"  ", "ambiguous_body"),
    ] {
        let mut stream = Transport::Plain.connect(sidecar.listen).await;
        for _ in 0..2 {
            stream.write_all(&request("POST", target, headers, body)).await.unwrap();
            let answer = answer(&mut stream, target).await;
            assert_eq!((answer.contract().1.as_str(), answer.value("connection")), (code, None));
        }
    }
}
