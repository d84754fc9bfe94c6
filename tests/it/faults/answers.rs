//! Faults of the answer.

use std::sync::Arc;

use tokio::{io::AsyncWriteExt as _, sync::Semaphore};

use super::{Row, numbered, title, upstream};
use crate::support::{
    caller::{Caller, Outcome},
    faults::{Early, Fault},
    sidecar::Sidecar,
    wire::OK,
};

const HALF_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Le";
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
const HALF_BODY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";
const HALF_CHUNKS: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
const UNTIL_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nas long as it lasts";

fn row(fault: &'static str, what: Fault, got: &'static str) -> Row {
    Row::new(fault, upstream().plan(move |_| what.clone()), got, &[1])
}

/// Answers small enough to be held: after any fault, the caller gets an answer of the contract.
fn short() -> Vec<Row> {
    let (lost, late) = ("502 upstream_reset maybe", "504 upstream_timeout maybe");
    let reset = |bytes: &[u8]| Fault::AnswerThenReset(bytes.to_vec());
    let close = |bytes: &[u8]| Fault::AnswerThenClose(bytes.to_vec());
    let stall = |bytes: &[u8]| Fault::Stall(bytes.to_vec());
    vec![
        row("reset within the head", reset(HALF_HEAD), lost),
        row("reset after the head", reset(HEAD), lost),
        row("reset within the body", reset(HALF_BODY), lost),
        row("reset between chunks", reset(HALF_CHUNKS), lost),
        row("reset where the end would end the body", reset(UNTIL_CLOSE), lost),
        row("closed within the head", close(HALF_HEAD), lost),
        row("closed after the head", close(HEAD), lost),
        row("closed within the body", close(HALF_BODY), lost),
        row("closed between chunks", close(HALF_CHUNKS), lost),
        row("closed within the last line of chunks", close(&[HALF_CHUNKS, b"0\r\n"].concat()), lost),
        row("half a head and nothing more", stall(HALF_HEAD), late).settings("[timeouts]\nresponse_head = \"1s\""),
        row("a head and nothing more", stall(HEAD), late).settings("[timeouts]\nresponse_idle = \"100ms\""),
        row("half a body and nothing more", stall(HALF_BODY), late).settings("[timeouts]\nresponse_idle = \"100ms\""),
        row("a body that outlasts timeouts.request", stall(HALF_BODY), late).settings("[timeouts]\nrequest = \"1s\""),
        row("the end ends the body", close(UNTIL_CLOSE), "200 whole"),
    ]
}

#[tokio::test]
async fn a_held_answer_that_breaks_becomes_an_error_of_the_contract() {
    title("small answers that break off, plain");
    for row in short() {
        row.check().await;
    }
    title("small answers that break off, TLS");
    for row in short() {
        row.tls().check().await;
    }
}

/// Answers too large to be held: after any fault, the caller gets the head and sees that the rest is missing.
fn long() -> Vec<Row> {
    let (length, size) = (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec(), 90_000);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [format!("{size:x}\r\n").as_bytes(), &vec![b'x'; size], b"\r\n"].concat();
    let (half, half_chunks) = ([&length[..], &vec![b'x'; size]].concat(), [&chunked[..], &chunk].concat());
    let junk = [&half_chunks[..], b"zz\r\n"].concat();
    let (close, reset, stall) = (Fault::AnswerThenClose, Fault::AnswerThenReset, Fault::Stall);
    // A reset may overtake what was sent before it.
    let cut_or_lost = "200 cut | 502 upstream_reset maybe";
    vec![
        row("closed right after the head", close(length.clone()), "200 cut"),
        row("closed within the body", close(half.clone()), "200 cut"),
        row("closed between chunks", close(half_chunks.clone()), "200 cut"),
        row("a chunk size that is no number", close(junk), "200 cut"),
        row("reset right after the head", reset(length.clone()), cut_or_lost),
        row("reset within the body", reset(half.clone()), cut_or_lost),
        row("reset between chunks", reset(half_chunks.clone()), cut_or_lost),
        row("a head and nothing more", stall(length), "200 cut").settings("[timeouts]\nresponse_idle = \"100ms\""),
        row("half a body and nothing more", stall(half), "200 cut").settings("[timeouts]\nresponse_idle = \"100ms\""),
        row("half the chunks and nothing more", stall(half_chunks), "200 cut")
            .settings("[timeouts]\nresponse_idle = \"100ms\""),
    ]
}

