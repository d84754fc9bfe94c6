use std::collections::BTreeSet;

use super::*;
use crate::operations::{self, CATALOGUE};

const REASONS: &[&str] = &[
    "bad_target",
    "bad_request",
    "ambiguous_body",
    "unknown_credential",
    "policy_denied",
    "browser_denied",
    "not_wonder",
    "body_timeout",
    "body_too_large",
    "bad_host",
    "sign_failed",
    "internal",
    "upstream_dns",
    "upstream_connect",
    "upstream_tls",
    "upstream_reset",
    "upstream_bad_response",
    "overloaded",
    "draining",
    "upstream_timeout",
];

fn text(metrics: &Metrics) -> String {
    metrics.encode().unwrap()
}

/// The value of the series with exactly this text.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    text(metrics).lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn series(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// Reports each event once, with every value of every closed set.
fn use_everything(metrics: &Metrics) {
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"];
    for operation in CATALOGUE {
        for method in methods {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            for status in [100, 200, 204, 302, 400, 401, 403, 404, 500, 599, 999] {
                let status = StatusCode::from_u16(status).unwrap();
                for by in [Responder::Upstream, Responder::Signer] {
                    metrics.request_finished(operation, &method, status, by, 0.01);
                }
                metrics.upstream_responded(status);
            }
        }
    }
    for reason in REASONS.iter().copied().chain(["unheard_of"]) {
        metrics.proxy_error(reason, Sent::No);
        metrics.proxy_error(reason, Sent::Maybe);
    }
    for reason in [Closed::Idle, Closed::Age, Closed::Error, Closed::Peer] {
        metrics.upstream_connected().because(reason);
    }
    for sent in [Sent::No, Sent::Maybe] {
        metrics.cancelled(sent);
        metrics.drain_cut(sent);
    }
    for phase in [Phase::Connect, Phase::Head, Phase::Body] {
        metrics.upstream_phase(phase, 0.02);
    }
    for kind in [
        Stripped::Signature,
        Stripped::SkipSignature,
        Stripped::HopByHop,
        Stripped::Forwarded,
        Stripped::Cookie,
        Stripped::Proxy,
    ] {
        metrics.stripped(kind);
    }
    metrics.signed(true, 0.000_2);
    metrics.signed(false, 0.000_2);
    metrics.body_read(0.001, 100);
    metrics.response_body(2000);
    metrics.added(0.000_4);
    metrics.connect_retried();
    metrics.set_credentials(["default"]);
    metrics.key_loaded(&LoadedKey { credential: "default", fingerprint: "0a1b2c3d", unix_seconds: 1_771_061_405 });
    metrics.credential_reloaded("default", true);
    metrics.credential_outdated("default", true);
    metrics.unit_proved("default", "next", "rejected");
    metrics.set_config("staging", "9f8e7d6c");
}

#[test]
fn every_series_exists_at_zero_before_its_first_event() {
    let metrics = Metrics::new(REASONS);
    let before = text(&metrics);
    for line in series(&before) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let is_one = name.starts_with("wonder_signer_build_info");
        if name.starts_with("wonder_signer_") {
            assert_eq!(value, if is_one { "1" } else { "0" }, "{line}");
        }
    }
    use_everything(&metrics);
    let names = |text: &str| -> BTreeSet<String> {
        series(text).iter().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    let after = text(&metrics);
    let new: Vec<_> = names(&after).difference(&names(&before)).cloned().collect();
    assert_eq!(
        new,
        [
            r#"wonder_signer_config_info{environment="staging",hash="9f8e7d6c"}"#,
            r#"wonder_signer_credential_outdated{credential="default"}"#,
            r#"wonder_signer_credential_proofs_total{credential="default",result="accepted",unit="main"}"#,
            r#"wonder_signer_credential_proofs_total{credential="default",result="accepted",unit="next"}"#,
            r#"wonder_signer_credential_proofs_total{credential="default",result="rejected",unit="main"}"#,
            r#"wonder_signer_credential_proofs_total{credential="default",result="rejected",unit="next"}"#,
            r#"wonder_signer_credential_proofs_total{credential="default",result="unknown",unit="main"}"#,
            r#"wonder_signer_credential_proofs_total{credential="default",result="unknown",unit="next"}"#,
            r#"wonder_signer_credential_reloads_total{credential="default",result="failed"}"#,
            r#"wonder_signer_credential_reloads_total{credential="default",result="ok"}"#,
            r#"wonder_signer_credential_responses_total{credential="default",result="accepted"}"#,
            r#"wonder_signer_credential_responses_total{credential="default",result="rejected"}"#,
            r#"wonder_signer_credential_usable{credential="default"}"#,
            r#"wonder_signer_key_loaded_timestamp_seconds{credential="default",fingerprint="0a1b2c3d"}"#,
        ],
        "only what the configuration names comes later"
    );
}

