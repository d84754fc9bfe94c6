use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tracing::{debug, error, info, trace, warn};

use super::*;

/// 2026-02-14T09:30:05.123456Z
fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_771_061_405_123_456)
}

/// Runs tests that read the log or change its level one at a time. tracing caches for the whole process which call sites are enabled, and
/// a test that rebuilds this cache on its thread disables the lines of the others.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A second subscriber. With a single one, tracing decides whether a call site is enabled on the thread that reaches it first, and that
/// may be the thread of a test without a subscriber.
pub(crate) fn second() -> tracing::Dispatch {
    tracing::Dispatch::new(tracing_subscriber::registry())
}

/// The lines that are logged at this level and in this style while `act` runs.
fn logged(level: LogLevel, style: Style, act: impl FnOnce(&Telemetry)) -> String {
    let _alone = alone();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let (subscriber, telemetry) = subscriber(level, style, noon, move |line| sink.lock().unwrap().extend(line));
    tracing::subscriber::with_default(subscriber, || act(&telemetry));
    String::from_utf8(lines.lock().unwrap().clone()).unwrap()
}

fn logged_json(act: impl FnOnce(&Telemetry)) -> Vec<Value> {
    logged(LogLevel::Info, Style::Json, act).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the key")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("no such file")]
struct Inner;

#[test]
fn a_clock_before_1970_is_written_as_1970() {
    for style in [Style::Json, Style::Text] {
        let _alone = alone();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let clock = || UNIX_EPOCH - Duration::from_hours(24 * 365);
        let (subscriber, _telemetry) =
            subscriber(LogLevel::Info, style, clock, move |line| sink.lock().unwrap().extend(line));
        tracing::subscriber::with_default(subscriber, || info!("early"));
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert!(text.contains("1970-01-01T00:00:00.000000Z") && text.contains("early"), "{text}");
        assert!(lines::lost(style, clock(), 1).contains("1970-01-01T00:00:00.000000Z"));
    }
}

#[test]
fn writes_one_flat_json_object_per_event() {
    let text = logged(LogLevel::Info, Style::Json, |_| {
        info!(target: "wonder_signer::proxy", status = 200u16, seconds = 0.25, ok = true, change = -1, name = "a", "request");
    });
    assert_eq!(
        text,
        concat!(
            r#"{"timestamp":"2026-02-14T09:30:05.123456Z","level":"info","message":"request","#,
            r#""target":"wonder_signer::proxy","status":200,"seconds":0.25,"ok":true,"change":-1,"name":"a"}"#,
            "\n"
        )
    );
}

#[test]
fn writes_text_for_people() {
    let text = logged(LogLevel::Info, Style::Text, |_| warn!(status = 503, code = %"overloaded", "refused"));
    assert_eq!(text, "2026-02-14T09:30:05.123456Z  warn refused status=503 code=\"overloaded\"\n");
}

#[test]
fn no_value_breaks_a_line_or_controls_a_terminal() {
    let nasty = "a\"b\\c\nd\re\u{1b}[31m\u{9b}f\u{7f}é";
    for style in [Style::Json, Style::Text] {
        let text = logged(LogLevel::Info, style, |_| {
            info!(plain = nasty, shown = %nasty, "message {nasty}");
        });
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        assert!(text.trim_end().chars().all(|found| !found.is_control()), "{text:?}");
    }
    let json = logged_json(|_| info!(plain = nasty, debug = ?nasty, "{nasty}"));
    assert_eq!((json[0]["plain"].as_str(), json[0]["message"].as_str()), (Some(nasty), Some(nasty)));
    assert_eq!(json[0]["debug"], format!("{nasty:?}"));
}

#[test]
fn writes_an_error_with_its_causes() {
    let error = Outer(Inner);
    let lines = logged_json(|_| error!(error = &error as &(dyn std::error::Error + 'static), "cannot start"));
    assert_eq!(lines[0]["error"], "cannot read the key: no such file");
}

#[test]
fn writes_numbers_that_json_lacks_as_text() {
    let lines = logged_json(|_| info!(seconds = f64::NAN, limit = f64::INFINITY, "odd"));
    assert_eq!((&lines[0]["seconds"], &lines[0]["limit"]), (&json!("NaN"), &json!("inf")));
}

#[test]
fn a_level_includes_the_severer_ones() {
    let count = |level| {
        logged(level, Style::Text, |_| {
            error!("1");
            warn!("2");
            info!("3");
            debug!("4");
            trace!("5");
        })
        .lines()
        .count()
    };
    let counted: Vec<usize> = LogLevel::ALL.iter().copied().map(count).collect();
    assert_eq!(counted, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_level_changes_while_running() {
    fn step() {
        debug!("step");
    }
    let text = logged(LogLevel::Info, Style::Text, |telemetry| {
        step();
        telemetry.set_level(LogLevel::Debug);
        assert_eq!(telemetry.level(), LogLevel::Debug);
        step();
        telemetry.clone().set_level(LogLevel::Off);
        step();
        error!("not logged");
    });
    assert_eq!(text, "2026-02-14T09:30:05.123456Z debug step\n");
}

#[test]
fn steps_of_the_level_stay_within_its_bounds() {
    let _alone = alone();
    let (_subscriber, telemetry) = subscriber(LogLevel::Info, Style::Text, noon, |_| ());
    let more: Vec<LogLevel> = (0..3).map(|_| telemetry.more()).collect();
    assert_eq!(more, [LogLevel::Debug, LogLevel::Trace, LogLevel::Trace]);
    let less: Vec<LogLevel> = (0..5).map(|_| telemetry.less()).collect();
    assert_eq!(less, [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Error]);
    telemetry.set_level(LogLevel::Off);
    assert_eq!(telemetry.less(), LogLevel::Off);
    assert_eq!(telemetry.more(), LogLevel::Error);
}

#[test]
fn other_crates_are_logged_at_warn_and_above_only() {
    macro_rules! at_every_level {
        ($($target:literal),+) => {$(
            error!(target: $target, "error of {}", $target);
            warn!(target: $target, "warn of {}", $target);
            info!(target: $target, secret = "4111111111111111", "info");
            debug!(target: $target, secret = "4111111111111111", "debug");
            trace!(target: $target, secret = "4111111111111111", "trace");
        )+};
    }
    let text = logged(LogLevel::Trace, Style::Text, |_| {
        at_every_level!("hyper::proto::h1::io", "h2::codec", "rustls::client", "tower", "wonder_signer_elsewhere");
    });
    assert_eq!(text.lines().count(), 10, "{text}");
    assert!(!text.contains("4111"), "{text}");
    let own = logged(LogLevel::Trace, Style::Text, |_| {
        trace!(target: "wonder_signer", "logged");
        trace!(target: "wonder_signer::net::server", "logged");
    });
    assert_eq!(own.lines().count(), 2);
}
