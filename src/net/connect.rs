//! Opens connections to the origin: name, TCP, the egress proxy's tunnel, TLS; each with its own deadline and its own error.

mod names;
mod stream;

use std::{convert::Infallible, future::ready, io, sync::Arc, time::Duration};

use http::StatusCode;
use hyper::Uri;
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;
use tower::{Service as _, service_fn};

pub use self::stream::{Life, UpstreamStream};
use self::{names::Names, stream::Io};
use super::egress::{Egress, Refusal};
use crate::metrics::{Metrics, Phase};

/// Why there is no connection. Not a byte of any request was written.
#[derive(Debug, thiserror::Error)]
#[error("{}", .step.trouble(*.proxied))]
pub struct ConnectError {
    /// How far it got.
    pub step: Step,
    /// Whether the way is through the egress proxy: names and TCP are then the proxy's.
    pub proxied: bool,
    #[source]
    cause: io::Error,
}

impl ConnectError {
    /// Whether the name was only not looked up in time: a question or its answer may have been lost.
    #[must_use]
    pub fn is_late_name(&self) -> bool {
        self.step == Step::Dns && self.cause.kind() == io::ErrorKind::TimedOut
    }
}

/// The steps to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From name to addresses.
    Dns,
    /// The TCP handshake.
    Tcp,
    /// The egress proxy's tunnel, with the proxy's answer where it refused.
    Tunnel(Option<StatusCode>),
    /// The TLS handshake: certificate, version, or not TLS at all.
    Tls,
}

impl Step {
    fn trouble(self, proxied: bool) -> String {
        match (self, proxied) {
            (Self::Dns, false) => "cannot resolve the name of the origin".to_owned(),
            (Self::Dns, true) => "cannot resolve the name of the egress proxy (upstream.proxy)".to_owned(),
            (Self::Tcp, false) => "cannot connect to the origin".to_owned(),
            (Self::Tcp, true) => "cannot connect to the egress proxy (upstream.proxy)".to_owned(),
            (Self::Tunnel(Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)), _) => {
                "the egress proxy does not accept the user and password of upstream.proxy (status 407)".to_owned()
            }
            (Self::Tunnel(Some(status)), _) => {
                format!(
                    "the egress proxy refuses a tunnel to the origin with status {} (upstream.proxy)",
                    status.as_u16()
                )
            }
            (Self::Tunnel(None), _) => "the egress proxy does not open a tunnel (upstream.proxy)".to_owned(),
            (Self::Tls, _) => "cannot agree on TLS with the origin".to_owned(),
        }
    }
}

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Resolving the name, the TCP handshake and the proxy's tunnel together.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls_handshake: Duration,
}

/// What TLS there is to be.
#[derive(Clone)]
pub(super) struct Tls {
    /// Trust, versions, ALPN.
    pub(super) config: Arc<rustls::ClientConfig>,
    /// Whom the certificate must be for.
    pub(super) name: ServerName<'static>,
    /// Whether a connection without HTTP/2 is of no use.
    pub(super) only_http2: bool,
}

/// Makes connections to one origin.
pub(super) struct Connector {
    /// Whose name is looked up and who is connected to: the origin, or the egress proxy.
    address: Uri,
    names: Names,
    egress: Option<Egress>,
    tls: Option<Tls>,
    deadlines: Deadlines,
    metrics: Metrics,
}

impl Connector {
    /// A connector that goes to `origin`, through `egress` where there is one, and speaks TLS for `tls`, else plain HTTP.
    pub(super) fn new(
        origin: Uri,
        egress: Option<Egress>,
        tls: Option<Tls>,
        deadlines: Deadlines,
        metrics: Metrics,
    ) -> Self {
        let address = egress.as_ref().map_or(origin, Egress::address);
        let names = Names::of(address.host().unwrap_or_default());
        Self { address, names, egress, tls, deadlines, metrics }
    }

