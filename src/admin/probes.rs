//! The admin listener's own thread.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use http::HeaderValue;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{AbortHandle, yield_now},
    time::timeout,
};
use tower::ServiceExt as _;

use super::Sampler;
use crate::net::{
    intake::{self, Guard, Line},
    listen::Stream,
    respond::Failure,
    server::not_accepted,
};

/// How many connections there are at most. Anyone who can reach the pod can connect, and a descriptor that is held here is one
/// that a payment does not get.
const CONNECTIONS: usize = 64;
/// How long a connection may take in all, from accept to the last byte of the answer.
const TIME: Duration = Duration::from_secs(10);
/// What a request may be.
const LIMITS: intake::Limits = intake::Limits { headers: 100, header_bytes: 16 * 1024, head: TIME, idle: TIME };
/// A sample is a walk over counters.
const SAMPLER_STACK: usize = 128 * 1024;

/// Answers probes and scrapes until it is dropped.
#[derive(Debug)]
pub struct Probes {
    _stop: oneshot::Sender<()>,
    _end: mpsc::Sender<()>,
}

impl Probes {
    /// Serves `routes` on a thread with a runtime of its own, over HTTP/1.1.
    ///
    /// The workers sign, and a signature holds its worker for a fifth of a millisecond, one with 4096 bits for more than a
    /// whole. A probe behind a queue of those is late just when it matters, and a pod that is busy is taken for dead; a
    /// thread that asks for so little is let in first by the system. Measured at twice the capacity of one worker: half of
    /// the probes took 53 ms on the workers, 0.2 ms here.
    ///
    /// `sampler` has a thread too, which wakes up once for each sample. A timer of the runtime would wake up three times, because
    /// its wheel sorts a time of ten seconds in three steps.
    pub fn serve(listener: TcpListener, routes: Router, sampler: Sampler) -> io::Result<Self> {
        let (end, ended) = mpsc::channel::<()>();
        thread::Builder::new().name("history".to_owned()).stack_size(SAMPLER_STACK).spawn(move || {
            while ended.recv_timeout(Sampler::SPACING) == Err(RecvTimeoutError::Timeout) {
                sampler.sample();
            }
        })?;
        let (stop, stopped) = oneshot::channel();
        let listener = listener.into_std()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = async move {
            let listener = TcpListener::from_std(listener)?;
            tokio::select! {
                () = accept(listener, routes) => {}
                _ = stopped => {}
            }
            io::Result::Ok(())
        };
        thread::Builder::new().name("probes".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serve) {
                tracing::error!(%error, "the admin listener ended");
            }
        })?;
        Ok(Self { _stop: stop, _end: end })
    }
}

/// Serves every connection; one too many ends the one that was accepted first. A peer that hoards connections so ends its own, while
/// a probe is answered within the millisecond that it takes.
async fn accept(listener: TcpListener, routes: Router) {
    let mut connections = VecDeque::<AbortHandle>::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                not_accepted(&error).await;
                continue;
            }
        };
        connections.retain(|connection| !connection.is_finished());
        if connections.len() >= CONNECTIONS
            && let Some(first) = connections.pop_front()
        {
            first.abort();
        }
        connections.push_back(tokio::spawn(timeout(TIME, answer(stream, peer, routes.clone()))).abort_handle());
        // A request that has arrived already is answered before another connection is accepted.
        yield_now().await;
    }
}

/// Answers one request and closes. Requests in one connection would be answered in a row, ahead of the probes.
async fn answer(stream: TcpStream, peer: SocketAddr, routes: Router) {
    let line = Arc::new(Line::default());
    let stream = TokioIo::new(Guard::new(Stream::Tcp(stream), Arc::clone(&line), LIMITS));
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        let (active, refusal) = line.call();
        request.extensions_mut().insert(ConnectInfo(peer));
        let routes = routes.clone();
        async move {
            let _active = active;
            match refusal {
                Some(refusal) => {
                    Ok(Failure::from(refusal).respond(&HeaderValue::from_static("none")).map(axum::body::Body::from))
                }
                None => routes.oneshot(request).await,
            }
        }
    });
    let mut http = http1::Builder::new();
    // A peer that breaks off is no concern of anyone.
    let _ = http.keep_alive(false).max_buf_size(LIMITS.header_bytes).serve_connection(stream, service).await;
}
