//! A port that refuses connections for as long as a test needs it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A bound port that does not listen. Being bound, it cannot be given to another test.
pub(crate) struct Closed(TcpSocket);

impl Closed {
    pub(crate) fn port() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self(socket)
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Starts listening on the port.
    pub(crate) fn open(self) -> TcpListener {
        self.0.listen(128).unwrap()
    }
}
