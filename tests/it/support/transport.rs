//! The transports from a caller to the signing listener. Every promise holds on each of them, so hostile cases run over all.

use std::{fmt, net::SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    authority::{Mounted, caller, dial},
    patience::soon,
    sidecar::Sidecar,
    wire::{Message, read_message},
};

/// A connection over any transport.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection for S {}

/// One transport.
pub(crate) enum Transport {
    /// Plain TCP.
    Plain,
    /// TLS, with an accepted client certificate.
    Tls { mounted: Mounted, caller: TlsConnector },
}

impl Transport {
    /// Every transport.
    pub(crate) fn all() -> Vec<Self> {
        vec![Self::Plain, Self::tls()]
    }

    /// TLS, for a caller whose certificate is accepted.
    pub(crate) fn tls() -> Self {
        let (ours, mounted) = Mounted::by_one();
        let caller = caller(&[&ours], Some(&ours.issue(&["shop"], "")), &["http/1.1"]);
        Self::Tls { mounted, caller }
    }

    /// A sidecar with this transport in front of `origin`, with more configuration (TOML).
    pub(crate) async fn sidecar(&self, origin: &str, toml: &str) -> Sidecar {
        let toml = match self {
            Self::Plain => toml.to_owned(),
            Self::Tls { mounted, .. } => mounted.toml(toml),
        };
        Sidecar::with(origin, &toml).await
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Box<dyn Connection> {
        match self {
            Self::Plain => Box::new(TcpStream::connect(address).await.unwrap()),
            Self::Tls { caller, .. } => Box::new(dial(address, caller).await.unwrap()),
        }
    }

    /// Connects and sends `bytes`.
    pub(crate) async fn send(&self, address: SocketAddr, bytes: &[u8]) -> Box<dyn Connection> {
        let mut stream = self.connect(address).await;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    /// Sends `bytes` over a new connection and reads one answer.
    pub(crate) async fn exchange(&self, address: SocketAddr, bytes: &[u8]) -> Message {
        let head_only = bytes.starts_with(b"HEAD ");
        soon(read_message(&mut self.send(address, bytes).await, head_only)).await.expect("an answer")
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Tls { .. } => "TLS",
        })
    }
}
