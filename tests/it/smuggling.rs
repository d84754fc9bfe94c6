//! Requests that are made so that two readers read them in two ways. Each is refused, or forwarded as the one request that
//! any reader sees in it; nothing else ever reaches the upstream, and nothing hangs. All of it is played over each transport.

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

/// What has to come of hostile bytes.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    /// The answers, or `closed` for none: `400 bad_request`, `200`.
    got: &'static [&'static str],
    /// What reaches the upstream, at most: method, target, body.
    reached: Vec<(&'static str, &'static str, &'static [u8])>,
}

impl Case {
    /// Refused with this code (`400 bad_request`), and nothing reaches the upstream.
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

/// Whether a refusal may be the HTTP library's own: the right status, but no body and none of the contract's headers.
const BARE_WILL_DO: bool = false;

/// Whether `got` is what was wanted: status and code, or the status alone where no code is given.
fn is(got: &str, wanted: &str) -> bool {
    let bare = got.strip_suffix(" bare");
    let status = wanted.split(' ').next();
    got == wanted || bare.is_some() && BARE_WILL_DO && bare == status || got.split(' ').next() == Some(wanted)
}

/// How long [`Range::play`] gives a head. A handshake has to be done in it too, on a busy machine as well.
const HEAD: &str = "1h";

/// A listener that gives up soon on what does not come, before an upstream that records.
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

    /// One for every transport; heads may take so long.
    async fn all(head: &str) -> Vec<Self> {
        let timeouts = format!("request_head = \"{head}\"\nidle = \"200ms\"\nbody = \"200ms\"");
        join_all(Transport::all().into_iter().map(|transport| Self::open(transport, &timeouts))).await
    }

    /// Plays all cases over every transport and shows what came of them; fails at the end, so that all are shown.
    async fn play(cases: Vec<Case>) {
        Self::play_within(HEAD, cases).await;
    }

    async fn play_within(head: &str, cases: Vec<Case>) {
        let ranges = Self::all(head).await;
        // Side by side: most of the time goes by waiting for time-outs.
        let wrong = join_all(ranges.iter().map(|range| range.play_here(&cases))).await.concat();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    async fn play_here(&self, cases: &[Case]) -> Vec<String> {
        let (mut wrong, transport) = (Vec::new(), &self.transport);
        let mut table =
            format!("\n| hostile framing, {transport} | what came of it | reached the upstream |\n|---|---|---|\n");
        for case in cases {
            // The connection has been closed by then, so that nothing of this case can come later.
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

    /// Sends `bytes` and reads answers until the connection is closed, which it has to be: the time-outs see to that.
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
                // In the contract or from upstream, or else from the library underneath.
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