    /// A new connection, ready for requests.
    pub(super) async fn connect(&self) -> Result<UpstreamStream, ConnectError> {
        let started = Instant::now();
        let tcp = self.reach(started + self.deadlines.connect).await?;
        let io = match self.tls.clone() {
            None => Io::Plain(tcp),
            Some(tls) => self.secure(tls, tcp).await?,
        };
        self.metrics.upstream_phase(Phase::Connect, started.elapsed().as_secs_f64());
        Ok(UpstreamStream::new(io, self.metrics.upstream_connected()))
    }

    /// A TCP connection to the origin, or one through the proxy that is as good.
    async fn reach(&self, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let mut tcp = self.tcp(deadline).await?;
        if let Some(egress) = &self.egress {
            match timeout_at(deadline, egress.open(&mut tcp)).await {
                Ok(Ok(())) => {}
                Ok(Err(Refusal::Status(status))) => {
                    let answer = io::Error::other(format!("it answered CONNECT with {}", status.as_u16()));
                    return Err(self.failed(Step::Tunnel(Some(status)), answer));
                }
                Ok(Err(Refusal::Io(error))) => return Err(self.failed(Step::Tunnel(None), error)),
                Err(_) => {
                    return Err(self.failed(Step::Tunnel(None), late("timeouts.connect", self.deadlines.connect)));
                }
            }
        }
        Ok(tcp)
    }

    /// A TCP connection to any address of the name.
    async fn tcp(&self, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let late = |step| self.failed(step, late("timeouts.connect", self.deadlines.connect));
        let found = timeout_at(deadline, self.names.addresses()).await.map_err(|_| late(Step::Dns))?;
        let found = found.map_err(|error| self.failed(Step::Dns, error))?;
        let found = move |_: Name| ready(Ok::<_, Infallible>(Vec::from(&*found).into_iter()));
        let mut tcp = HttpConnector::new_with_resolver(service_fn(found));
        tcp.enforce_http(false);
        // A signed request is one small write; waiting for more to send with it only delays it.
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        let connected = timeout_at(deadline, tcp.call(self.address.clone())).await.map_err(|_| late(Step::Tcp))?;
        Ok(connected.map_err(|error| self.failed(Step::Tcp, io::Error::other(error)))?.into_inner())
    }

    async fn secure(&self, tls: Tls, tcp: TcpStream) -> Result<Io, ConnectError> {
        let limit = self.deadlines.tls_handshake;
        let io = match timeout(limit, TlsConnector::from(tls.config).connect(tls.name, tcp)).await {
            Ok(Ok(stream)) => Io::Tls(Box::new(stream)),
            Ok(Err(error)) => return Err(self.failed(Step::Tls, error)),
            Err(_) => return Err(self.failed(Step::Tls, late("timeouts.tls_handshake", limit))),
        };
        // A server may leave the offer unanswered and mean HTTP/1.1 by it (RFC 7301 §3.2).
        if tls.only_http2 && !io.speaks_http2() {
            return Err(self.failed(Step::Tls, io::Error::other("it does not speak HTTP/2 (upstream.http_version)")));
        }
        Ok(io)
    }

    fn failed(&self, step: Step, cause: io::Error) -> ConnectError {
        ConnectError { step, proxied: self.egress.is_some(), cause }
    }
}

fn late(key: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("not done within {limit:?} ({key})"))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::net::upstream::SendError;

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_says_nothing_is_told_as_such_and_is_worth_another_attempt() {
        let deadlines = Deadlines { connect: Duration::from_secs(5), tls_handshake: Duration::from_secs(5) };
        let origin = Uri::from_static("http://gateway.test/");
        let mut connector = Connector::new(origin, None, None, deadlines, Metrics::new(&[]));
        connector.names = Names::by(|| pending().boxed());
        let began = Instant::now();
        let error = connector.connect().await.err().unwrap();
        assert_eq!((began.elapsed(), error.step, error.is_late_name()), (deadlines.connect, Step::Dns, true));
        assert_eq!(error.cause.to_string(), "not done within 5s (timeouts.connect)");
        assert!(SendError::from(error).may_be_tried_again());
    }
}
