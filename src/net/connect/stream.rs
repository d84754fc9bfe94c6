//! One open connection to the origin: its bytes, its age, and why it ended.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::client::TlsStream;

use crate::{
    metrics::{self, Closed},
    net::tls::trouble::{self, Trouble},
};

pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The life of one connection.
#[derive(Debug)]
pub(crate) struct Life {
    peer: SocketAddr,
    opened: Instant,
    aged: AtomicBool,
    rejection: OnceLock<Trouble>,
}

impl Life {
    /// The time at which it was ready for requests.
    #[must_use]
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// The address at its other end: the origin's, or the egress proxy's.
    #[must_use]
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Why the origin rejected the TLS connection after our part of the handshake had ended.
    pub(in super::super) fn rejection(&self) -> Option<&Trouble> {
        self.rejection.get()
    }

    /// The connection gets no more requests because of its age, which is the recorded reason when it ends.
    pub(crate) fn retire(&self) {
        self.aged.store(true, Ordering::Relaxed);
    }
}

/// One connection to the origin, counted as open until it is dropped. It observes reads and writes to record why the connection ended.
pub(crate) struct UpstreamStream {
    io: Io,
    life: Arc<Life>,
    counted: metrics::OpenConnection,
    /// Whether the origin has sent anything after the handshake.
    received: bool,
}

impl UpstreamStream {
    pub(super) fn new(io: Io, peer: SocketAddr, counted: metrics::OpenConnection) -> Self {
        let life = Arc::new(Life {
            peer,
            opened: Instant::now(),
            aged: AtomicBool::default(),
            rejection: OnceLock::default(),
        });
        Self { io, life, counted, received: false }
    }

    /// Its life, which outlives it.
    #[must_use]
    pub(crate) fn life(&self) -> Arc<Life> {
        Arc::clone(&self.life)
    }

    /// Whether the TLS handshake agreed on HTTP/2.
    #[must_use]
    pub(crate) fn speaks_http2(&self) -> bool {
        self.io.speaks_http2()
    }

    /// Records why the connection ends. Only the first reason counts. If the peer closes a retired connection, the reason is its age.
    fn ends(&mut self, reason: Closed) {
        let aged = self.life.aged.load(Ordering::Relaxed);
        self.counted.because(if aged { Closed::Age } else { reason });
    }

    fn failed(&mut self, error: io::Error) -> io::Error {
        if let Some(trouble) = trouble::after_handshake(&error, !self.received) {
            let _ = self.life.rejection.set(trouble);
        }
        // The peer closed without close_notify.
        let gone = error.kind() == io::ErrorKind::UnexpectedEof;
        self.ends(if gone { Closed::Peer } else { Closed::Error });
        error
    }

    /// A write fails if the origin has closed the connection. The alert with the reason may have arrived without being read.
    fn failed_to_write(&mut self, error: io::Error, cx: &mut Context<'_>) -> io::Error {
        if let Io::Tls(stream) = &mut self.io
            && let Poll::Ready(Err(alert)) = Pin::new(stream).poll_read(cx, &mut ReadBuf::new(&mut [0; 1024]))
        {
            self.failed(alert);
        }
        self.failed(error)
    }
}

impl Drop for UpstreamStream {
    fn drop(&mut self) {
        // If nothing else ended it, the pool evicted it.
        self.ends(Closed::Idle);
    }
}

impl AsyncRead for UpstreamStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (room, before) = (buffer.remaining(), buffer.filled().len());
        let result = ready!(match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        });
        if result.is_ok() && room > 0 && buffer.filled().len() == before {
            self.ends(Closed::Peer);
        }
        self.received |= buffer.filled().len() > before;
        Poll::Ready(result.map_err(|error| self.failed(error)))
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        });
        Poll::Ready(result.map_err(|error| self.failed_to_write(error, cx)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        });
        Poll::Ready(result.map_err(|error| self.failed_to_write(error, cx)))
    }

    /// The sidecar closes the connection itself, so an error is not recorded.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        });
        Poll::Ready(result.map_err(|error| self.failed_to_write(error, cx)))
    }
}

impl Io {
    /// Whether the TLS handshake agreed on HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}
