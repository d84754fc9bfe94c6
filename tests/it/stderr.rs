//! Standard error with a closed or stuck reader. No request waits for it.

use std::{
    io::{BufRead as _, BufReader, PipeReader, Read as _, pipe},
    net::SocketAddr,
    process::{Command, Stdio},
    sync::mpsc::channel,
    thread,
};

use crate::support::{
    program::{Alive, environment},
    sidecar::metric,
    upstream::Recorder,
    wire::{exchange, request},
};

/// The program with a pipe as its standard error, read up to its line `ready`; and the addresses of its two listeners.
fn started(origin: &str) -> (Alive, PipeReader, SocketAddr, SocketAddr) {
    let (mut reader, writer) = pipe().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_wonder-signer"))
        .arg("run")
        .env_clear()
        .envs(environment(origin))
        // The requests are many at a time, and a busy machine may take long to sign them.
        .env("WONDER_SIGNER_TIMEOUTS__SIGN", "20s")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .unwrap();
    let ready = loop {
        // Reads not one byte beyond the line.
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\n") {
            reader.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        if line["message"] == "ready" {
            break line;
        }
    };
    let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
    (Alive(child), reader, address("listen"), address("admin"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_standard_error_does_not_stop_requests() {
    let upstream = Recorder::start().await;
    let (child, reader, listen, _) = started(&upstream.origin());
    drop(reader);
    for _ in 0..3 {
        assert_eq!(exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    }
    assert_eq!(child.terminate().await, Some(0));
}

/// More requests than the pipe can hold lines.
const MANY: u64 = 300;

/// Reads the program's lines until it ends.
fn read(reader: PipeReader) -> thread::JoinHandle<Vec<serde_json::Value>> {
    let parsed = |line: String| serde_json::from_str(&line).expect(&line);
    thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).map(parsed).collect())
}

fn with<'a>(lines: &'a [serde_json::Value], message: &'a str) -> impl Iterator<Item = &'a serde_json::Value> {
    lines.iter().filter(move |line| line["message"] == message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_briefly_stuck_log_reader_delays_no_request_and_gets_every_line() {
    let upstream = Recorder::start().await;
    let (child, reader, listen, _) = started(&upstream.origin());
    for _ in 0..MANY {
        assert_eq!(exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    }
    let lines = read(reader);
    assert_eq!(child.terminate().await, Some(0));
    let lines = lines.join().unwrap();
    assert_eq!(with(&lines, "request").count() as u64, MANY);
    assert_eq!(lines.last().unwrap()["message"], "stopped", "the last lines are written at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_log_reader_does_not_stop_the_program_from_ending() {
    let upstream = Recorder::start().await;
    let (child, _reader, listen, _) = started(&upstream.origin());
    for _ in 0..MANY {
        assert_eq!(exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    }
    assert_eq!(child.terminate().await, Some(0));
}

/// For example a container runtime whose disk is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_lost_to_a_stuck_reader_are_counted_and_reported() {
    let upstream = Recorder::start().await;
    let (child, reader, listen, admin) = started(&upstream.origin());
    let mut requests = 0;
    while metric(admin, "wonder_signer_log_lines_lost_total").await < 5.0 {
        let posts = (0..16).map(|_| async move {
            for _ in 0..20 {
                assert_eq!(exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
            }
        });
        futures_util::future::join_all(posts).await;
        requests += 16 * 20;
    }
    // The program waits a second at its end for the last lines to be written; a busy machine may need longer.
    let (sender, read) = channel();
    thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut lines: Vec<String> = read.iter().take(4096).collect();
    assert_eq!(exchange(listen, &request("POST", "/svc/a", &[("X-Request-ID", "last")], b"{}")).await.status(), 200);
    requests += 1;
    while !lines.iter().any(|line| line.contains(r#""request_id":"last""#)) {
        lines.push(read.recv().unwrap());
    }
    assert_eq!(child.terminate().await, Some(0));
    lines.extend(read);
    let lines: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    let written = with(&lines, "request").count() as u64;
    let lost = with(&lines, "log lines were lost").map(|line| line["lines"].as_u64().unwrap()).sum::<u64>();
    assert!(lost >= 5 && written > 4096, "{lost} {written}");
    assert_eq!(written + lost, requests, "each line was written, or is in the count");
}
