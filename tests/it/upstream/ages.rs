//! Connections that are too old or idle for too long. The tests advance tokio's paused clock.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    time,
};

use super::http2::Server;
use crate::support::{client::Client, upstream::Recorder, wire::read_message};

const OPENED: &str = "wonder_signer_upstream_connections_opened_total";
const LONG_IDLE: &str = "[upstream]\npool_idle = \"1h\"\n";

async fn pass(minutes: u64) {
    time::pause();
    time::advance(Duration::from_secs(60 * minutes)).await;
    time::resume();
}

async fn whole(client: &Client) {
    let response = client.send("/svc/a").await.unwrap();
    response.into_body().collect().await.unwrap();
}

fn is(client: &Client, series: &str, value: f64) {
    assert!((client.metric(series) - value).abs() < f64::EPSILON, "{series} is {}", client.metric(series));
}

/// Sends two requests 3 minutes apart: the first still uses the first connection, which is too old for the second.
async fn outgrow(client: &Client) {
    for opened in [1.0, 2.0] {
        pass(3).await;
        whole(client).await;
        is(client, OPENED, opened);
    }
}

#[tokio::test]
async fn an_old_connection_gets_no_more_requests() {
    let upstream = Recorder::start().await;
    let client = Client::of(&upstream.origin(), LONG_IDLE);
    whole(&client).await;
    outgrow(&client).await;
    client.until("wonder_signer_upstream_connections_closed_total{reason=\"age\"}", 1.0).await;
    assert_eq!(upstream.waiting(), 3);
}

#[tokio::test]
async fn a_request_in_flight_outlives_the_age_of_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::of(&format!("http://{}", listener.local_addr().unwrap()), LONG_IDLE);
    let answer = tokio::spawn(client.start("/svc/a", b"{}"));
    let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
    read_message(&mut stream, false).await.unwrap();
    pass(6).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwh").await.unwrap();
    let response = answer.await.unwrap().unwrap();
    pass(6).await;
    stream.write_all(b"ole").await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whol");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let upstream = Recorder::start().await;
    let client = Client::of(&upstream.origin(), "");
    whole(&client).await;
    pass(1).await;
    whole(&client).await;
    is(&client, OPENED, 2.0);
    client.until("wonder_signer_upstream_connections_closed_total{reason=\"idle\"}", 1.0).await;
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_and_not_used_again() {
    let server = Server::start(|_| false).await;
    let client = Client::of(&server.origin(), "upstream.http_version = \"http2\"");
    whole(&client).await;
    whole(&client).await;
    is(&client, OPENED, 1.0);
    pass(1).await;
    client.until("wonder_signer_upstream_connections{state=\"open\"}", 0.0).await;
    whole(&client).await;
    is(&client, OPENED, 2.0);
}

#[tokio::test]
async fn an_old_http2_connection_is_replaced_while_its_streams_go_on() {
    let server = Server::start(|_| false).await;
    let client = Client::of(&server.origin(), &format!("{LONG_IDLE}http_version = \"http2\""));
    let held = tokio::spawn(client.start("/hold", b"{}"));
    server.holding().await;
    outgrow(&client).await;
    server.release();
    let response = held.await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "held");
    client.until("wonder_signer_upstream_connections_closed_total{reason=\"age\"}", 1.0).await;
}
