//! Opens connections to the origin: name, TCP, the egress proxy's tunnel, TLS; each with its own deadline and its own error.
//!
//! All steps after the name look-up are attempted for each address. So an address that accepts TCP and then hangs in TLS has failed, like
//! one that does not answer at all.

mod error;
mod names;
mod order;
mod race;
mod stream;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;

pub(crate) use self::{
    error::{ConnectError, Step},
    stream::{Life, UpstreamStream},
};
use self::{
    names::Names,
    order::Order,
    race::{Finish, Progress, race},
    stream::Io,
};
use super::{
    egress::{Egress, TunnelError},
    tls::trouble::{self, Trouble},
};
use crate::metrics::{Metrics, Phase};

/// The idle time of a connection before TCP probes its path.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// The time limit of each step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// Resolving the name, the TCP handshake and the proxy's tunnel together, over all addresses.
    pub(crate) connect: Duration,
    /// The TLS handshake with one address.
    pub(crate) tls_handshake: Duration,
}

/// The TLS of a connection.
#[derive(Clone)]
pub(super) struct Tls {
    /// Trust, versions, ALPN.
    /// Replaced when its files change.
    pub(super) config: Arc<ArcSwap<rustls::ClientConfig>>,
    /// The name that the certificate must be for.
    pub(super) name: ServerName<'static>,
    /// Whether a connection without HTTP/2 is an error.
    pub(super) only_http2: bool,
}

/// Makes connections to one origin.
pub(super) struct Connector {
    /// The name that is looked up, of the origin or of the egress proxy.
    host: String,
    port: u16,
    names: Names,
    order: Order,
    egress: Option<Egress>,
    tls: Option<Tls>,
    deadlines: Deadlines,
    metrics: Metrics,
}

impl Connector {
    /// A connector to `origin` (host and port), through `egress` if there is one; with `tls` over TLS, else in plain HTTP.
    pub(super) fn new(
        origin: (&str, u16),
        egress: Option<Egress>,
        tls: Option<Tls>,
        deadlines: Deadlines,
        metrics: Metrics,
    ) -> Self {
        let (host, port) = egress.as_ref().map_or(origin, Egress::address);
        let (names, host) = (Names::of(host), host.to_owned());
        Self { host, port, names, order: Order::default(), egress, tls, deadlines, metrics }
    }

    /// A new connection, ready for requests.
    pub(super) async fn connect(&self) -> Result<UpstreamStream, ConnectError> {
        let started = Instant::now();
        let deadline = started + self.deadlines.connect;
        let addresses = self.order.of(&self.addresses(deadline).await?, self.port);
        let attempt = |address, progress| self.attempt(address, deadline, progress);
        let Finish { winner, failures, outrun } =
            race(addresses, attempt, |error: &ConnectError| error.step.holds_for_all()).await;
        for address in outrun.into_iter().chain(failures.iter().map(|(address, _)| *address)) {
            self.order.failed(address);
        }
        let Some((address, io)) = winner else {
            let none = || self.failed(Step::Dns, io::Error::other("the name has no address"));
            return Err(ConnectError::of_all(failures).unwrap_or_else(none));
        };
        self.order.reached(address);
        self.metrics.upstream_phase(Phase::Connect, started.elapsed().as_secs_f64());
        Ok(UpstreamStream::new(io, address, self.metrics.upstream_connected()))
    }

    async fn addresses(&self, deadline: Instant) -> Result<names::Addresses, ConnectError> {
        let late = |_| Err(late("timeouts.connect", self.deadlines.connect));
        let found = timeout_at(deadline, self.names.addresses()).await.unwrap_or_else(late);
        found.map_err(|error| self.failed(Step::Dns, naming(&self.host, &error)))
    }

    /// The steps that turn one address into a connection.
    async fn attempt(
        &self,
        address: SocketAddr,
        deadline: Instant,
        progress: Arc<Progress>,
    ) -> Result<Io, ConnectError> {
        let failed = |step, cause: io::Error| self.failed(step, naming(&address, &cause));
        let late = || late("timeouts.connect", self.deadlines.connect);
        let tcp = timeout_at(deadline, TcpStream::connect(address)).await.unwrap_or_else(|_| Err(late()));
        let mut tcp = tcp.and_then(ready_to_use).map_err(|error| failed(Step::Tcp, error))?;
        progress.connected();
        if let Some(egress) = &self.egress {
            let tunnel = timeout_at(deadline, egress.open(&mut tcp)).await;
            match tunnel.unwrap_or_else(|_| Err(TunnelError::Io(late()))) {
                Ok(()) => {}
                Err(TunnelError::Status(status)) => {
                    let answer = io::Error::other(format!("it answered CONNECT with {}", status.as_u16()));
                    return Err(failed(Step::Tunnel(Some(status)), answer));
                }
                Err(TunnelError::Io(error)) => return Err(failed(Step::Tunnel(None), error)),
            }
        }
        match &self.tls {
            None => Ok(Io::Plain(tcp)),
            Some(tls) => self.secure(tls, tcp).await.map_err(|error| {
                let Trouble { advice, detail } = trouble::with_origin(&error);
                let error = failed(Step::Tls, io::Error::new(error.kind(), detail));
                ConnectError { advice: Some(advice), ..error }
            }),
        }
    }

    async fn secure(&self, tls: &Tls, tcp: TcpStream) -> io::Result<Io> {
        let limit = self.deadlines.tls_handshake;
        let handshake = TlsConnector::from(tls.config.load_full()).connect(tls.name.clone(), tcp);
        let late = |_| Err(late("timeouts.tls_handshake", limit));
        let io = Io::Tls(Box::new(timeout(limit, handshake).await.unwrap_or_else(late)?));
        // A server that does not answer the ALPN offer uses HTTP/1.1 (RFC 7301 §3.2).
        if tls.only_http2 && !io.speaks_http2() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, rustls::Error::NoApplicationProtocol));
        }
        Ok(io)
    }

    fn failed(&self, step: Step, cause: io::Error) -> ConnectError {
        ConnectError::new(step, self.egress.is_some(), cause)
    }
}

fn ready_to_use(tcp: TcpStream) -> io::Result<TcpStream> {
    // A signed request is one small write. Delaying it until more is written gains nothing.
    tcp.set_nodelay(true)?;
    set_socket_keepalive(&tcp, true)?;
    set_tcp_keepidle(&tcp, KEEPALIVE)?;
    Ok(tcp)
}

fn late(key: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("not done within {limit:?} ({key})"))
}

/// Adds the host or address to the error.
fn naming(what: &impl std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests;
