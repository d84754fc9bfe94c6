use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::{
    config::{Config, Flags, LogFormat, LogLevel},
    telemetry::{
        Style, subscriber,
        tests::{alone, second},
    },
};

/// The defaults, as lines of JSON.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let config = Config::load(&[], [], &Flags::default()).unwrap();
    Log { format: LogFormat::Json, ..config.log }
});

/// Answered by Wonder, and ended a millisecond after its response was forwarded.
pub(crate) fn success() -> Finished<'static> {
    let ms = Duration::from_millis;
    Finished {
        request_id: "r-1",
        trace: None,
        operation: "customers.create",
        method: "POST",
        path: None,
        status: Some(200),
        origin: "upstream",
        sent: None,
        error: None,
        cause: None,
        cancelled: false,
        caller: None,
        peer: None,
        credential: Some("default"),
        attempts: 1,
        total: ms(31),
        phases: Phases {
            body: Phase { ended: ms(1), took: ms(1) },
            sign: Phase { ended: ms(2), took: Duration::from_nanos(234_567) },
            connect: Phase { ended: ms(7), took: ms(5) },
            upstream: Phase { ended: ms(27), took: ms(20) },
            response: Phase { ended: ms(30), took: ms(2) },
            signing: Duration::from_nanos(234_567),
            waiting: ms(25),
        },
        request_bytes: 2,
        response_bytes: 12,
    }
}

fn failure() -> Finished<'static> {
    Finished {
        status: Some(502),
        origin: "signer",
        sent: Some(Sent::No),
        error: Some(Code::UpstreamDns),
        cause: Some("no such name"),
        ..success()
    }
}

