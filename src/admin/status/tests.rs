use super::*;
use crate::{
    metrics::{Metrics, Responder, Sent},
    operations,
};
use http::{Method, StatusCode};

fn seen<'a>(state: State, now: &'a Snapshot, recent: &'a Snapshot, credentials: &'a [CredentialFact]) -> Seen<'a> {
    Seen {
        state,
        version: "0.1.0",
        environment: "staging",
        origin: "https://gateway-stg.wonder.today",
        credentials,
        uptime: Duration::from_secs(93_784),
        now,
        recent,
        window: Duration::from_mins(1),
    }
}

fn status(state: State, snapshot: &Snapshot) -> Status {
    Status::of(&seen(state, snapshot, snapshot, &[]))
}

fn value<'a>(status: &'a Status, label: &str) -> &'a str {
    let mut rows = status.sections.iter().flat_map(|section| &section.rows);
    rows.find(|(found, _)| found == label).map(|(_, value)| value.as_str()).unwrap()
}

#[test]
fn says_ready_when_nothing_is_wrong() {
    let status = status(State::Ready, &Metrics::new(&["overloaded"]).snapshot());
    assert_eq!((status.health, status.headline.as_str(), status.problems.len()), ("good", "ready", 0));
    assert_eq!(value(&status, "up for"), "1 d 2 h");
    assert_eq!(value(&status, "clock"), "not known before Wonder's first answer");
    assert_eq!(value(&status, "whole request"), "no data");
}

#[test]
fn says_why_it_is_not_ready() {
    for (state, headline, why) in [
        (State::Starting, "not ready: starting", "keys are not loaded"),
        (State::Draining, "not ready: draining", "finishing its last requests"),
    ] {
        let status = status(state, &Snapshot::default());
        assert_eq!((status.health, status.headline.as_str()), ("bad", headline));
        assert!(status.problems[0].starts_with(why), "{:?}", status.problems);
    }
}

#[test]
fn names_each_trouble_of_the_last_minute_and_its_remedy() {
    let quiet = Snapshot::default();
    for (snapshot, expected) in [
        (
            Snapshot { signatures_failed: 2, ..quiet.clone() },
            "2 requests could not be signed: run `wonder-signer check`",
        ),
        (
            Snapshot { rejected: 3, upstream: [1, 0, 3, 0], ..quiet.clone() },
            "Wonder rejected the authentication of 3 of 4 requests: check clock, key, AppID and egress address",
        ),
        (
            Snapshot { errors: vec![("upstream_reset", [0, 1])], ..quiet.clone() },
            "1 request failed after having perhaps reached Wonder: query the outcome before repeating anything",
        ),
        (Snapshot { signer: [9, 4], ..quiet.clone() }, "4 requests got an error of our own (5xx): see the codes below"),
        (
            Snapshot { in_flight: 8, in_flight_limit: 10, ..quiet.clone() },
            "8 of 10 requests in flight: Wonder is slow or the limit too low",
        ),
        (
            Snapshot { clock_skew: -301.0, ..quiet.clone() },
            "the clock is 301.0 s behind Wonder's; Wonder refuses more than 30 minutes: correct the host's clock",
        ),
    ] {
        let status = status(State::Ready, &snapshot);
        assert_eq!((status.health, status.problems), ("warn", vec![expected.to_owned()]));
    }
}

#[test]
fn a_little_of_everything_is_shown_in_figures() {
    let metrics = Metrics::new(&["overloaded", "upstream_reset"]);
    let create = operations::find("POST", "/svc/payment/api/v1/openapi/customers");
    for _ in 0..120 {
        metrics.request_finished(create, &Method::POST, StatusCode::OK, Responder::Upstream, 0.2);
    }
    metrics.signed(true, 0.000_15);
    metrics.proxy_error("overloaded", Sent::No);
    metrics.proxy_error("upstream_reset", Sent::Maybe);
    metrics.set_clock_skew(1.25);
    metrics.set_in_flight_limit(256);
    let snapshot = metrics.snapshot();
    let credentials = [CredentialFact { name: "default".to_owned(), fingerprint: "0a1b2c3d".to_owned(), bits: 2048 }];
    let status = Status::of(&seen(State::Ready, &snapshot, &snapshot, &credentials));
    for (label, expected) in [
        ("default", "key 0a1b2c3d, RSA 2048 bits"),
        ("requests", "120 (2.0/s)"),
        ("Wonder: 2xx, 3xx, 4xx, 5xx", "120, 0, 0, 0"),
        ("in flight", "0 of 256"),
        ("whole request", "175.00 ms, 242.50 ms, 248.50 ms"),
        ("clock", "1.2 s ahead of Wonder's"),
        ("overloaded", "1"),
        ("upstream_reset, may have reached Wonder", "1"),
    ] {
        assert_eq!(value(&status, label), expected, "{label}");
    }
}

#[test]
fn writes_spans_in_two_units_at_most() {
    let spans = [0, 59, 60, 3599, 3600, 86_399, 86_400, 400_000].map(|seconds| span(Duration::from_secs(seconds)));
    assert_eq!(spans, ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "23 h 59 min", "1 d 0 h", "4 d 15 h"]);
}
