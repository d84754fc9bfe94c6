//! The admin listener's own thread.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
};

use axum::{Router, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{AbortHandle, yield_now},
};
use tower::ServiceExt as _;

use super::Sampler;
use crate::net::server::not_accepted;

/// How many connections there are at most. Anyone who can reach the pod can connect, and a descriptor that is held here is one
/// that a payment does not get.
const CONNECTIONS: usize = 64;
/// What is kept of a request that is not whole yet, in bytes.
const UNREAD: usize = 16 * 1024;
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

/// Serves every connection; one too many ends the one that was accepted first. Who only holds connections open so drives out
/// his own, while a probe is answered within the millisecond that it takes.
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
        connections.push_back(tokio::spawn(answer(stream, peer, routes.clone())).abort_handle());
        // Whose request is there already gets its answer before anyone has to make room.
        yield_now().await;
    }
}

async fn answer(stream: TcpStream, peer: SocketAddr, routes: Router) {
    let service = service_fn(|mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        routes.clone().oneshot(request)
    });
    let mut http = http1::Builder::new();
    // Whoever breaks off need not be told.
    let _ = http.max_buf_size(UNREAD).serve_connection(TokioIo::new(stream), service).await;
}
