//! HTTP/2 without TLS, which needs `upstream.http_version`: flow control and graceful closes.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinHandle,
};

use crate::support::{
    client::Client,
    patience::soon,
    sidecar::Sidecar,
    wire::{exchange, request},
};

/// Time-outs long enough for a request that waits for a signature on a busy machine.
const HTTP2: &str = "upstream.http_version = \"http2\"\ntimeouts.sign = \"1m\"";
/// More than the window of one stream.
const BIG: usize = 256 * 1024;

/// An HTTP/2 upstream. It answers `…/hold` when released, `/svc/big` with a big body, and all else with the request's body.
pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

struct Seen {
    arrivals: Mutex<BTreeMap<String, usize>>,
    connections: Mutex<usize>,
    holding: Notify,
    gate: Semaphore,
}

impl Server {
    /// Closes a connection gracefully after each request whose number satisfies `leaves`.
    pub(super) async fn start(leaves: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        Self::with_streams(200, leaves).await
    }

    /// The same with a limit of concurrent streams on a connection.
    async fn with_streams(streams: u32, leaves: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen {
            arrivals: Mutex::default(),
            connections: Mutex::default(),
            holding: Notify::new(),
            gate: Semaphore::new(0),
        });
        let (shared, leaves) = (Arc::clone(&seen), Arc::new(leaves));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *shared.connections.lock().unwrap() += 1;
                tokio::spawn(serve(stream, streams, Arc::clone(&shared), Arc::clone(&leaves)));
            }
        });
        Self { address, seen, task }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a request is held.
    pub(super) async fn holding(&self) {
        soon(self.seen.holding.notified()).await;
    }

    pub(super) fn release(&self) {
        self.seen.gate.add_permits(1);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, streams: u32, seen: Arc<Seen>, leaves: Arc<impl Fn(usize) -> bool>) {
    let leave = Notify::new();
    let service = service_fn(|request: Request<Incoming>| {
        let id = request.headers().get("x-request-id").map_or("", |id| id.to_str().unwrap()).to_owned();
        let number = {
            let mut arrivals = seen.arrivals.lock().unwrap();
            *arrivals.entry(id).or_default() += 1;
            arrivals.values().sum()
        };
        if leaves(number) {
            leave.notify_one();
        }
        answer(request, Arc::clone(&seen))
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let connection = builder.max_concurrent_streams(streams).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        () = leave.notified() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/hold") {
        seen.holding.notify_one();
        seen.gate.acquire().await.unwrap().forget();
        return Ok(Response::new(Full::from("held")));
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok(Response::new(Full::from(if path == "/svc/big" { Bytes::from(vec![b'x'; BIG]) } else { body })))
}

#[tokio::test]
async fn unread_answers_do_not_block_others() {
    let server = Server::start(|_| false).await;
    let client = Client::of(&server.origin(), HTTP2);
    let mut unread = Vec::new();
    for _ in 0..100 {
        unread.push(client.send("/svc/big").await.unwrap());
    }
    let whole = client.send("/svc/big").await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(whole.to_bytes().len(), BIG);
    for response in unread {
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), BIG);
    }
    assert_eq!(*server.seen.connections.lock().unwrap(), 1, "all of them on one connection");
}

#[tokio::test]
async fn many_big_bodies_go_both_ways_at_once() {
    let server = Server::start(|_| false).await;
    let client = Client::of(&server.origin(), HTTP2);
    let body = vec![b'y'; BIG];
    let pending: Vec<_> = (0..100).map(|_| tokio::spawn(client.start("/svc/echo", &body))).collect();
    for pending in pending {
        let response = pending.await.unwrap().unwrap();
        assert!(response.into_body().collect().await.unwrap().to_bytes() == body);
    }
}

/// 400 requests from 16 callers through a sidecar. Every request arrives once and is answered, or arrives at most once and
/// is answered with `maybe`; returns the number of those that were answered.
async fn load(server: &Server, sidecar: Sidecar) -> usize {
    let sidecar = Arc::new(sidecar);
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let sidecar = Arc::clone(&sidecar);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for call in 0..25 {
                    let id = format!("{caller}-{call}");
                    let bytes = request("POST", "/svc/echo", &[("X-Request-ID", &id)], b"{\"amount\":1}");
                    answers.push((id, exchange(sidecar.listen, &bytes).await));
                }
                answers
            })
        })
        .collect();
    let mut answered = 0;
    for caller in callers {
        for (id, answer) in caller.await.unwrap() {
            let arrivals = server.seen.arrivals.lock().unwrap().get(&id).copied().unwrap_or(0);
            if answer.status() == 200 {
                assert_eq!((answer.text().as_str(), arrivals), ("{\"amount\":1}", 1), "{id}");
                answered += 1;
            } else {
                assert_eq!(answer.contract(), (502, "upstream_reset".to_owned(), "maybe".to_owned()), "{id}");
                assert!(arrivals <= 1, "{id}");
            }
        }
    }
    assert!(*server.seen.connections.lock().unwrap() > 10, "connections were closed");
    answered
}

#[tokio::test]
async fn a_graceful_close_under_load_loses_nothing() {
    let server = Server::start(|number| number % 20 == 0).await;
    assert_eq!(load(&server, Sidecar::with(&server.origin(), HTTP2).await).await, 400);
}

/// The server allows 4 streams on a connection, fewer than there are callers, so that there are several connections that leave.
#[tokio::test]
async fn a_graceful_close_with_more_requests_than_streams_loses_nothing() {
    let server = Server::with_streams(4, |number| number % 20 == 0).await;
    assert_eq!(load(&server, Sidecar::with(&server.origin(), HTTP2).await).await, 400);
}
