//! Opens connections to the origin: name, TCP, TLS, each with its own deadline and its own error.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{
        Connected, Connection, HttpConnector,
        dns::{GaiResolver, Name},
    },
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::Service;

use crate::metrics::{Metrics, Phase};

/// Why there is no connection. Not a byte of any request was written.
#[derive(Debug, thiserror::Error)]
#[error("{}", .step.trouble())]
pub struct ConnectError {
    /// How far it got.
    pub step: Step,
    #[source]
    cause: io::Error,
}

/// The steps to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// From name to addresses.
    Dns,
    /// The TCP handshake.
    Tcp,
    /// The TLS handshake: certificate, version, or not TLS at all.
    Tls,
}

impl Step {
    fn trouble(self) -> &'static str {
        match self {
            Self::Dns => "cannot resolve the name of the origin",
            Self::Tcp => "cannot connect to the origin",
            Self::Tls => "cannot agree on TLS with the origin",
        }
    }

    fn failed(self, cause: io::Error) -> ConnectError {
        ConnectError { step: self, cause }
    }

    fn late(self, key: &str, limit: Duration) -> ConnectError {
        self.failed(io::Error::new(io::ErrorKind::TimedOut, format!("not done within {limit:?} ({key})")))
    }
}

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Resolving the name and the TCP handshake together.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls_handshake: Duration,
}

/// Makes connections to one origin, as the service that hyper-util's client asks for them.
#[derive(Clone)]
pub struct Connector {
    tcp: HttpConnector<Resolver>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    deadlines: Deadlines,
    metrics: Metrics,
}

impl Connector {
    /// A connector that speaks TLS for `tls`, else plain HTTP.
    #[must_use]
    pub fn new(
        tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
        deadlines: Deadlines,
        metrics: Metrics,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        // A signed request is one small write; waiting for more to send with it only delays it.
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        let tls = tls.map(|(config, name)| (TlsConnector::from(config), name));
        Self { tcp, tls, deadlines, metrics }
    }

    async fn connect(mut self, uri: Uri) -> Result<UpstreamStream, ConnectError> {
        let started = Instant::now();
        let limit = self.deadlines.connect;
        let tcp = match timeout(limit, self.tcp.call(uri)).await {
            Ok(Ok(stream)) => stream.into_inner(),
            Ok(Err(error)) => return Err(tcp_or_dns(error)),
            Err(_) => return Err(Step::Tcp.late("timeouts.connect", limit)),
        };
        let limit = self.deadlines.tls_handshake;
        let io = match self.tls {
            None => Io::Plain(tcp),
            Some((connector, name)) => match timeout(limit, connector.connect(name, tcp)).await {
                Ok(Ok(stream)) => Io::Tls(Box::new(stream)),
                Ok(Err(error)) => return Err(Step::Tls.failed(error)),
                Err(_) => return Err(Step::Tls.late("timeouts.tls_handshake", limit)),
            },
        };
        self.metrics.upstream_phase(Phase::Connect, started.elapsed().as_secs_f64());
        Ok(UpstreamStream(TokioIo::new(io)))
    }
}

/// Tells a name that does not resolve from a connection that does not come about, by what our resolver marked.
fn tcp_or_dns(error: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(Unresolved(cause)) = cause.downcast_ref() {
            return Step::Dns.failed(io::Error::new(cause.kind(), cause.to_string()));
        }
        source = cause.source();
    }
    Step::Tcp.failed(io::Error::other(error))
}

impl Service<Uri> for Connector {
    type Response = UpstreamStream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<UpstreamStream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// The system's resolver, its errors marked.
#[derive(Clone)]
struct Resolver(GaiResolver);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unresolved(io::Error);

impl Service<Name> for Resolver {
    type Response = <GaiResolver as Service<Name>>::Response;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        self.0.poll_ready(cx).map_err(Unresolved)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let answer = self.0.call(name);
        Box::pin(async { answer.await.map_err(Unresolved) })
    }
}

/// One connection to the origin.
pub struct UpstreamStream(TokioIo<Io>);

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for UpstreamStream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(Opened(Instant::now()));
        match self.0.inner() {
            Io::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => connected.negotiated_h2(),
            _ => connected,
        }
    }
}

/// When a connection was opened; found in the extensions of every response that came over it.
#[derive(Debug, Clone, Copy)]
pub struct Opened(pub Instant);

impl hyper::rt::Read for UpstreamStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }
}
