use http::{Method, StatusCode};

use super::{super::KeyFact, *};
use crate::{
    metrics::{Lasts, Metrics, Responder},
    operations,
};

/// 2026-02-14T09:30:05Z.
const NOW: u64 = 1_771_061_405;

pub(crate) fn seen<'a>(state: State, total: &'a Snapshot, recent: &'a Snapshot, lasts: &'a Lasts) -> Seen<'a> {
    Seen {
        state,
        version: "0.1.0",
        instance: "shop-7d9f-x2x8k",
        environment: "staging",
        origin: "https://gateway-stg.wonder.today",
        credentials: &[],
        uptime: Duration::from_secs(93_784),
        total,
        recent,
        window: Duration::from_mins(5),
        lasts,
        now: NOW,
    }
}

fn status(state: State, snapshot: &Snapshot) -> Status {
    Status::of(&seen(state, snapshot, snapshot, &Lasts::default()))
}

fn cells(status: &Status, label: &str) -> String {
    let mut rows = status.sections.iter().chain([&status.last]).flat_map(|section| &section.rows);
    rows.find(|row| row.label == label).map_or_else(|| format!("no {label}"), |row| row.cells.join(" | "))
}

#[test]
fn is_idle_before_the_first_request_and_after_a_window_without_one() {
    let new = status(State::Ready, &Metrics::new(&["overloaded"]).snapshot());
    assert_eq!((new.health, new.headline.as_str(), new.problems.len()), ("idle", "ready; no request yet", 0));
    for (label, expected) in [
        ("up for", "1 d 2 h"),
        ("clock", "not known before Wonder's first answer"),
        ("whole request", "– | – | –"),
        ("last success", "none yet"),
        ("last error", "none"),
        ("answers by Wonder", "none | none"),
    ] {
        assert_eq!(cells(&new, label), expected, "{label}");
    }
    let (total, recent) = (Snapshot { upstream: [5, 0, 0, 0], ..Snapshot::default() }, Snapshot::default());
    let idle = Status::of(&seen(State::Ready, &total, &recent, &Lasts::default()));
    assert_eq!((idle.health, idle.headline.as_str()), ("idle", "ready; no request in the last 5 min"));
}

#[test]
fn counts_the_requests_in_flight_if_none_has_ended() {
    for ended in [0, 5] {
        let total = Snapshot { in_flight: 8, upstream: [ended, 0, 0, 0], ..Snapshot::default() };
        let waiting = Status::of(&seen(State::Ready, &total, &Snapshot::default(), &Lasts::default()));
        assert_eq!(waiting.headline, "ready; no request ended in the last 5 min, 8 in flight");
    }
}

#[test]
fn names_the_reason_for_not_being_ready() {
    for (state, headline, why) in [
        (State::Starting, "not ready: starting", "no request is accepted yet"),
        (State::NoKey, "not ready: no_key", "the files of a credential cannot be used"),
        (State::Draining, "not ready: draining", "it is shutting down"),
    ] {
        let status = status(state, &Snapshot::default());
        assert_eq!((status.health, status.headline.as_str()), ("bad", headline));
        assert!(status.problems[0].text.starts_with(why), "{:?}", status.problems);
    }
}

#[test]
fn figures_are_in_columns_for_the_window_and_since_the_start() {
    let metrics = Metrics::new(&["overloaded", "upstream_reset"]);
    let create = operations::find("POST", "/svc/payment/api/v1/openapi/customers");
    for _ in 0..120 {
        metrics.request_finished(create, &Method::POST, StatusCode::OK, Responder::Upstream, 0.2);
    }
    metrics.signed(true, 0.000_15);
    metrics.set_in_flight_limit(256);
    let before = metrics.snapshot();
    for _ in 0..30 {
        metrics.request_finished(create, &Method::POST, StatusCode::NOT_FOUND, Responder::Upstream, 0.2);
    }
    metrics.proxy_error("overloaded", Sent::No);
    metrics.proxy_error("upstream_reset", Sent::Maybe);
    metrics.set_clock_skew(1.25);
    let total = metrics.snapshot();
    let key = Some(KeyFact { fingerprint: "0a1b2c3d".to_owned(), bits: 2048 });
    let credentials = [
        CredentialFact { name: "default".to_owned(), key, state: "signs" },
        CredentialFact { name: "payouts".to_owned(), key: None, state: "no key" },
    ];
    let (recent, lasts) = (total.since(&before), Lasts::default());
    let status = Status::of(&Seen { credentials: &credentials, ..seen(State::Ready, &total, &recent, &lasts) });
    for (label, expected) in [
        ("default", "0a1b2c3d | RSA 2048 bits | signs"),
        ("payouts", "– | – | no key"),
        ("requests", "30 | 150"),
        ("rate", "0.1/s | 0.0/s"),
        ("answers by Wonder", "4xx 30 | 2xx 120 · 4xx 30"),
        ("the service's request", "30 | 30 | "),
        ("Wonder", "1 | 1 | "),
        ("load or shutdown", "1 | 1 | "),
        ("in flight", "0 of 256"),
        ("whole request", "175 ms | 242 ms | 248 ms"),
        ("clock", "1.2 s ahead of Wonder's"),
        ("overloaded", "1 | 1"),
        ("upstream_reset, may have reached Wonder", "1 | 1"),
        ("network", "no network"),
    ] {
        assert_eq!(cells(&status, label), expected, "{label}");
    }
    for section in status.sections.iter().chain([&status.last]) {
        assert!(section.rows.iter().all(|row| row.cells.len() == section.columns.len()), "{}", section.title);
    }
}

#[test]
fn the_last_success_and_error_have_time_code_and_host() {
    let at = |unix_seconds, answer| Last { unix_seconds, answer };
    for (failure, expected) in [
        (
            LastAnswer::Signer("upstream_dns", Sent::No),
            "upstream_dns at gateway-stg.wonder.today, 09:29:45 UTC, 20 s ago",
        ),
        (
            LastAnswer::Signer("upstream_timeout", Sent::Maybe),
            "upstream_timeout at gateway-stg.wonder.today, may have reached Wonder, 09:29:45 UTC, 20 s ago",
        ),
        (LastAnswer::Signer("body_too_large", Sent::No), "body_too_large, 09:29:45 UTC, 20 s ago"),
        (LastAnswer::Upstream(401), "401 from gateway-stg.wonder.today, 09:29:45 UTC, 20 s ago"),
    ] {
        let lasts = Lasts {
            success: Some(at(NOW - 86_400, LastAnswer::Upstream(201))),
            failures: vec![at(NOW - 30, LastAnswer::Upstream(404)), at(NOW - 20, failure)],
        };
        let snapshot = Snapshot::default();
        let status = Status::of(&seen(State::Ready, &snapshot, &snapshot, &lasts));
        assert_eq!(cells(&status, "last error"), expected);
        assert_eq!(
            cells(&status, "last success"),
            "201 from gateway-stg.wonder.today, 2026-02-13 09:30:05 UTC, 1 d ago"
        );
    }
}
