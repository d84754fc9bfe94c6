//! Signals, the `shutdown` command, and the exit code.

use std::os::unix::process::ExitStatusExt as _;

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::ORIGIN;
use crate::support::{
    program::{Program, Running},
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

#[test]
fn shutdown_at_the_signing_listener_names_the_mistake() {
    let running = Running::before(ORIGIN, &[]);
    let shutdown = |address: &str| Program::run(&["shutdown", "--admin", address], &[], b"");
    let (listen, admin) = (running.listen.to_string(), running.admin.to_string());
    assert_eq!(
        shutdown(&listen).refused(1),
        format!(
            "not shut down: {listen}: this is not the admin listener; set --admin to its address (admin.address, \
             127.0.0.1:9090 by default)"
        )
    );
    assert_eq!(
        shutdown(&admin).refused(1),
        format!("not shut down: {admin}: the sidecar does not allow this; set admin.shutdown = true")
    );
}

#[test]
fn an_idle_sidecar_exits_with_0_at_either_signal() {
    for name in ["TERM", "INT"] {
        let running = Running::before(ORIGIN, &[]);
        running.program.signal(name);
        let ended = running.program.end();
        assert_eq!((ended.code(), ended.out.as_str()), (Some(0), ""), "{name}: {ended:?}");
        let last = ended.err.lines().last().unwrap();
        assert!(last.contains("\"message\":\"stopped\"") && last.contains("\"cut\":0"), "{last}");
        assert!(std::net::TcpStream::connect(running.listen).is_err());
        assert!(std::net::TcpStream::connect(running.admin).is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_finish_and_the_exit_code_is_0() {
    let (upstream, go) = Recorder::holding().await;
    let mut running = Running::before(&upstream.origin(), &[]);
    let mut stream = TcpStream::connect(running.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    running.program.signal("TERM");
    running.program.line_with("\"message\":\"draining\"");
    let readiness = exchange(running.admin, &request("GET", "/readyz", &[], b"")).await;
    assert_eq!((readiness.status(), readiness.text().as_str()), (503, "draining\n"));
    go.add_permits(1);
    assert_eq!(read_message(&mut stream, false).await.unwrap().status(), 200);
    let ended = running.program.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.err.lines().last().unwrap().contains("\"cut\":0"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_after_the_grace_period_are_cut_and_the_exit_code_is_1() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let running = Running::before(&upstream.origin(), &[("WONDER_SIGNER_SHUTDOWN__GRACE", "20ms")]);
    let mut stream = TcpStream::connect(running.listen).await.unwrap();
    stream.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    let ended = running.terminate();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.err.ends_with("still in flight at the end of shutdown.grace and were cut\n"), "{ended:?}");
    let answer = read_message(&mut stream, false).await.unwrap();
    assert_eq!(answer.contract(), (504, "draining".to_owned(), "maybe".to_owned()));
    assert!(read_message(&mut stream, false).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_has_a_delay_which_sigint_and_the_shutdown_command_skip() {
    let upstream = Recorder::start().await;
    let variables = [("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "10m"), ("WONDER_SIGNER_ADMIN__SHUTDOWN", "true")];
    let by_hand = Running::before(&upstream.origin(), &variables);
    by_hand.program.signal("INT");
    assert_eq!(by_hand.program.end().code(), Some(0));

    let by_command = Running::before(&upstream.origin(), &variables);
    let command = Program::run(&["shutdown", "--admin", &by_command.admin.to_string()], &[], b"");
    assert_eq!((command.code(), command.out.as_str()), (Some(0), "draining\n"));
    assert_eq!(by_command.program.end().code(), Some(0));

    let mut delayed = Running::before(&upstream.origin(), &variables);
    delayed.program.signal("TERM");
    delayed.program.line_with("\"message\":\"draining\"");
    let answer = exchange(delayed.listen, &request("POST", "/svc/a", &[], b"{}")).await;
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
    delayed.program.signal("INT");
    assert_eq!(delayed.program.end().code(), Some(0), "a second signal ends the delay, and nothing was cut");
}

/// As at the end of the grace period: a caller without an answer may send again, and the log must name the request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_delay_and_grace_and_every_request_is_answered() {
    let variables = [("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "10m"), ("WONDER_SIGNER_SHUTDOWN__GRACE", "1h")];
    for (first, delayed) in [("TERM", true), ("INT", false)] {
        let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
        let mut running = Running::before(&upstream.origin(), &variables);
        let mut sent = TcpStream::connect(running.listen).await.unwrap();
        sent.write_all(&request("POST", "/svc/a", &[("X-Request-ID", "sent")], b"{}")).await.unwrap();
        upstream.next().await;
        let mut unsent = TcpStream::connect(running.listen).await.unwrap();
        unsent.write_all(&request("POST", "/svc/a", &[("Content-Length", "5")], b"")).await.unwrap();
        running.program.signal(first);
        running.program.line_with("\"message\":\"draining\"");
        running.program.signal("TERM");
        let answer = read_message(&mut sent, false).await.unwrap();
        assert_eq!(answer.contract(), (504, "draining".to_owned(), "maybe".to_owned()));
        // Without a delay the drain may begin before the sidecar accepts this connection or reads its head.
        if delayed {
            let answer = read_message(&mut unsent, false).await.unwrap();
            assert_eq!(answer.contract(), (503, "draining".to_owned(), "no".to_owned()));
        }
        let ended = running.program.end();
        assert_eq!((ended.code(), ended.status.signal()), (Some(1), None), "{ended:?}");
        assert!(ended.err.contains("\"maybe_sent_request_ids\":\"sent\""), "{ended:?}");
    }
}
