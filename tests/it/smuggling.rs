//! Request smuggling: bytes that two HTTP parsers may read as different requests. The sidecar either rejects them or forwards the
//! one request that every parser reads. Nothing else reaches the upstream, and no connection hangs. Every case runs over each
//! transport.

mod framing;
mod heads;
mod targets;

use std::fmt::Write as _;

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::support::{
    faults::Upstream,
    patience::HANG,
    sidecar::{Sidecar, assert_signed},
    strict::find,
    transport::Transport,
    wire::{Message, read_message},
};

/// Hostile bytes and the expected result.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    /// The expected answers (`400 bad_request`, `200`), or `closed` for none.
    got: &'static [&'static str],
    /// The requests that may reach the upstream: method, target, body.
    reached: Vec<(&'static str, &'static str, &'static [u8])>,
}

impl Case {
    /// Rejected with this code (`400 bad_request`), and nothing reaches the upstream.
    fn refused(name: &'static str, bytes: impl Into<Vec<u8>>, got: &'static [&'static str]) -> Self {
        Self { name, bytes: bytes.into(), got, reached: Vec::new() }
    }

    /// Forwarded as this one request.
    fn taken(
        name: &'static str,
        bytes: impl Into<Vec<u8>>,
        method: &'static str,
        target: &'static str,
        body: &'static [u8],
    ) -> Self {
        Self { name, bytes: bytes.into(), got: &["200"], reached: vec![(method, target, body)] }
    }
}

const REFUSED: &[&str] = &["400 bad_request"];

/// Whether the HTTP library may answer by itself: with the right status, but without a body and the contract's headers.
const BARE_WILL_DO: bool = false;

/// Compares status and code, or the status alone if `wanted` has no code.
fn is(got: &str, wanted: &str) -> bool {
    let bare = got.strip_suffix(" bare");
    let status = wanted.split(' ').next();
    got == wanted || bare.is_some() && BARE_WILL_DO && bare == status || got.split(' ').next() == Some(wanted)
}

/// The head time-out in [`Range::play`]. A TLS handshake must fit into it, even on a busy machine.
const HEAD: &str = "1h";

/// A sidecar with short time-outs in front of a recording upstream.
struct Range {
    upstream: Upstream,
    sidecar: Sidecar,
    transport: Transport,
}

impl Range {
    async fn open(transport: Transport, timeouts: &str) -> Self {
        let upstream = Upstream::builder().start().await;
        let sidecar = transport.sidecar(&upstream.origin(), &format!("[timeouts]\n{timeouts}\n")).await;
        Self { upstream, sidecar, transport }
    }

    /// One for every transport, with this head time-out.
    async fn all(head: &str) -> Vec<Self> {
        let timeouts = format!("request_head = \"{head}\"\nidle = \"200ms\"\nbody = \"200ms\"");
        join_all(Transport::all().into_iter().map(|transport| Self::open(transport, &timeouts))).await
    }

    /// Plays all cases over every transport and prints the results; fails only at the end, so that all results are printed.
    async fn play(cases: Vec<Case>) {
        Self::play_within(HEAD, cases).await;
    }

    async fn play_within(head: &str, cases: Vec<Case>) {
        let ranges = Self::all(head).await;
        // Concurrently, because most of the time is spent waiting for time-outs.
        let wrong = join_all(ranges.iter().map(|range| range.play_here(&cases))).await.concat();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    async fn play_here(&self, cases: &[Case]) -> Vec<String> {
        let (mut wrong, transport) = (Vec::new(), &self.transport);
        let mut table =
            format!("\n| hostile framing, {transport} | what came of it | reached the upstream |\n|---|---|---|\n");
        for case in cases {
            // `answers` returns when the connection has closed, so nothing of this case can arrive later.
            let got = self.answers(&case.bytes).await;
            let reached = self.upstream.take();
            for message in &reached {
                assert_signed(message);
            }
            let reached: Vec<_> = reached.iter().map(parts).collect();
            let shown: Vec<_> = reached.iter().map(|(method, target, _)| format!("`{method} {target}`")).collect();
            let _ = writeln!(table, "| {} | {} | {} |", case.name, got.join(", "), shown.join(", "));
            let expected: Vec<_> =
                case.reached.iter().map(|(m, t, b)| (m.to_string(), t.to_string(), b.to_vec())).collect();
            if got.len() != case.got.len() || !got.iter().zip(case.got).all(|(got, wanted)| is(got, wanted)) {
                wrong.push(format!("{transport}, {}: {got:?}, not {:?}", case.name, case.got));
            }
            if reached != expected {
                wrong.push(format!("{transport}, {}: {reached:?} reached the upstream", case.name));
            }
        }
        wrong.extend(self.upstream.ambiguous());
        eprint!("{table}");
        wrong
    }

    /// Sends `bytes` and reads answers until the sidecar closes the connection; its time-outs make sure that it does.
    async fn answers(&self, bytes: &[u8]) -> Vec<String> {
        let (mut reading, mut writing) = tokio::io::split(self.transport.connect(self.sidecar.listen).await);
        let mut seen = Vec::new();
        let all = async {
            let read = async {
                let _ = reading.read_to_end(&mut seen).await;
            };
            tokio::join!(read, async {
                let _ = writing.write_all(bytes).await;
                let _ = writing.flush().await;
            });
        };
        if timeout(HANG, all).await.is_err() {
            return vec!["HUNG".to_owned()];
        }
        let mut answers = Vec::new();
        let mut rest = &seen[..];
        while let Some(message) = read_message(&mut rest, false).await {
            answers.push(match message.value("x-wonder-signer-error") {
                Some(_) => {
                    let (status, code, sent) = message.contract();
                    assert_eq!(sent, "no", "{message:?}");
                    format!("{status} {code}")
                }
                // An answer of the contract or of the upstream; otherwise it is the HTTP library's own.
                None if message.value("x-request-id").is_none() => format!("{} bare", message.status()),
                None => message.status().to_string(),
            });
            assert!(find(rest, b"HTTP/1.1 ").is_none_or(|at| at == 0), "{:?}", String::from_utf8_lossy(&seen));
        }
        if answers.is_empty() {
            answers.push("closed".to_owned());
        }
        answers
    }
}

fn parts(message: &Message) -> (String, String, Vec<u8>) {
    let mut words = message.start_line().split(' ').map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap(), message.body.clone())
}
