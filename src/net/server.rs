//! Accepts connections and serves HTTP/1.1 on them until the shutdown; then drains. The application owns the sequence of the drain
//! ([`Shutdown`]).
//!
//! In HTTP/1.1 only `Connection: close` on an answer announces the end of a connection (RFC 9112 §9.6). So a drain begins with a
//! stage in which every answer has it, and new connections are still served. Idle connections are closed in the next stage.

mod outgoing;

use std::{
    convert::Infallible,
    fmt::Write as _,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt as _,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use self::outgoing::Outgoing;
use super::{
    admission::Admission,
    descriptors::Descriptors,
    intake::{self, Active, ConnectionState, Guard},
    listen::{Listener, Stream},
    places::{Place, Places},
    respond::{Evicts, Failure},
    shutdown::{Shutdown, Stage},
    tls_server::TlsServer,
};
use crate::{
    contract::ERROR,
    contract::{Code, Sent},
    metrics::Metrics,
    policy::Caller,
};

/// How long begun connections may take until they can be accepted, after the listeners refuse new ones.
const HANDSHAKES: Duration = Duration::from_millis(25);
/// How long idle connections are kept after the listeners closed, because requests sent before may not have arrived yet.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How long [`Stage::Closing`] lasts before the connections enter it.
pub(crate) const LAST_REQUESTS: Duration = HANDSHAKES.saturating_add(LAST_CALL);
/// How long the answers to cut requests may take to reach their callers.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How long an evicted connection may take to release its descriptor.
const EVICTION: Duration = Duration::from_millis(1);
/// How long not to accept when the process is out of descriptors, and no connection of this listener can be evicted.
pub(crate) const EXHAUSTED: Duration = Duration::from_millis(50);

/// A listener set: listeners with one service and one set of limits.
pub(crate) struct ListenerSet<S> {
    /// The listeners.
    pub(crate) listeners: Vec<Listener>,
    /// If set, TCP connections begin with a TLS handshake.
    pub(crate) tls: Option<Arc<TlsServer>>,
    /// Answers the requests.
    pub(crate) service: S,
    /// Admits the requests of `service`.
    pub(crate) admission: Arc<Admission>,
    /// The limits.
    pub(crate) allowance: Allowance,
}

/// The limits of a listener set on connections and request heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// The maximum number of connections; one more is rejected.
    pub(crate) connections: usize,
    /// The limits of a request head, in size and time.
    pub(crate) intake: intake::IntakeLimits,
}

/// Serves a listener set until `shutdown` has passed all stages, or until every connection has ended after [`Stage::Closing`].
/// Several sets may share one `shutdown`.
pub(crate) async fn serve<S, B>(set: ListenerSet<S>, shutdown: &Shutdown, metrics: &Metrics)
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let ListenerSet { listeners, tls, service, admission, allowance } = set;
    let protocol = protocol(allowance.intake);
    let mut places = Places::new(allowance.connections, tls.is_some(), admission, metrics.clone());
    let descriptors = Descriptors::of_process();
    let mut connections = JoinSet::new();
    // The stage of the connections, which enter `Closing` later than this function.
    let (stage, stages) = watch::channel(Stage::Serving);
    let mut closing = pin!(async {
        shutdown.reached(Stage::Draining).await;
        stage.send_replace(Stage::Draining);
        shutdown.reached(Stage::Closing).await;
    });
    let mut handshakes = None;
    loop {
        let accepted = if let Some(handshakes) = &mut handshakes {
            tokio::select! {
                // When the timer elapses, tokio has been notified of every connection that could be accepted before.
                biased;
                accepted = accept(&listeners) => accepted,
                () = handshakes => break,
            }
        } else {
            tokio::select! {
                accepted = accept(&listeners) => accepted,
                // Removes the tasks that have ended, so that the set does not grow with every connection.
                Some(_) = connections.join_next() => continue,
                () = &mut closing => {
                    listeners.iter().for_each(Listener::refuse_new);
                    handshakes = Some(Box::pin(sleep(HANDSHAKES)));
                    continue;
                }
            }
        };
        let (stream, caller) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if not_accepted(&error) {
                    // During a drain no descriptor is released before the idle connections are closed below.
                    if handshakes.is_some() {
                        break;
                    }
                    let evicted = places.evict_one().await;
                    sleep(if evicted { EVICTION } else { EXHAUSTED }).await;
                }
                continue;
            }
        };
        // Two for one, until the reserve is free again.
        for _ in 0..descriptors.excess().min(2) {
            places.evict_one().await;
        }
        let Some(Place { connection, opening, held }) = places.take(&stages).await else {
            tracing::warn!(limit = allowance.connections, "too many connections: one was rejected");
            metrics.proxy_error(Code::Overloaded.as_str(), Sent::No);
            // With TLS even a rejection needs a handshake, and a handshake needs a place.
            if tls.is_none() || matches!(stream, Stream::Unix(_)) {
                connections.spawn(reject(stream));
            }
            continue;
        };
        let (tls, service, protocol) = (tls.clone(), service.clone(), protocol.clone());
        let mut stage = stages.clone();
        let open_descriptor = Descriptors::open();
        connections.spawn(async move {
            let _held = (held, open_descriptor);
            let opened = tokio::select! {
                biased;
                opened = open(stream, caller, tls, allowance.intake.head) => opened,
                // No request can have arrived yet, so none is lost.
                () = connection.eviction() => None,
                _ = stage.wait_for(|stage| *stage >= Stage::Closing) => None,
            };
            let Some((stream, caller)) = opened else { return };
            let guard = Guard::new(stream, Arc::clone(&connection), allowance.intake).opening(opening);
            let service = PerConnection { inner: service, connection: Arc::clone(&connection), caller };
            let ended = until_ended(protocol.serve_connection(TokioIo::new(guard), service), &connection, stage).await;
            if let Some(Err(error)) = ended {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
    drop(listeners);
    if timeout(LAST_CALL, all_ended(&mut connections)).await.is_ok() {
        return;
    }
    stage.send_replace(Stage::Closing);
    tokio::select! {
        biased;
        () = all_ended(&mut connections) => return,
        () = shutdown.reached(Stage::Over) => {}
    }
    stage.send_replace(Stage::Over);
    let _ = timeout(LAST_WORD, all_ended(&mut connections)).await;
    connections.shutdown().await;
}

async fn all_ended(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

/// Serves one connection to its end; `None` if it was evicted.
async fn until_ended<F: Future>(
    serving: F,
    connection: &ConnectionState,
    mut stage: watch::Receiver<Stage>,
) -> Option<F::Output> {
    let mut serving = pin!(serving);
    loop {
        tokio::select! {
            biased;
            ended = &mut serving => return Some(ended),
            // The connection's guard checks the stage when it is polled. The sender always exists.
            _ = stage.changed() => {}
            () = connection.eviction() => {
                // A request that has arrived by now is served. If none has, the guard ends the connection; a peer that does
                // not read must not delay that.
                let polled = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx))).await;
                match polled {
                    Poll::Ready(ended) => return Some(ended),
                    Poll::Pending if connection.is_in_use() => {}
                    Poll::Pending => return None,
                }
            }
        }
    }
}

