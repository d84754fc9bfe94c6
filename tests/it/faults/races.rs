//! Connections that close while the next request is being sent, repeated many times.

use super::{id, numbered, upstream};
use crate::support::{caller::Caller, faults::Fault, identity::Certificate, sidecar::Sidecar, wire::OK};

/// Ten times the usual trouble fits in a second.
const ROUNDS: usize = 300;

#[tokio::test]
async fn a_connection_seen_to_close_is_not_used_again() {
    let upstream = upstream().plan(|_| Fault::AnswerThenClose(OK.to_vec())).start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut caller = Caller::connect(sidecar.listen).await;
    for round in 0..20 {
        assert_eq!(caller.ask(&numbered(round, b"{}")).await.text(), "200 whole");
        assert_eq!(upstream.entry(&id(round)).whole, 1);
        // The connection ends here only after the sidecar has closed its side, so the sidecar has seen the end.
        upstream.until_open_at_most(0).await;
    }
    assert_eq!(upstream.connections(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sent_is_true_when_a_kept_connection_closes_during_the_request() {
    for tls in [false, true] {
        let builder = upstream().plan(|turn| match turn.connection % 3 {
            0 => Fault::AnswerThenClose(OK.to_vec()),
            1 => Fault::AnswerThenReset(OK.to_vec()),
            _ => Fault::AnswerThenCloseOnNextByte { answer: OK.to_vec(), read: turn.connection % 2 == 0 },
        });
        let builder = if tls { builder.tls(Certificate::Right) } else { builder };
        let upstream = builder.start().await;
        let sidecar = Sidecar::with(&upstream.origin(), &upstream.settings()).await;
        let mut caller = Caller::connect(sidecar.listen).await;
        let mut seen = std::collections::BTreeMap::<String, usize>::new();
        for round in 0..ROUNDS {
            let outcome = caller.ask(&numbered(round, b"{}")).await;
            let (text, entry) = (outcome.text(), upstream.entry(&id(round)));
            assert!(
                matches!(&text[..], "200 whole" | "200 cut" | "502 upstream_reset maybe" | "502 upstream_connect no"),
                "{text}"
            );
            assert!(entry.whole <= 1 && entry.begun <= 1, "{round}: {entry:?}");
            assert!(outcome.sent() != Some("no") || entry.begun == 0, "{round}: {text} {entry:?}");
            assert!(!text.starts_with("200") || entry.whole == 1, "{round}: {text} {entry:?}");
            *seen.entry(text).or_default() += 1;
        }
        eprintln!("{ROUNDS} requests, tls {tls}: {seen:?}");
    }
}
