//! Hostile HTTP/2: headers that HTTP/1 would read otherwise, lengths that lie, and frames that are against the rules.

use std::fmt::Write as _;

use futures_util::{FutureExt as _, future::join_all};
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{Range, parts};
use crate::support::{
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, POST, PREFACE, PUSH_PROMISE,
        RST_STREAM, SETTINGS, WINDOW_UPDATE, block, but, frame, post, read_frame, with,
    },
    patience::HANG,
    sidecar::assert_signed,
};

/// Sends frames and says what became of stream 1: the code of an answer of ours, `200`, `reset`, `goaway` or `closed`.
pub(super) async fn fate(range: &Range, frames: &[u8]) -> String {
    let (mut reading, mut writing) = tokio::io::split(range.transport.connect(range.sidecar.listen).await);
    let bytes = [PREFACE, frames].concat();
    let outcome = async {
        let mut body = Vec::new();
        loop {
            let Some(Frame { kind, flags, stream, payload }) = read_frame(&mut reading).await else {
                return "closed".to_owned();
            };
            match (kind, stream) {
                (GOAWAY, 0) => return "goaway".to_owned(),
                (RST_STREAM, 1) => return "reset".to_owned(),
                (DATA, 1) => body.extend(payload),
                _ => {}
            }
            if stream == 1 && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                let Ok(answer) = serde_json::from_slice::<serde_json::Value>(&body) else { return "bare".to_owned() };
                return answer["code"].as_str().map_or_else(|| answer["code"].to_string(), str::to_owned);
            }
        }
    };
    let both = async {
        let (outcome, ()) = tokio::join!(outcome, async {
            let _ = writing.write_all(&bytes).await;
            let _ = writing.flush().await;
        });
        outcome
    };
    timeout(HANG, both).await.unwrap_or_else(|_| "HUNG".to_owned())
}

/// Name, frames, acceptable fates, and whether it may reach the upstream as `POST /svc/a` with `{}`.
type Row<'a> = (&'a str, Vec<u8>, &'a str, bool);

