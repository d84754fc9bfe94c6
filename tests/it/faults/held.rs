//! Other requests on a connection whose held answer breaks.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{id, numbered, upstream};
use crate::support::{
    caller::{Caller, Outcome},
    faults::{Fault, Upstream},
    patience::soon,
    sidecar::Sidecar,
    wire::{read_message, request},
};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n";
const LOST: &str = "502 upstream_reset maybe";

/// An upstream that answers the first request with these bytes and closes, and every later one in full; and a sidecar in front of it.
async fn breaking(answer: &[u8]) -> (Upstream, Sidecar) {
    let first = Fault::AnswerThenClose(answer.to_vec());
    let plan = move |turn: crate::support::faults::Turn| {
        if turn.connection == 0 { first.clone() } else { Fault::none() }
    };
    let upstream = upstream().plan(plan).start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    (upstream, sidecar)
}

#[tokio::test]
async fn a_pipelined_request_is_answered_after_the_one_whose_answer_broke() {
    for half in [HEAD.to_vec(), [HEAD, b"half"].concat()] {
        let (upstream, sidecar) = breaking(&half).await;
        let mut caller = Caller::connect(sidecar.listen).await;
        let both = [numbered(0, b"{}"), numbered(1, b"{}")].concat();
        assert_eq!(caller.ask(&both).await.text(), LOST);
        assert_eq!(caller.next().await.text(), "200 whole");
        for number in 0..2 {
            assert_eq!((upstream.entry(&id(number)).begun, upstream.entry(&id(number)).whole), (1, 1));
        }
    }
}

#[tokio::test]
async fn a_pipelined_request_behind_an_answer_that_was_cut_is_not_sent() {
    let large = [b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", &vec![b'x'; 100_000][..]].concat();
    let (upstream, sidecar) = breaking(&large).await;
    let mut caller = Caller::connect(sidecar.listen).await;
    let both = [numbered(0, b"{}"), numbered(1, b"{}")].concat();
    assert_eq!(caller.ask(&both).await.text(), "200 cut");
    assert_eq!(caller.next().await, Outcome::Closed);
    assert_eq!((upstream.entry(&id(0)).whole, upstream.entry(&id(1)).begun), (1, 0));
}

#[tokio::test]
async fn a_caller_that_expects_100_gets_it_and_then_the_error() {
    let (upstream, sidecar) = breaking(HEAD).await;
    let mut stream = TcpStream::connect(sidecar.listen).await.unwrap();
    let headers = [("X-Request-ID", "request-0"), ("Content-Length", "2"), ("Expect", "100-continue")];
    stream.write_all(&request("POST", "/svc/a", &headers, b"")).await.unwrap();
    assert_eq!(soon(read_message(&mut stream, false)).await.unwrap().head, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    let answer = soon(read_message(&mut stream, false)).await.unwrap();
    assert_eq!(answer.contract(), (502, "upstream_reset".to_owned(), "maybe".to_owned()));
    assert_eq!((upstream.entry(&id(0)).whole, answer.value("connection")), (1, None));
}

#[tokio::test]
async fn an_upgrade_request_gets_the_same_error() {
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (answer, got) in [(HEAD, LOST), (&switched[..], "502 upstream_bad_response maybe")] {
        let (upstream, sidecar) = breaking(answer).await;
        let mut caller = Caller::connect(sidecar.listen).await;
        let headers = [("X-Request-ID", "request-0"), ("Connection", "Upgrade"), ("Upgrade", "websocket")];
        assert_eq!(caller.ask(&request("GET", "/svc/a", &headers, b"")).await.text(), got);
        assert_eq!(upstream.take()[0].value("upgrade"), None);
        assert_eq!(caller.ask(&numbered(1, b"{}")).await.text(), "200 whole", "the connection is still one of HTTP");
    }
}