fn lines(log: &Log, requests: &[Finished<'_>]) -> Vec<Value> {
    let (_alone, _second) = (alone(), second());
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    let (subscriber, _telemetry) = subscriber(
        log.level,
        Style::Json,
        || std::time::SystemTime::UNIX_EPOCH,
        move |line| sink.lock().unwrap().push(serde_json::from_slice(line).unwrap()),
    );
    let reporting = Requests::new(log);
    tracing::subscriber::with_default(subscriber, || requests.iter().for_each(|request| reporting.finished(request)));
    std::mem::take(&mut *written.lock().unwrap())
}

#[test]
fn a_line_holds_every_field_that_has_a_value() {
    let trace = Trace { id: TraceId([0xab; 16]), span: SpanId([1; 8]), parent: None, recorded: false };
    let written = lines(&LOG, &[Finished { trace: Some(trace), ..success() }]);
    assert_eq!(
        written,
        [json!({
            "timestamp": "1970-01-01T00:00:00.000000Z", "level": "info", "message": "request", "target": "wonder_signer::proxy",
            "request_id": "r-1", "trace_id": "abababababababababababababababab", "operation": "customers.create",
            "method": "POST", "status": 200, "origin": "upstream", "sent": "yes", "credential": "default", "attempts": 1,
            "body_ms": 1, "sign_ms": 0.235, "connect_ms": 5, "upstream_ms": 25, "response_ms": 2, "total_ms": 31,
            "request_bytes": 2, "response_bytes": 12,
        })]
    );
}

#[test]
fn a_failure_has_its_code_and_cause() {
    let line = &lines(&LOG, &[failure()])[0];
    assert_eq!((&line["error"], &line["cause"]), (&json!("upstream_dns"), &json!("no such name")));
    assert_eq!((&line["origin"], &line["sent"]), (&json!("signer"), &json!("no")));
}

#[test]
fn a_slow_request_is_a_warning() {
    let at = |total| Finished { total, ..success() };
    let slow = Log { slow_request: Duration::from_secs(1), ..*LOG };
    let written = lines(&slow, &[at(Duration::from_millis(999)), at(Duration::from_secs(1))]);
    assert_eq!((&written[0]["level"], &written[0]["slow"]), (&json!("info"), &Value::Null));
    assert_eq!((&written[1]["level"], &written[1]["slow"]), (&json!("warn"), &json!(true)));
    let never = Log { slow_request: Duration::ZERO, ..*LOG };
    assert_eq!(lines(&never, &[at(Duration::from_hours(1))])[0]["level"], "info");
}

#[test]
fn every_row_of_the_contract_has_its_level_at_any_sampling() {
    for (code, row) in Code::ALL.iter().flat_map(|code| code.rows().iter().map(move |row| (*code, *row))) {
        let status = Some(row.status.as_u16());
        let failed = Finished { status, sent: Some(row.sent), error: Some(code), cause: None, ..failure() };
        let least = match row.severity() {
            Severity::Info => LogLevel::Info,
            Severity::Warn => LogLevel::Warn,
            Severity::Error => LogLevel::Error,
        };
        let log = Log { level: least, sample_success: 0.0, ..*LOG };
        let line = &lines(&log, &[failed])[0];
        let written = (&line["error"], &line["sent"], &line["level"], &line["status"]);
        let expected = (json!(code.as_str()), json!(row.sent.as_str()), json!(row.severity().as_str()), json!(status));
        assert_eq!(written, (&expected.0, &expected.1, &expected.2, &expected.3));
    }
}

#[test]
fn an_unknown_outcome_is_an_error_for_any_end_of_the_request() {
    let maybe = Finished { sent: Some(Sent::Maybe), ..success() };
    let unknown = [
        // The answer broke off half-way.
        Finished { error: Some(Code::UpstreamReset), ..maybe.clone() },
        // The service hung up before the answer, in the middle of it, and after a long time.
        Finished { status: None, cancelled: true, ..maybe.clone() },
        Finished { cancelled: true, ..maybe.clone() },
        Finished { status: None, cancelled: true, total: LOG.slow_request, ..maybe },
    ];
    for line in lines(&Log { level: LogLevel::Error, ..*LOG }, &unknown) {
        assert_eq!((&line["level"], &line["sent"]), (&json!("error"), &json!("maybe")));
    }
    assert_eq!(lines(&Log { level: LogLevel::Error, ..*LOG }, &unknown).len(), unknown.len());
    let unsent = Finished { status: None, cancelled: true, sent: Some(Sent::No), ..success() };
    assert_eq!(lines(&LOG, &[unsent])[0]["level"], "info");
}

#[test]
fn only_successes_are_sampled() {
    let none = Log { sample_success: 0.0, ..*LOG };
    let kept = [
        failure(),
        Finished { status: Some(400), ..success() },
        Finished { status: Some(500), ..success() },
        Finished { error: Some(Code::UpstreamReset), sent: Some(Sent::Maybe), ..success() },
        Finished { cancelled: true, sent: Some(Sent::Maybe), ..success() },
        Finished { status: None, cancelled: true, sent: Some(Sent::No), ..success() },
        Finished { total: LOG.slow_request, ..success() },
    ];
    assert_eq!(lines(&none, &kept).len(), kept.len());
    assert!(lines(&none, &[success(), Finished { status: Some(302), ..success() }]).is_empty());
}

#[test]
fn the_request_id_alone_selects_the_sample() {
    let ids: Vec<String> = (0..10_000).map(|number| format!("order-{number}")).collect();
    let requests: Vec<_> = ids.iter().map(|id| Finished { request_id: id, ..success() }).collect();
    let chosen = |share| -> Vec<Value> {
        lines(&Log { sample_success: share, ..*LOG }, &requests).iter().map(|line| line["request_id"].clone()).collect()
    };
    let tenth = chosen(0.1);
    assert!((900..1100).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(tenth, chosen(0.1));
    let half = chosen(0.5);
    assert!(tenth.iter().all(|id| half.contains(id)));
    assert_eq!(chosen(1.0).len(), ids.len());
}

#[test]
fn the_sample_is_the_same_in_every_version() {
    assert_eq!(hash(b""), 0xf52a_15e9_a9b5_e89b);
}

#[test]
fn ids_keep_their_leading_zeros() {
    assert_eq!(TraceId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]).to_string(), format!("{:0>32}", 1));
    assert_eq!(SpanId([0, 0, 0, 0, 0, 0, 0, 1]).to_string(), format!("{:0>16}", 1));
}
