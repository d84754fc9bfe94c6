//! The thread of the admin listener.

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
    time::{Instant, sleep, sleep_until, timeout},
};
use tower::ServiceExt as _;

use super::Sampler;
use crate::net::{
    descriptors::Descriptors,
    intake::{self, ConnectionState, Guard},
    listen::Stream,
    respond::Failure,
    server::{EXHAUSTED, not_accepted},
};

/// The limit of connections. Every client that reaches the pod can connect, and each connection uses a file descriptor that a payment
/// may need.
const CONNECTIONS: usize = 64;
/// The longest time of a connection, from accept to the last byte of the answer.
const TIME: Duration = Duration::from_secs(10);
/// More time than a probe needs.
const PROBE: Duration = Duration::from_millis(20);
/// The limits of a request.
const LIMITS: intake::IntakeLimits =
    intake::IntakeLimits { headers: 100, header_bytes: 16 * 1024, head: TIME, idle: TIME };
/// The stack of the sampler's thread: a sample only reads counters.
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
    /// The workers sign. A signature blocks its worker for 0.2 ms, with 4096 bits for more than 1 ms. A probe behind a queue of
    /// signatures is late under load, and Kubernetes considers a busy pod dead. The scheduler prefers a thread that uses so little
    /// processor time. Measured at twice the capacity of one worker: the median probe took 53 ms on the workers, and 0.2 ms here.
    ///
    /// `sampler` has a thread too, which wakes up once for each sample. A timer of the runtime would wake up three times, because
    /// its wheel sorts ten seconds in three steps.
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

/// Serves every connection. A connection over the limit evicts the oldest one, so a peer that hoards connections evicts its own, while a
/// probe needs only a millisecond.
async fn accept(listener: TcpListener, routes: Router) {
    let mut connections = Connections::default();
    let descriptors = Descriptors::of_process();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if not_accepted(&error) && !connections.evict_idle().await {
                    sleep(EXHAUSTED).await;
                }
                // The task of an evicted connection closes it.
                yield_now().await;
                continue;
            }
        };
        if connections.count() >= CONNECTIONS {
            connections.evict();
        } else if descriptors.excess() > 0 {
            connections.evict_idle().await;
        }
        let (open, answer) = (Descriptors::open(), timeout(TIME, answer(stream, peer, routes.clone())));
        let answered = tokio::spawn(async move {
            let _open = open;
            drop(answer.await);
        });
        connections.0.push_back((Instant::now(), answered.abort_handle()));
        // A request that has arrived is answered before another connection is accepted.
        yield_now().await;
    }
}

/// The connections with their ages, the oldest first; some may have ended.
#[derive(Default)]
struct Connections(VecDeque<(Instant, AbortHandle)>);

impl Connections {
    fn count(&mut self) -> usize {
        self.0.retain(|(_, connection)| !connection.is_finished());
        self.0.len()
    }

    /// Evicts the oldest. Returns whether there was one.
    fn evict(&mut self) -> bool {
        self.0.pop_front().inspect(|(_, oldest)| oldest.abort()).is_some()
    }

    /// Evicts the oldest, but gives it the time of a probe, because another listener may have used up the descriptors.
    async fn evict_idle(&mut self) -> bool {
        self.count();
        let Some((since, _)) = self.0.front() else { return false };
        sleep_until(*since + PROBE).await;
        self.count() > 0 && self.evict()
    }
}

/// Answers one request and closes. Several requests on one connection would be answered before waiting probes.
async fn answer(stream: TcpStream, peer: SocketAddr, routes: Router) {
    let state = Arc::new(ConnectionState::default());
    let stream = TokioIo::new(Guard::new(Stream::Tcp(stream), Arc::clone(&state), LIMITS));
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        let (active, refusal) = state.call();
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
    // A peer that closes its connection is not an error.
    let _ = http.keep_alive(false).max_buf_size(LIMITS.header_bytes).serve_connection(stream, service).await;
}
