use std::time::Duration;

use super::*;
use crate::{
    admin::{
        runbook,
        status::{Status, tests::seen},
    },
    contract::Sent,
    metrics::{Last, Lasts},
};

/// Health, headline and problems if `snapshot` is the window and all since the start.
fn found(snapshot: &Snapshot) -> (&'static str, String, Vec<(String, Option<&'static str>)>) {
    let status = Status::of(&seen(State::Ready, snapshot, snapshot, &Lasts::default()));
    let problems = status.problems.into_iter().map(|problem| (problem.text, problem.runbook)).collect();
    (status.health, status.headline, problems)
}

/// The figures, the problem, its entry in the runbook. In each, other requests succeeded.
fn troubles() -> Vec<(Snapshot, &'static str, &'static str)> {
    let quiet = Snapshot { upstream: [90, 0, 0, 0], ..Snapshot::default() };
    vec![
        (
            Snapshot { signatures_failed: 2, errors: vec![("sign_failed", [2, 0])], signer: [0, 2], ..quiet.clone() },
            "2 requests failed in wonder-signer itself in the last 5 min (sign_failed 2): run `wonder-signer check`, read \
             the log",
            "WonderSignerCannotSign",
        ),
        (
            Snapshot { errors: vec![("internal", [1, 0])], signer: [0, 1], ..quiet.clone() },
            "1 request failed in wonder-signer itself in the last 5 min (internal 1): run `wonder-signer check`, read the \
             log",
            "WonderSignerErrorBudgetBurnsFast",
        ),
        (
            Snapshot {
                errors: vec![("upstream_dns", [3, 0]), ("upstream_tls", [1, 0])],
                signer: [0, 4],
                ..quiet.clone()
            },
            "4 requests found no connection to gateway-stg.wonder.today in the last 5 min (upstream_dns 3, upstream_tls 1), \
             and none of them was sent: check DNS, egress and TLS",
            "WonderSignerUpstreamUnreachable",
        ),
        (
            Snapshot { rejected: 3, upstream: [1, 0, 3, 0], ..quiet.clone() },
            "Wonder rejected the authentication of 3 of 4 requests in the last 5 min (401 or 403): check clock, key, AppID \
             and egress address",
            "WonderSignerAuthRejected",
        ),
        (
            Snapshot { upstream: [80, 0, 0, 20], ..quiet.clone() },
            "Wonder answered 20 of 100 requests with 5xx in the last 5 min: tell Wonder, with request ids",
            "WonderSignerUpstreamFails",
        ),
        (
            Snapshot { errors: vec![("upstream_timeout", [2, 0])], signer: [0, 2], ..quiet.clone() },
            "2 requests got no answer from Wonder in the last 5 min and were not sent (upstream_timeout 2)",
            "WonderSignerUpstreamErrors",
        ),
        (
            Snapshot { errors: vec![("upstream_reset", [0, 1])], ..quiet.clone() },
            "1 request failed in the last 5 min after having perhaps reached Wonder (upstream_reset 1): ask Wonder for the \
             outcome before you repeat anything",
            "WonderSignerUnknownOutcome",
        ),
        // The client certificate was rejected after TLS 1.3 had begun: not a network fault with nothing sent.
        (
            Snapshot { errors: vec![("upstream_tls", [0, 2])], ..quiet.clone() },
            "2 requests failed in the last 5 min after having perhaps reached Wonder (upstream_tls 2): ask Wonder for the \
             outcome before you repeat anything",
            "WonderSignerUnknownOutcome",
        ),
        (
            Snapshot { errors: vec![("overloaded", [5, 0])], signer: [0, 5], ..quiet.clone() },
            "5 requests were rejected because of the limits, or because of the shutdown, in the last 5 min (overloaded 5)",
            "WonderSignerOverloaded",
        ),
        (
            Snapshot { errors: vec![("body_too_large", [30, 0])], signer: [30, 0], ..quiet.clone() },
            "wonder-signer rejected 30 requests of the service in the last 5 min (body_too_large 30)",
            "WonderSignerRefusesRequests",
        ),
        (
            Snapshot { in_flight: 8, in_flight_limit: 10, ..quiet.clone() },
            "8 of 10 requests are in flight: Wonder is slow or the limit too low",
            "WonderSignerSaturated",
        ),
        (
            Snapshot { clock_skew: -301.0, ..quiet.clone() },
            "the clock is 301.0 s behind Wonder's; Wonder rejects requests more than 30 minutes off: correct the host's clock",
            "WonderSignerClockSkew",
        ),
        (
            Snapshot { clock_skew: 1300.0, ..quiet },
            "the clock is 1300.0 s ahead of Wonder's; Wonder rejects requests more than 30 minutes off: correct the host's \
             clock",
            "WonderSignerClockSkewCritical",
        ),
    ]
}

