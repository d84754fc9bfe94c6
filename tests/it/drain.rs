//! The end: what is finished, what is cut, and that the receipt tells them apart.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use wonder_signer::{
    metrics::Sent,
    proxy::{Cut, Receipt},
};

use crate::support::{
    sidecar::Sidecar,
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

#[tokio::test]
async fn names_the_requests_that_were_cut_and_may_have_been_sent() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let sidecar = Sidecar::with(&upstream.origin(), "[shutdown]\ngrace = \"50ms\"").await;
    let mut stuck = TcpStream::connect(sidecar.listen).await.unwrap();
    stuck.write_all(&request("POST", "/svc/a", &[("X-Request-ID", "paid-or-not")], b"{}")).await.unwrap();
    upstream.next().await;
    let cut = vec![Cut { request_id: "paid-or-not".to_owned(), sent: Sent::Maybe }];
    assert_eq!(sidecar.stop().await, Receipt { finished: 0, cut });
    assert!(read_message(&mut stuck, false).await.is_none());
}

#[tokio::test]
async fn tells_who_waits_for_a_slot_that_it_is_shutting_down() {
    let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
    let toml = "[limits]\nrequests_in_flight = 1\n[timeouts]\nqueue = \"1m\"\n[shutdown]\ngrace = \"50ms\"";
    let sidecar = Sidecar::with(&upstream.origin(), toml).await;
    let mut working = TcpStream::connect(sidecar.listen).await.unwrap();
    working.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    upstream.next().await;
    let mut waiting = TcpStream::connect(sidecar.listen).await.unwrap();
    waiting.write_all(&request("POST", "/svc/b", &[], b"{}")).await.unwrap();
    while sidecar.metric("wonder_signer_requests_in_flight").await < 2.0 {}
    let receipt = sidecar.stop().await;
    assert_eq!((receipt.finished, receipt.cut.len()), (1, 1));
    let (status, code, sent) = read_message(&mut waiting, false).await.unwrap().contract();
    assert_eq!((status, code.as_str(), sent.as_str()), (503, "draining", "no"));
}

#[tokio::test]
async fn goes_on_accepting_for_the_drain_delay_but_is_not_ready() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::with(&upstream.origin(), "[shutdown]\ndrain_delay = \"10m\"").await;
    let ready = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(sidecar.admin, ready).await.status(), 200);
    sidecar.ask_to_stop();
    while exchange(sidecar.admin, ready).await.status() == 200 {}
    assert_eq!(exchange(sidecar.admin, ready).await.text(), "draining\n");
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
}

#[tokio::test]
async fn ends_at_once_when_nothing_is_in_flight() {
    let upstream = Recorder::start().await;
    let sidecar = Sidecar::before(&upstream.origin()).await;
    let mut idle = TcpStream::connect(sidecar.listen).await.unwrap();
    idle.write_all(&request("POST", "/svc/a", &[], b"{}")).await.unwrap();
    assert_eq!(read_message(&mut idle, false).await.unwrap().status(), 200);
    assert_eq!(sidecar.stop().await, Receipt { finished: 0, cut: vec![] });
}