async fn play(rows: Vec<Row<'_>>) {
    let ranges = Range::patient().await;
    let wrong = join_all(ranges.iter().map(|range| play_over(range, &rows))).await.concat();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

async fn play_over(range: &Range, rows: &[Row<'_>]) -> Vec<String> {
    let (mut wrong, transport) = (Vec::new(), &range.transport);
    let mut table =
        format!("\n| hostile frames, {transport} | what came of it | reached the upstream |\n|---|---|---|\n");
    for (name, frames, expected, reaches) in rows {
        let got = fate(range, frames).await;
        let reached = range.upstream.take();
        for message in &reached {
            assert_signed(message);
        }
        let reached: Vec<_> = reached.iter().map(parts).collect();
        let _ = writeln!(table, "| {name} | {got} | {} |", reached.len());
        if !expected.split('|').any(|one| one.trim() == got) {
            wrong.push(format!("{transport}, {name}: {got}, not {expected}"));
        }
        let whole = [("POST".to_owned(), "/svc/a".to_owned(), b"{}".to_vec())];
        if !(reached.is_empty() || *reaches && reached == whole) {
            wrong.push(format!("{transport}, {name}: {reached:?} reached the upstream"));
        }
    }
    wrong.extend(range.upstream.ambiguous());
    eprint!("{table}");
    wrong
}

const BROKEN: &str = "reset | goaway | closed | SIGNER_BAD_REQUEST | SIGNER_BAD_TARGET";

#[tokio::test]
async fn refuses_two_ways_of_framing_at_once() {
    let both = with(&[("content-length", "2"), ("transfer-encoding", "chunked")]);
    play(vec![("Content-Length and Transfer-Encoding", post(&both, b"{}"), "reset", false)]).await;
}

#[tokio::test]
async fn refuses_headers_that_http_1_would_read_otherwise() {
    let refused = |name, fields: &[(&str, &str)]| (name, post(fields, b"{}"), BROKEN, false);
    play(vec![
        ("a plain request", post(&POST, b"{}"), "200", true),
        refused("Transfer-Encoding", &with(&[("transfer-encoding", "chunked")])),
        refused("Connection", &with(&[("connection", "signature")])),
        refused("Upgrade", &with(&[("upgrade", "h2c")])),
        refused("Keep-Alive", &with(&[("keep-alive", "timeout=5")])),
        refused("a name in upper case", &with(&[("X-A", "b")])),
        refused("a name with a space", &with(&[("x a", "b")])),
        refused("a name with a colon", &with(&[("x:a", "b")])),
        refused("a name with CRLF", &with(&[("x-a\r\nx-b", "c")])),
        refused("a value with CRLF", &with(&[("x-a", "b\r\nx-b: c")])),
        refused("a value with bare LF", &with(&[("x-a", "b\nx-b: c")])),
        refused("a value with NUL", &with(&[("x-a", "b\0c")])),
        refused("no :path", &POST[..3]),
        refused("no :method", &POST[1..]),
        refused("two :path", &with(&[(":path", "/svc/b")])),
        refused("two :method", &with(&[(":method", "GET")])),
        refused("a pseudo-header that nobody knows", &with(&[(":evil", "x")])),
        refused(":status in a request", &with(&[(":status", "200")])),
        refused("a pseudo-header after the others", &[POST[0], POST[1], POST[2], ("x-a", "b"), POST[3]]),
        refused("an empty :path", &but(":path", "")),
        refused(":path with a space", &but(":path", "/svc/a b")),
        refused(":path with CRLF", &but(":path", "/svc/a HTTP/1.1\r\nX: y")),
        refused(":method with CRLF", &but(":method", "GET /svc/b HTTP/1.1\r\nX: ")),
        refused(":method with a space", &but(":method", "GET /svc/b")),
        refused("an empty :method", &but(":method", "")),
    ])
    .await;
}

#[tokio::test]
async fn refuses_targets_and_hosts_of_others() {
    let row = |name, fields: &[(&str, &str)], got| (name, post(fields, b"{}"), got, false);
    play(vec![
        row("another :authority", &but(":authority", "evil.example"), "SIGNER_BAD_HOST"),
        row("another host beside :authority", &with(&[("host", "evil.example")]), "SIGNER_BAD_HOST | reset"),
        row("a :path outside /svc/", &but(":path", "/other"), "SIGNER_NOT_WONDER"),
        row("a :path that leads out", &but(":path", "/svc/%2e%2e/x"), "SIGNER_NOT_WONDER"),
        row("a :path without a slash", &but(":path", "svc/a"), BROKEN),
        row("an asterisk", &but(":path", "*"), "SIGNER_NOT_WONDER | reset"),
        row("TRACE", &but(":method", "TRACE"), "SIGNER_BAD_REQUEST"),
        row("CONNECT", &[(":method", "CONNECT"), (":authority", "evil.example:443")], "SIGNER_BAD_TARGET | reset"),
    ])
    .await;
}

#[tokio::test]
#[ignore = "the HTTP library cuts a fragment off a :path before anyone else sees it"]
async fn refuses_fragments_in_frames() {
    play(vec![("a fragment", post(&but(":path", "/svc/a#b"), b"{}"), BROKEN, false)]).await;
}

#[tokio::test]
async fn refuses_lengths_that_lie() {
    let row = |name, length: &'static str| (name, post(&with(&[("content-length", length)]), b"{}"), BROKEN, false);
    play(vec![
        ("a length that is true", post(&with(&[("content-length", "2")]), b"{}"), "200", true),
        row("a length too long", "3"),
        row("a length too short", "1"),
        row("a length of 0", "0"),
        row("a length of -1", "-1"),
        row("a length of +2", "+2"),
        row("two in one length", "2, 2"),
        ("two lengths", post(&with(&[("content-length", "2"), ("content-length", "3")]), b"{}"), BROKEN, false),
    ])
    .await;
}

#[tokio::test]
async fn survives_frames_that_are_against_the_rules() {
    let open = frame(HEADERS, END_HEADERS, 1, &block(&POST));
    let many = |one: Vec<u8>, count| one.repeat(count);
    let row = |name, frames: Vec<u8>| (name, frames, BROKEN, false);
    let half = block(&POST);
    let endless = [frame(HEADERS, 0, 1, &half), many(frame(CONTINUATION, 0, 1, &block(&[("x-a", "b")])), 20_000)];
    let resets: Vec<u8> = (0..5000_u32)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            [frame(HEADERS, END_HEADERS, stream, &block(&POST)), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        })
        .collect();
    play(vec![
        row("DATA on stream 0", frame(DATA, 0, 0, b"{}")),
        row("DATA before HEADERS", frame(DATA, END_STREAM, 1, b"{}")),
        row("HEADERS on an even stream", frame(HEADERS, END_HEADERS, 2, &block(&POST))),
        row("CONTINUATION alone", frame(CONTINUATION, END_HEADERS, 1, &block(&POST))),
        row("CONTINUATION without end", endless.concat()),
        row("DATA between HEADERS and CONTINUATION", [frame(HEADERS, 0, 1, &half), frame(DATA, 0, 1, b"{}")].concat()),
        row("PUSH_PROMISE from a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        row("a frame over the limit", frame(DATA, 0, 1, &vec![0; 20_000])),
        row("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        row("SETTINGS on stream 1", frame(SETTINGS, 0, 1, &[])),
        row("PING of 7 bytes", frame(PING, 0, 0, &[0; 7])),
        row("WINDOW_UPDATE of 0 on the connection", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        row("WINDOW_UPDATE over 2^31", many(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), 2)),
        row("HPACK index that does not exist", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff, 0xff, 0xff, 0x0f])),
        row("HPACK cut short", frame(HEADERS, END_HEADERS | END_STREAM, 1, &half[..half.len() - 3])),
        row(
            "HPACK table size out of bounds",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x3f, 0xff, 0xff, 0xff, 0x0f]),
        ),
        row("padding longer than the frame", frame(HEADERS, END_HEADERS | 8, 1, &[255, 0])),
        // Trailers are thrown away unread, so what they hold is not forwarded either.
        (
            "trailers with a pseudo-header",
            [
                open.clone(),
                frame(DATA, 0, 1, b"{}"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[(":path", "/svc/b")])),
            ]
            .concat(),
            "200 | reset | goaway",
            true,
        ),
        row(
            "trailers that do not end the stream",
            [open.clone(), frame(HEADERS, END_HEADERS, 1, &block(&[("x-a", "b")]))].concat(),
        ),
        row("RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        row("5000 streams opened and reset", resets),
        row("another preface", b"\0\0\0\0\0\0\0\0\0".repeat(3)),
    ])
    .await;
}

#[tokio::test]
async fn bounds_what_a_caller_can_make_it_answer() {
    // Acknowledgements that nobody reads: the other side has to stop reading or hang up, and a new caller is not harmed.
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(4096);
    for range in Range::patient().await {
        let mut flood = range.transport.send(range.sidecar.listen, PREFACE).await;
        for _ in 0..200 {
            // As much as it takes without waiting.
            if flood.write(&pings).now_or_never().is_none() {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(fate(&range, &post(&POST, b"{}")).await, "200", "{}", range.transport);
    }
}
