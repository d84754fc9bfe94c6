//! Ports that refuse connections.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::patience::soon;

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

/// Waits until `address`, whose listener this process has closed, refuses connections.
///
/// A child that another test is starting has copies of all descriptors until its execve(2), and the socket listens as long as one exists.
pub(crate) async fn until_refused(address: SocketAddr) {
    soon(async { while TcpStream::connect(address).await.is_ok() {} }).await;
}