/// Prepares a connection for requests; with TLS, within `limit`, and the caller is then the one that the certificate names.
async fn open(
    stream: Stream,
    caller: Caller,
    tls: Option<Arc<TlsServer>>,
    limit: Duration,
) -> Option<(Stream, Caller)> {
    match (stream, caller, tls) {
        (Stream::Tcp(stream), Caller::Tcp(address), Some(tls)) => {
            let (stream, caller) = tls.accept(stream, address, limit).await?;
            Some((Stream::Tls(Box::new(stream)), caller))
        }
        (stream, caller, _) => Some((stream, caller)),
    }
}

async fn accept(listeners: &[Listener]) -> io::Result<(Stream, Caller)> {
    poll_fn(|cx| {
        let mut ready = listeners.iter().map(|listener| listener.poll_accept(cx));
        ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

fn protocol(limits: intake::IntakeLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The guard on the connection enforces both limits first, with an answer of the error contract. hyper's time-out for request
    // heads also runs between requests, where it would close connections that clients use again.
    builder.header_read_timeout(None).max_headers(limits.headers).max_buf_size(limits.header_bytes.max(8192));
    builder
}

/// The service of one connection.
#[derive(Clone)]
struct PerConnection<S> {
    inner: S,
    connection: Arc<ConnectionState>,
    caller: Caller,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for PerConnection<S>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
    S::Future: Unpin,
    B: Body,
{
    type Response = Response<Outgoing<B>>;
    type Error = Infallible;
    type Future = Tracking<S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let (active, refusal) = self.connection.call();
        if let Some(refusal) = refusal {
            request.extensions_mut().insert(refusal);
        }
        request.extensions_mut().insert(self.caller.clone());
        let version = request.version();
        // The stack is always ready: a request that has to wait does so within the call, where the wait is timed.
        Tracking { answer: self.inner.clone().call(request), active: Some(active), version }
    }
}

/// The future of an answer. Until it completes, the connection is not idle.
struct Tracking<F> {
    answer: F,
    /// Moves to the answer's body.
    active: Option<Active>,
    /// The HTTP version of the caller.
    version: Version,
}

impl<F, B> Future for Tracking<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
    B: Body,
{
    type Output = Result<Response<Outgoing<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(mut response) = ready!(Pin::new(&mut self.answer).poll(cx));
        let active = self.active.take();
        if let Some(active) = active.as_ref().filter(|_| response.extensions().get::<Evicts>().is_some()) {
            active.evict();
        }
        if outgoing::ends_with_the_connection(&response, self.version) {
            // With version 1.1 hyper would announce a kept connection.
            *response.version_mut() = Version::HTTP_10;
            if let Some(active) = &active {
                active.ends_with_the_connection();
            }
        }
        if active.as_ref().is_some_and(Active::is_last) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.version == Version::HTTP_10 && response.headers().contains_key(header::CONNECTION) {
            // The header is `close`. hyper would add `keep-alive` to an answer of version 1.1.
            *response.version_mut() = Version::HTTP_10;
        }
        if let Some(active) = &active
            && !active.is_served()
            && !response.headers().contains_key(ERROR)
        {
            active.serve();
        }
        Poll::Ready(Ok(response.map(|body| Outgoing::new(body, active))))
    }
}

/// Answers a connection over the limit with an error of the contract, without reading from it.
async fn reject(mut stream: Stream) {
    let failure = Failure::new(Code::Overloaded, "too many connections (limits.connections)").closing();
    let response = failure.respond(&HeaderValue::from_static("none"));
    let mut text = format!("HTTP/1.1 {}\r\n", response.status());
    for (name, value) in response.headers() {
        let _ = write!(text, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let _ = write!(text, "content-length: {}\r\n\r\n", response.body().len());
    let answer = async {
        stream.write_all(text.as_bytes()).await?;
        stream.write_all(response.body()).await?;
        stream.shutdown().await
    };
    let _ = timeout(Duration::from_secs(1), answer).await;
}

/// Logs that a connection could not be accepted, and returns whether the process is out of descriptors or memory. In that case an immediate
/// retry would only spin.
pub(crate) fn not_accepted(error: &io::Error) -> bool {
    tracing::warn!(%error, "cannot accept a connection");
    !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
