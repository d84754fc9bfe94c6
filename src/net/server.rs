//! Accepts connections and serves them, HTTP/1.1 and HTTP/2 with prior knowledge, until told to stop; then drains.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::respond::{Code, Failure};

/// What a listener grants a peer.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Connections at a time; one more is told so and closed.
    pub connections: usize,
    /// Headers of one request.
    pub headers: usize,
    /// Bytes of a request line and its headers together.
    pub header_bytes: usize,
    /// From the start of a wait for a request head to its end.
    pub request_head: Duration,
}

/// What became of the connections after the listener was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still at work when the grace period ended, and were cut.
    pub cut: usize,
}

/// Serves every connection of `listener` with `service` until `shutdown` resolves, then stops accepting, lets requests
/// in flight finish for up to `grace`, and cuts what is left.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    allowance: Allowance,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let protocol = protocol(allowance);
    let places = Arc::new(Semaphore::new(allowance.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Reaps what has ended, so that the set does not grow with the connections ever made.
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            connections.spawn(turn_away(stream));
            continue;
        };
        // Answers are small and complete; holding them back for an acknowledgement only delays them.
        let _ = stream.set_nodelay(true);
        let connection = protocol.serve_connection(TokioIo::new(stream), service.clone());
        connections.spawn(run(graceful.watch(connection.into_owned()), place));
    }
    drop(listener);
    let ended = timeout(grace, async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    });
    match ended.await {
        Ok(()) => Drained { cut: 0 },
        Err(_) => {
            let cut = connections.len();
            connections.shutdown().await;
            Drained { cut }
        }
    }
}

fn protocol(allowance: Allowance) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(allowance.request_head)
        .max_headers(allowance.headers)
        .max_buf_size(allowance.header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(allowance.header_bytes).unwrap_or(u32::MAX));
    builder
}

async fn run<E: std::fmt::Display>(connection: impl Future<Output = Result<(), E>>, place: OwnedSemaphorePermit) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended early");
    }
    drop(place);
}

/// Over the limit of connections: says so in the error contract's own words, without reading anything.
async fn turn_away(mut stream: TcpStream) {
    let failure = Failure::new(Code::Overloaded, "too many connections (limits.connections)").closing();
    let response = failure.respond(&HeaderValue::from_static("none"));
    let mut text = format!("HTTP/1.1 {}\r\n", response.status());
    for (name, value) in response.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", response.body().len()));
    let answer = async {
        stream.write_all(text.as_bytes()).await?;
        stream.write_all(response.body()).await?;
        stream.shutdown().await
    };
    let _ = timeout(Duration::from_secs(1), answer).await;
}

/// Out of descriptors or memory: trying again at once would only spin.
async fn pause_after(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        sleep(Duration::from_millis(50)).await;
    }
}
