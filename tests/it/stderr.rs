//! Standard error whose reader is gone or stuck. No request waits for it.

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

/// The program with a pipe as its standard error, read up to the line that says where it listens: for requests and for questions.
fn telling(origin: &str) -> (Alive, PipeReader, SocketAddr, SocketAddr) {
    let (mut reader, writer) = pipe().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_wonder-signer"))
        .arg("run")
        .env_clear()
        .envs(environment(origin))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .unwrap();
    let ready = loop {
        // Not a byte more than the line.
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
async fn goes_on_when_nobody_reads_standard_error_any_more() {
    let upstream = Recorder::start().await;
    let (child, reader, listen, _) = telling(&upstream.origin());
    drop(reader);
    for _ in 0..3 {
        assert_eq!(exchange(listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    }
    assert_eq!(child.terminate().await, Some(0));
}

/// Such as a container runtime whose disk is full: what it does not take is lost, and no request waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_when_whoever_reads_standard_error_is_stuck() {
    const TOLD: &str = "log lines were lost";
    let upstream = Recorder::start().await;
    let (child, reader, listen, admin) = telling(&upstream.origin());
    let ask = request("POST", "/svc/a", &[], b"{}");
    let mut requests = 0;
    while metric(admin, "wonder_signer_log_lines_lost_total").await < 5.0 {
        assert_eq!(exchange(listen, &ask).await.status(), 200);
        requests += 1;
    }
    let (sender, lines) = channel();
    thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    // Until it is told of, more may be lost.
    let mut heard = Vec::<String>::new();
    while !heard.iter().any(|line| line.contains(TOLD)) {
        assert_eq!(exchange(listen, &ask).await.status(), 200);
        requests += 1;
        heard.extend(lines.try_iter());
    }
    assert_eq!(child.terminate().await, Some(0));
    heard.extend(lines);

    let heard: Vec<serde_json::Value> = heard.iter().map(|line| serde_json::from_str(line).expect(line)).collect();
    let with = |message| heard.iter().filter(move |line| line["message"] == message);
    let written = with("request").map(|_| 1).sum::<u64>();
    let told = with(TOLD).map(|line| line["lines"].as_u64().unwrap()).sum::<u64>();
    assert!(told >= 5);
    assert_eq!(written + told, requests, "each line was written, or is in the count");
}