#[tokio::test]
async fn a_streamed_answer_that_breaks_keeps_its_head_and_is_visibly_cut() {
    title("large answers that break off, plain");
    for row in long() {
        row.check().await;
    }
    title("large answers that break off, TLS");
    for row in long() {
        row.tls().check().await;
    }
    title("small answers that break off and are not held");
    let close = |bytes: &[u8]| Fault::AnswerThenClose(bytes.to_vec());
    for bytes in [HEAD, HALF_BODY, HALF_CHUNKS] {
        let streamed = row("closed", close(bytes), "200 cut").settings("[limits]\nresponse_held = \"0B\"");
        streamed.check().await;
    }
}

fn garbage() -> Vec<Row> {
    let bad = "502 upstream_bad_response maybe";
    let close = |bytes: &[u8]| Fault::AnswerThenClose(bytes.to_vec());
    let with = |line: &str| close(format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes());
    vec![
        row("another protocol", close(b"SSH-2.0-OpenSSH_9.2\r\n"), bad),
        row("binary noise", close(&[0, 159, 146, 150, 255, 0, 1, 2, 3]), bad),
        row("HTML without a head", close(b"<html>busy</html>\r\n\r\n"), bad),
        row("an HTTP/2 preface", close(b"\0\0\0\x04\0\0\0\0\0"), bad),
        row("HTTP/3.0", close(b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"), bad),
        row("status 99999", close(b"HTTP/1.1 99999 X\r\nContent-Length: 0\r\n\r\n"), bad),
        row("status abc", close(b"HTTP/1.1 abc X\r\nContent-Length: 0\r\n\r\n"), bad),
        row("a header with NUL", with("X-A: a\0b"), bad),
        row("a header with a bare CR", with("X-A: a\rb"), bad),
        row("a header name with a space", with("X A: b"), bad),
        row("a line without a colon", with("nonsense"), bad),
        row("a header too many", with(&["X-A: b"; 256].join("\r\n")), bad),
        row("a header of 1 MiB", with(&format!("X-A: {}", "b".repeat(1 << 20))), bad),
        row("two lengths that differ", with("Content-Length: 3"), bad),
        row("a framing that is not chunked", with("Transfer-Encoding: gzip"), bad),
        row(
            "a coding under the chunks",
            close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            bad,
        ),
        row("a folded header", with("X-A: a\r\n b"), bad),
        row("a length of -1", close(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"), bad),
        row(
            "a chunk size that is no number",
            close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
            bad,
        ),
        row(
            "a chunk size over 64 bits",
            close(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n{}\r\n0\r\n\r\n"),
            bad,
        ),
    ]
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_not_forwarded() {
    title("answers that are not HTTP");
    for row in garbage() {
        row.check().await;
    }
}

/// RFC 9112 §6.3: such an answer ought to be treated as an error.
#[tokio::test]
async fn an_answer_framed_in_two_ways_is_not_forwarded() {
    title("answers in two framings");
    for length in ["5", "2", "100"] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let fault = Fault::AnswerThenClose(answer.into_bytes());
        let name = Box::leak(format!("chunked, 5 bytes, and Content-Length: {length}").into_boxed_str());
        row(name, fault, "502 upstream_bad_response maybe").check().await;
    }
}

#[tokio::test]
async fn an_early_answer_is_forwarded() {
    title("answers before the end of the request");
    let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n{}";
    let row = |fault, answer: &[u8], early, got, arrivals| {
        let fault_of = Fault::AnswerEarly(answer.to_vec(), early);
        Row::new(fault, upstream().plan(move |_| fault_of.clone()), got, arrivals)
            .body(8 << 20)
            .settings("[limits]\nbody = \"16MiB\"")
    };
    row("answered before the body, which is then read", OK, Early::Keep, "200 whole", &[0, 1]).check().await;
    row("refused before the body, which is never read", refusal, Early::Hold, "413 whole", &[0]).check().await;
    // The reset may arrive before the answer.
    let either = "413 whole | 502 upstream_reset maybe";
    row("refused before the body, then reset", refusal, Early::Close, either, &[0]).check().await;
}

/// The second request meets a connection on which the origin sent more than one answer.
fn extra() -> Vec<Row> {
    let forged = b"HTTP/1.1 418 Forged\r\nContent-Length: 2\r\n\r\n{}";
    let first = |bytes: &[u8]| {
        let answer = Fault::Answer(bytes.to_vec());
        upstream().plan(move |turn| if turn.connection == 0 { answer.clone() } else { Fault::none() })
    };
    // The first answer ends at its announced length. The bytes after it belong to no request.
    let own = "200 whole | 502 upstream_reset maybe | 502 upstream_bad_response maybe | 502 upstream_connect no";
    let row = |fault, bytes: Vec<u8>| Row::new(fault, first(&bytes), own, &[0, 1]).second();
    vec![
        row("two answers to the request before", [OK, forged].concat()),
        row("more body than announced before", [OK, b"more"].concat()),
        row("a body after 204 before", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 418 F\r\n\r\n".to_vec()),
    ]
}

#[tokio::test]
async fn no_request_gets_the_answer_of_another() {
    title("answers too many");
    for row in extra() {
        row.check().await;
    }
}

#[tokio::test]
async fn interim_answers_do_not_extend_the_deadline() {
    title("interim answers");
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(3);
    row("interim answers, then the answer", Fault::Answer([&interim, OK].concat()), "200 whole").check().await;
    row("interim answers and nothing more", Fault::Stall(interim), "504 upstream_timeout maybe")
        .settings("[timeouts]\nresponse_head = \"1s\"")
        .check()
        .await;
}

#[tokio::test]
async fn an_answer_101_is_an_error() {
    title("101");
    // No request asked for an upgrade, so there is no protocol to switch to.
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
    row("101 unasked", Fault::Stall(switched.to_vec()), "502 upstream_bad_response maybe").check().await;
}

#[tokio::test]
async fn a_streamed_answer_is_forwarded_byte_by_byte() {
    let permits = Arc::new(Semaphore::new(0));
    let trickle = Fault::Trickle(OK.to_vec(), Arc::clone(&permits));
    let upstream = upstream().plan(move |_| trickle.clone()).start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[limits]\nresponse_held = \"11B\"").await;
    let mut caller = Caller::connect(sidecar.listen).await;
    caller.stream().write_all(&numbered(0, b"{}")).await.unwrap();
    let head = OK.len() - 12;
    permits.add_permits(head + 1);
    // The first byte of the body is forwarded before the origin has sent the others.
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n{") {
        let mut byte = [0];
        tokio::io::AsyncReadExt::read_exact(caller.stream(), &mut byte).await.unwrap();
        seen.push(byte[0]);
    }
    permits.add_permits(11);
    let mut rest = [0; 11];
    tokio::io::AsyncReadExt::read_exact(caller.stream(), &mut rest).await.unwrap();
    assert_eq!(&rest, b"\"code\":200}");
}

#[tokio::test]
async fn an_answer_larger_than_any_buffer_is_streamed() {
    let size = 64 << 20;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    let flood = Fault::Flood(head, size);
    let upstream = upstream().plan(move |_| flood.clone()).start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    match Caller::connect(sidecar.listen).await.ask(&numbered(0, b"{}")).await {
        Outcome::Forwarded { status: 200, whole: true, body } => assert_eq!(body.len(), size),
        other => panic!("{}", other.text()),
    }
}
