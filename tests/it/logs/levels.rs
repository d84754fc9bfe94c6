//! The level of each line, the share of successes that is logged, and the signals that change the level.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::{
    closed::Closed,
    logged::Logged,
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

#[tokio::test]
async fn successes_are_logged_at_the_configured_share() {
    let upstream = Recorder::acting(|number| match number {
        0 => Act::ok(),
        _ => Act::Answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
    })
    .await;
    let program = Logged::before(&upstream.origin(), &[("WONDER_SIGNER_LOG__SAMPLE_SUCCESS", "0")]).await;
    for target in ["/svc/a", "/svc/b", "/other"] {
        exchange(program.listen, &request("GET", target, &[], b"")).await;
    }
    let log = program.stop().await;
    let statuses: Vec<u64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["message"] == "request")
        .map(|line| line["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [404, 404], "{log}");
}

#[tokio::test]
async fn failed_payments_stay_in_the_log_at_warn_and_unknown_outcomes_at_error() {
    // So long that its head is forwarded before it breaks.
    let broken = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec(), vec![b'x'; 500_000]].concat();
    let upstream = Recorder::acting(move |number| match number {
        0 => Act::ok(),
        1 => Act::Answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
        2 => Act::AnswerAndClose(broken.clone()),
        _ => Act::AnswerAndClose(Vec::new()),
    })
    .await;
    let closed = Closed::port();
    let sample = [("WONDER_SIGNER_LOG__SAMPLE_SUCCESS", "0")];
    let program = Logged::before(&upstream.origin(), &sample).await;
    let unreachable = Logged::before(&closed.origin(), &sample).await;
    let errors = Logged::before(&closed.origin(), &sample).await;
    // The program starts at info, because its ready line has the addresses.
    for (program, levels) in [(&program, 1), (&unreachable, 1), (&errors, 2)] {
        for _ in 0..levels {
            program.signal("USR2");
            program.line("log level changed").await;
        }
    }
    for target in ["/svc/answered", "/svc/refused-by-wonder", "/svc/broken", "/svc/reset", "/other"] {
        let mut stream = tokio::net::TcpStream::connect(program.listen).await.unwrap();
        stream.write_all(&request("POST", target, &[("X-Request-ID", &target[5..])], b"{}")).await.unwrap();
        // `None` if the answer breaks off.
        read_message(&mut stream, false).await;
    }
    for program in [&unreachable, &errors] {
        exchange(program.listen, &request("POST", "/svc/a", &[("X-Request-ID", "unreachable")], b"{}")).await;
    }
    let mut written = Vec::new();
    for program in [program, unreachable, errors] {
        for line in program.stop().await.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            if line["message"] == "request" {
                written.push(json!([line["request_id"], line["level"], line["sent"], line["error"], line["origin"]]));
            }
        }
    }
    assert_eq!(
        written,
        [
            json!(["broken", "error", "maybe", "upstream_reset", "upstream"]),
            json!(["reset", "error", "maybe", "upstream_reset", "signer"]),
            json!(["unreachable", "warn", "no", "upstream_connect", "signer"]),
        ]
    );
}

#[tokio::test]
async fn a_request_cancelled_during_its_answer_has_an_unknown_outcome() {
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec();
    let upstream = Recorder::acting(move |_| Act::Stall([begun.clone(), vec![b'x'; 500_000]].concat())).await;
    let program = Logged::before(&upstream.origin(), &[]).await;
    let mut stream = tokio::net::TcpStream::connect(program.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    assert_eq!(read_message(&mut stream, true).await.unwrap().status(), 200);
    drop(stream);
    let line = program.line("request").await;
    let written = (&line["level"], &line["sent"], &line["cancelled"], &line["status"]);
    assert_eq!(written, (&json!("error"), &json!("maybe"), &json!(true), &json!(200)));
}

#[tokio::test]
async fn a_slow_request_is_a_warning_and_an_unknown_outcome_stays_an_error() {
    let upstream = Recorder::acting(|number| if number == 0 { Act::ok() } else { Act::Stall(Vec::new()) }).await;
    let variables = [("WONDER_SIGNER_LOG__SLOW_REQUEST", "1ns"), ("WONDER_SIGNER_TIMEOUTS__RESPONSE_HEAD", "2s")];
    let program = Logged::before(&upstream.origin(), &variables).await;
    for (level, status) in [("warn", 200), ("error", 504)] {
        exchange(program.listen, &request("GET", "/svc/a", &[], b"")).await;
        let line = program.line("request").await;
        assert_eq!((&line["level"], &line["slow"], &line["status"]), (&json!(level), &json!(true), &json!(status)));
        assert!(status == 200 || line["upstream_ms"].as_f64().unwrap() >= 2000.0, "{line}");
    }
}

#[tokio::test]
async fn a_signal_changes_the_log_level_and_is_logged_once() {
    let upstream = Recorder::start().await;
    let program = Logged::before(&upstream.origin(), &[]).await;
    for (signal, level) in [
        ("USR1", "debug"),
        ("USR1", "trace"),
        ("USR1", "trace"),
        ("USR2", "debug"),
        ("USR2", "info"),
        ("USR2", "warn"),
        ("USR2", "error"),
        ("USR2", "error"),
        ("USR1", "warn"),
    ] {
        program.signal(signal);
        let line = program.line("log level changed").await;
        assert_eq!((&line["log_level"], &line["level"]), (&json!(level), &json!(level)), "{signal}");
    }
    exchange(program.listen, &request("GET", "/svc/a", &[], b"")).await;
    let log = program.stop().await;
    assert_eq!(log.matches("log level changed").count(), 9);
    assert!(!log.contains(r#""message":"request""#), "{log}");
}
