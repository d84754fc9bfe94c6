//! Faults of a connection before a request is read.

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What the upstream does with a connection before it reads from it.
#[derive(Debug, Clone)]
pub(crate) enum Welcome {
    /// Serve it.
    Serve,
    /// Reset it.
    Reset,
    /// Close it.
    Close,
    /// Hold it open without reading, writing or starting TLS.
    Silence,
    /// Send these bytes at once, without TLS, then close it.
    Say(Vec<u8>),
}

/// The [`Welcome`] of each connection, counted from 0.
pub(super) type Door = Box<dyn Fn(usize) -> Welcome + Send + Sync>;

impl Welcome {
    /// Applies it to `stream`. Returns the connection if it is to be served: over TLS if there is an acceptor.
    pub(super) async fn receive(self, mut stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Line>> {
        let _ = stream.set_nodelay(true);
        match self {
            Self::Serve => {}
            Self::Reset => {
                reset(&stream);
                return None;
            }
            Self::Close => return None,
            Self::Silence => return std::future::pending().await,
            Self::Say(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                until_closed(&mut stream).await;
                return None;
            }
        }
        match tls {
            None => Some(Box::new(stream)),
            Some(acceptor) => Some(Box::new(acceptor.accept(stream).await.ok()?)),
        }
    }
}

/// A connection that can be reset.
pub(super) trait Line: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
}

impl Line for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Line for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Makes the next close a reset.
pub(super) fn reset(socket: &TcpStream) {
    socket.set_zero_linger().unwrap();
}

/// Reads and discards until the other side closes.
pub(super) async fn until_closed(line: &mut (impl AsyncRead + Unpin + ?Sized)) {
    let mut rest = [0; 1024];
    while line.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}
