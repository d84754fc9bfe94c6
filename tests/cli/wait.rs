//! `wait` and `shutdown` against an admin listener.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use crate::{closed, run};

const READY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready";
const STARTING: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nstarting";

/// An admin listener that gives `answers`, one per connection, and then ends; returns the requests.
fn admin(answers: &'static [&'static str]) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = thread::spawn(move || answers.iter().map(|answer| exchange(&listener, answer)).collect());
    (address, answering)
}

fn exchange(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        asked.push(byte[0]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(asked).unwrap()
}

#[test]
fn wait_returns_when_the_sidecar_becomes_ready() {
    let (address, answering) = admin(&[STARTING, STARTING, "", READY]);
    assert_eq!(run(&["wait", "--admin", &address], b"").done(), "ready\n");
    let asked = answering.join().unwrap();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[3], format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
}

#[test]
fn wait_uses_loopback_for_a_wildcard_address() {
    let (address, answering) = admin(&[READY]);
    let port = address.rsplit(':').next().unwrap();
    assert_eq!(run(&["wait", "--once", "--admin", &format!("0.0.0.0:{port}")], b"").done(), "ready\n");
    answering.join().unwrap();
}

#[test]
fn once_sends_one_request() {
    for (answer, reason) in [
        (STARTING, "starting or draining (status 503)"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "the response has status 404; is this the admin address?"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "the response is not HTTP; is this the admin address?"),
        ("", "the response is not HTTP; is this the admin address?"),
    ] {
        let answers: &'static [&'static str] = Box::leak(Box::new([answer]));
        let (address, answering) = admin(answers);
        run(&["wait", "--once", "--admin", &address], b"").failed(1, &format!("not ready: {address}: {reason}"));
        answering.join().unwrap();
    }
    run(&["wait", "--once", "--timeout", "1s"], b"")
        .failed_with(64, "usage: the argument '--once' cannot be used with");
}

#[test]
fn wait_fails_at_its_timeout_with_the_last_reason() {
    let (_held, closed) = closed();
    run(&["wait", "--timeout", "10ms", "--admin", &closed.to_string()], b"")
        .failed_with(1, &format!("not ready after 10ms: {closed}: cannot connect; is the sidecar running? ("));
    // The kernel accepts the connection and no program answers it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    run(&["wait", "--timeout", "10ms", "--admin", &address], b"")
        .failed_with(1, &format!("not ready after 10ms: {address}: no response ("));
}

#[test]
fn shutdown_distinguishes_a_forbidding_listener_from_a_wrong_one() {
    const NOWHERE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    const ALIVE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
    for (answers, reason) in [
        (&[NOWHERE, ALIVE][..], "the sidecar does not allow this; set admin.shutdown = true"),
        (
            &[NOWHERE, NOWHERE],
            "this is not the admin listener; set --admin to its address (admin.address, 127.0.0.1:9090 by default)",
        ),
        (&["SSH-2.0-OpenSSH_9.2\r\n"], "the response is not HTTP; is this the admin address?"),
        (&["HTTP/1.1 200 OK\r\n\r\n"], "unexpected status 200; is this the admin address?"),
    ] {
        let (address, answering) = admin(answers);
        run(&["shutdown", "--admin", &address], b"").failed(1, &format!("not shut down: {address}: {reason}"));
        let asked = answering.join().unwrap();
        assert!(asked[0].starts_with("POST /shutdown HTTP/1.1\r\n"), "{asked:?}");
    }
}
