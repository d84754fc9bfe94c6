//! Connections that the system has accepted, but the program has not yet, when the listener is closed.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use tokio::task::{JoinSet, spawn_blocking};

use crate::support::{process::Process, upstream::Recorder, wire::request};

const CALLERS: usize = 8;
const ROUNDS: usize = 10;

/// Opens one connection after the other until none is accepted; returns how many were answered and how many got nothing.
fn call(address: SocketAddr) -> (usize, usize) {
    let bytes = request("GET", "/svc/payment/public/", &[("Connection", "close")], b"");
    let (mut answered, mut lost) = (0, 0);
    // A connection that the system does not accept is no loss: nothing was sent.
    while let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        let mut answer = Vec::new();
        let _ = stream.write_all(&bytes);
        let _ = stream.read_to_end(&mut answer);
        *(if answer.starts_with(b"HTTP/1.1 404") { &mut answered } else { &mut lost }) += 1;
    }
    (answered, lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_that_was_accepted_before_the_listener_was_closed_is_answered() {
    let upstream = Recorder::start().await;
    for round in 0..ROUNDS {
        let instance = Process::start(&upstream.origin(), "[shutdown]\ndrain_delay = \"50ms\"").await;
        let address = instance.listen;
        let ending = tokio::spawn(instance.terminate());
        let mut callers: JoinSet<_> = (0..CALLERS).map(|_| spawn_blocking(move || call(address))).collect();
        let (mut answered, mut lost) = (0, 0);
        while let Some(outcome) = callers.join_next().await {
            let outcome = outcome.unwrap().unwrap();
            (answered, lost) = (answered + outcome.0, lost + outcome.1);
        }
        assert_eq!(lost, 0, "round {round}, {answered} answered");
        assert_eq!(ending.await.unwrap().0, Some(0));
    }
}