#[test]
fn stays_under_a_thousand_series_with_every_operation_used() {
    let metrics = Metrics::new(REASONS);
    use_everything(&metrics);
    let count = series(&text(&metrics)).len();
    assert!(count < 1000, "{count} series");
}

#[test]
fn writes_well_formed_text_line_by_line() {
    let metrics = Metrics::new(REASONS);
    use_everything(&metrics);
    let text = text(&metrics);
    assert!(text.ends_with('\n'));
    let (mut helped, mut typed, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.') && help.len() > 20, "{line}");
            assert!(helped.insert(name), "{name} twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(helped.contains(name) && typed.insert(name), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            assert!(seen.insert(series), "{series} twice");
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(typed.contains(family), "{line}");
            if let Some((_, labels)) = series.split_once('{') {
                let labels = labels.strip_suffix('}').unwrap();
                assert!(
                    labels.split(',').all(|pair| pair.split_once("=\"").is_some_and(|(_, value)| value.ends_with('"')))
                );
            }
        }
    }
    assert!(
        seen.iter().any(|series| series.starts_with("process_resident_memory_bytes")) || !cfg!(target_os = "linux")
    );
}

#[test]
fn counts_a_catalogued_request_by_operation_and_any_other_by_method() {
    let metrics = Metrics::new(&[]);
    let create = operations::find("POST", "/svc/payment/api/v1/openapi/customers");
    metrics.request_finished(create, &Method::POST, StatusCode::OK, Responder::Upstream, 0.2);
    metrics.request_finished(operations::OTHER, &Method::PATCH, StatusCode::NOT_FOUND, Responder::Upstream, 0.2);
    let brew = Method::from_bytes(b"BREW").unwrap();
    metrics.request_finished(operations::OTHER, &brew, StatusCode::FORBIDDEN, Responder::Signer, 0.2);
    metrics.request_finished(operations::OTHER, &brew, StatusCode::from_u16(777).unwrap(), Responder::Upstream, 0.2);
    for (labels, count) in [
        (r#"code_class="2xx",method="POST",operation="customers.create",origin="upstream""#, 1.0),
        (r#"code_class="4xx",method="PATCH",operation="other",origin="upstream""#, 1.0),
        (r#"code_class="4xx",method="OTHER",operation="other",origin="signer""#, 1.0),
        (r#"code_class="5xx",method="OTHER",operation="other",origin="upstream""#, 1.0),
    ] {
        assert_eq!(value(&metrics, &format!("wonder_signer_requests_total{{{labels}}}")), Some(count), "{labels}");
    }
    assert_eq!(value(&metrics, r#"wonder_signer_request_duration_seconds_count{origin="upstream"}"#), Some(3.0));
    assert_eq!(metrics.snapshot().requests(), 4);
}

#[test]
fn subtracts_the_amount_of_a_guard_that_is_dropped() {
    let metrics = Metrics::new(&[]);
    let (first, second) = (metrics.request_started(), metrics.clone().request_started());
    assert_eq!(value(&metrics, "wonder_signer_requests_in_flight"), Some(2.0));
    drop((first, second));
    assert_eq!(value(&metrics, "wonder_signer_requests_in_flight"), Some(0.0));

    let mut body = metrics.buffered();
    body.add(1000);
    body.add(24);
    assert_eq!(value(&metrics, "wonder_signer_buffered_bytes"), Some(1024.0));
    drop(body);
    assert_eq!(value(&metrics, "wonder_signer_buffered_bytes"), Some(0.0));
}

#[test]
fn counts_a_connection_under_the_first_reason_given() {
    let metrics = Metrics::new(&[]);
    let open = r#"wonder_signer_upstream_connections{state="open"}"#;
    let closed = |reason: &str| {
        value(&metrics, &format!("wonder_signer_upstream_connections_closed_total{{reason=\"{reason}\"}}")).unwrap()
    };
    let mut connection = metrics.upstream_connected();
    assert_eq!(value(&metrics, open), Some(1.0));
    connection.because(Closed::Peer);
    connection.because(Closed::Error);
    drop(connection);
    drop(metrics.upstream_connected());
    assert_eq!(value(&metrics, open), Some(0.0));
    assert_eq!((closed("peer"), closed("error"), closed("idle")), (1.0, 0.0, 1.0));
    assert_eq!(value(&metrics, "wonder_signer_upstream_connections_opened_total"), Some(2.0));
}

#[test]
fn counts_listed_callers_by_name_and_all_others_together() {
    let metrics = Metrics::new(&[]);
    let requests = |name: &str| value(&metrics, &format!("wonder_signer_caller_requests_total{{caller=\"{name}\"}}"));
    assert_eq!((requests("shop"), requests("other")), (None, Some(0.0)));
    let callers = metrics.callers(["shop", "refunds"]);
    assert_eq!((requests("shop"), requests("refunds"), requests("other")), (Some(0.0), Some(0.0), Some(0.0)));
    for name in [Some("shop"), Some("shop"), Some("stranger"), None] {
        callers.clone().count(name);
    }
    assert_eq!((requests("shop"), requests("refunds"), requests("other")), (Some(2.0), Some(0.0), Some(2.0)));
    assert_eq!(requests("stranger"), None);
}

#[test]
fn counts_an_error_by_reason_and_sent_and_an_unlisted_reason_as_other() {
    let metrics = Metrics::new(&["upstream_reset", "other"]);
    metrics.proxy_error("upstream_reset", Sent::Maybe);
    metrics.proxy_error("unheard_of", Sent::No);
    let error = |labels: &str| value(&metrics, &format!("wonder_signer_proxy_errors_total{{{labels}}}"));
    assert_eq!(error(r#"reason="upstream_reset",sent="maybe""#), Some(1.0));
    assert_eq!(error(r#"reason="upstream_reset",sent="no""#), Some(0.0));
    assert_eq!(error(r#"reason="other",sent="no""#), Some(1.0));
    assert_eq!(error(r#"reason="unheard_of",sent="no""#), None);
}

#[test]
fn keeps_401_and_403_apart_from_other_answers() {
    let metrics = Metrics::new(&[]);
    for status in [200, 401, 403, 404] {
        metrics.upstream_responded(StatusCode::from_u16(status).unwrap());
    }
    let answers = |labels: &str| value(&metrics, &format!("wonder_signer_upstream_responses_total{{{labels}}}"));
    assert_eq!(answers(r#"auth="accepted",code_class="2xx""#), Some(1.0));
    assert_eq!(answers(r#"auth="accepted",code_class="4xx""#), Some(1.0));
    assert_eq!(answers(r#"auth="rejected",code_class="4xx""#), Some(2.0));
}

#[test]
fn removes_a_key_and_a_configuration_that_were_replaced() {
    let metrics = Metrics::new(&[]);
    let key = |fingerprint, unix_seconds| LoadedKey { credential: "default", fingerprint, unix_seconds };
    metrics.key_loaded(&key("11111111", 5));
    metrics.key_loaded(&LoadedKey { credential: "shop", ..key("11111111", 6) });
    metrics.key_loaded(&key("22222222", 7));
    metrics.set_config("staging", "old");
    metrics.set_config("staging", "new");
    let text = text(&metrics);
    let shown: Vec<_> =
        series(&text).into_iter().filter(|line| line.contains("key_loaded") || line.contains("config_info")).collect();
    assert_eq!(
        shown,
        [
            r#"wonder_signer_config_info{environment="staging",hash="new"} 1"#,
            r#"wonder_signer_key_loaded_timestamp_seconds{credential="default",fingerprint="22222222"} 7"#,
            r#"wonder_signer_key_loaded_timestamp_seconds{credential="shop",fingerprint="11111111"} 6"#,
        ]
    );
}

#[test]
fn the_difference_of_two_snapshots_is_what_happened_between() {
    let metrics = Metrics::new(&["overloaded"]);
    let create = operations::find("POST", "/svc/payment/api/v1/openapi/customers");
    let finish = |status: u16, by, seconds| {
        metrics.request_finished(create, &Method::POST, StatusCode::from_u16(status).unwrap(), by, seconds);
    };
    finish(200, Responder::Upstream, 0.004);
    let earlier = metrics.snapshot();
    finish(200, Responder::Upstream, 0.2);
    finish(200, Responder::Upstream, 0.2);
    finish(503, Responder::Signer, 0.001);
    metrics.proxy_error("overloaded", Sent::No);
    metrics.upstream_responded(StatusCode::UNAUTHORIZED);
    let _in_flight = metrics.request_started();
    let between = metrics.snapshot().since(&earlier);
    assert_eq!((between.upstream, between.signer, between.rejected), ([2, 0, 0, 0], [0, 1], 1));
    assert_eq!(between.errors, [("overloaded", [1, 0]), ("other", [0, 0])]);
    assert_eq!((between.in_flight, between.duration.count), (1, 2));
    let median = between.duration.quantile(500).unwrap();
    assert!((median - 0.175).abs() < 1e-9, "halfway from 0.1 to 0.25, not {median}");
    assert_eq!(between.signing.quantile(500), None);
}

#[test]
fn a_quantile_beyond_the_last_bound_is_that_bound() {
    let metrics = Metrics::new(&[]);
    metrics.signed(true, 3.0);
    assert_eq!(metrics.snapshot().signing.quantile(990), Some(0.05));
}

#[test]
fn all_series_together_are_small() {
    let mut metrics = None;
    let held = allocation_counter::measure(|| metrics = Some(Metrics::new(REASONS)));
    assert!(series(&text(metrics.as_ref().unwrap())).len() > 400);
    assert!(held.bytes_current < 150 << 10, "{} bytes", held.bytes_current);
}
