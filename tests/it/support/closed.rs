//! A port where nobody listens, and where nobody will while a test needs it to be so.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A port that refuses connections. It is held, for else another test might be given it meanwhile.
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

    /// From now on somebody does listen.
    pub(crate) fn open(self) -> TcpListener {
        self.0.listen(128).unwrap()
    }
}