#[test]
fn names_each_problem_with_its_remedy_and_an_entry_that_the_runbook_has() {
    for (snapshot, text, entry) in troubles() {
        let (health, headline, problems) = found(&snapshot);
        assert_eq!(problems, [(text.to_owned(), Some(entry))]);
        assert_eq!((health, headline.as_str()), ("warn", "ready, with a problem"), "{text}");
        assert!(runbook::entry(entry).is_some(), "{entry}");
    }
}

/// Only requests of one kind, even a single one.
#[test]
fn is_never_good_while_no_request_succeeds() {
    for (what, snapshot) in [
        ("500", Snapshot { upstream: [0, 0, 0, 1], ..Snapshot::default() }),
        ("401", Snapshot { upstream: [0, 0, 7, 0], rejected: 7, ..Snapshot::default() }),
        ("dns", Snapshot { signer: [0, 1], errors: vec![("upstream_dns", [1, 0])], ..Snapshot::default() }),
        ("time-outs", Snapshot { signer: [0, 1], errors: vec![("upstream_timeout", [0, 1])], ..Snapshot::default() }),
        ("own", Snapshot { signer: [0, 1], errors: vec![("internal", [1, 0])], ..Snapshot::default() }),
        ("refused", Snapshot { signer: [2, 0], errors: vec![("bad_host", [2, 0])], ..Snapshot::default() }),
        ("overloaded", Snapshot { signer: [0, 2], errors: vec![("overloaded", [2, 0])], ..Snapshot::default() }),
    ] {
        let (health, headline, problems) = found(&snapshot);
        assert_eq!((health, headline.as_str(), problems.len()), ("bad", "problem: no request succeeds", 1), "{what}");
    }
}

#[test]
fn a_single_fault_by_chance_is_no_problem() {
    let (health, ..) = found(&Snapshot { upstream: [900, 0, 40, 2], ..Snapshot::default() });
    assert_eq!(health, "good");
    let errors = vec![("body_too_large", [3, 0])];
    let (health, ..) = found(&Snapshot { upstream: [900, 0, 0, 0], signer: [3, 0], errors, ..Snapshot::default() });
    assert_eq!(health, "good");
}

#[test]
fn a_failure_is_a_problem_until_a_request_succeeds() {
    let total = Snapshot {
        upstream: [1, 0, 0, 0],
        signer: [0, 1],
        errors: vec![("upstream_dns", [1, 0])],
        ..Snapshot::default()
    };
    let recent = Snapshot { errors: vec![("upstream_dns", [0, 0])], ..Snapshot::default() };
    let at = |unix_seconds, answer| Last { unix_seconds, answer };
    let failed = at(1_771_061_000, LastAnswer::Signer("upstream_dns", Sent::No));
    let refused = at(1_771_061_300, LastAnswer::Upstream(404));
    for (success, expected) in [(None, 1), (Some(1_771_060_000), 1), (Some(1_771_061_200), 0)] {
        let success = success.map(|seconds| at(seconds, LastAnswer::Upstream(200)));
        let lasts = Lasts { success, failures: vec![refused, failed] };
        let seen = Seen { window: Duration::from_mins(5), ..seen(State::Ready, &total, &recent, &lasts) };
        let status = Status::of(&seen);
        assert_eq!((status.problems.len(), status.health == "warn"), (expected, expected == 1), "{success:?}");
        if let Some(problem) = status.problems.first() {
            assert_eq!(
                problem.text,
                "the last request that was to reach Wonder failed (upstream_dns, 09:23:20 UTC, 6 min ago)"
            );
        }
    }
}
