//! Binds listeners and accepts connections, over TCP and Unix sockets alike.

use std::{
    ffi::OsStr,
    fmt, io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream},
};

use rand::distributions::{Alphanumeric, Distribution as _};
use rustix::net::{RecvFlags, recv, sockopt::set_socket_linger};
use tokio_rustls::server::TlsStream;

use super::intake::Socket;
use crate::{config::ListenAddress, policy::Caller};

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// On an IP address.
    Tcp(TcpListener),
    /// On a file. It is removed before the listener is closed, so that no other process considers it stale.
    Unix(SocketFile, UnixListener),
}

impl Listener {
    /// Binds `address`; a Unix socket's file gets the permission bits `mode`. At most `backlog`
    /// connections wait to be accepted, or fewer if the system allows fewer (`net.core.somaxconn`).
    ///
    /// A file that a dead process left behind is replaced. A socket that still answers, and a file that is no socket, stays.
    pub async fn bind(address: &ListenAddress, mode: u32, backlog: u32) -> io::Result<Self> {
        let path = match address {
            ListenAddress::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                // A restart binds while connections of the old process are still in TIME_WAIT.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                return socket.listen(backlog).map(Self::Tcp);
            }
            ListenAddress::Unix(path) => path,
        };
        if let Ok(there) = std::fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "an existing file there is no socket"));
            }
            match UnixStream::connect(path).await {
                Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                Err(error) => return Err(error),
            }
        }
        // At no moment can more users connect than `mode` allows. `bind` gives the file the mode of the socket, less the umask. The
        // bits that the umask removed are restored under another name, and no process can connect before `listen`.
        let socket = UnixSocket::new_stream()?;
        // Outside Linux fchmod(2) does not support sockets. There the file is safe because no process can connect yet.
        #[cfg(target_os = "linux")]
        rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(mode))?;
        let unfinished = bind_beside(path, &socket)?;
        std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(mode))?;
        let file = SocketFile { path: path.clone(), identity: identity(&unfinished) };
        std::fs::rename(&unfinished, path)?;
        Ok(Self::Unix(file, socket.listen(backlog)?))
    }

    /// The bound address, with the chosen port in place of 0.
    pub(crate) fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(file, _) => Ok(ListenAddress::Unix(file.path.clone())),
        }
    }

    /// Refuses new connections. Connections that have begun can still be accepted: closing the socket at once would reset every connection
    /// that the system accepted since the last `accept`, together with its request.
    pub fn refuse_new(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Tcp(listener) => {
                if let Err(error) = socket2::SockRef::from(listener).attach_filter(&NO_SYN) {
                    tracing::debug!(%error, "the system filters no connections");
                }
            }
            #[cfg(not(target_os = "linux"))]
            Self::Tcp(_) => {}
            Self::Unix(file, _) => file.remove(),
        }
    }

    /// The next connection, and its caller as far as the system reports it.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Caller)>> {
        Poll::Ready(Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = ready!(listener.poll_accept(cx))?;
                // Answers are small and complete. Delaying them until an acknowledgement arrives gains nothing.
                let _ = stream.set_nodelay(true);
                (Stream::Tcp(stream), Caller::Tcp(address))
            }
            Self::Unix(_, listener) => (Stream::Unix(ready!(listener.poll_accept(cx))?.0), Caller::UnixSocket),
        }))
    }
}

/// A filter on a TCP socket that drops the segments which begin a connection: those with SYN and without ACK. The peer repeats the
/// segment after a second, and is then refused because the socket is closed.
#[cfg(target_os = "linux")]
const NO_SYN: [socket2::SockFilter; 5] = {
    use socket2::SockFilter;
    // linux/bpf_common.h: load the byte at k; and with k; jump if equal to k; return k, the length to keep. The TCP header begins
    // at 0, and byte 13 has its flags (RFC 9293 §3.1): SYN is 2, ACK is 16.
    let [load, and, if_equal, give] = [0x30, 0x54, 0x15, 0x06];
    [
        SockFilter::new(load, 0, 0, 13),
        SockFilter::new(and, 0, 0, 2 | 16),
        SockFilter::new(if_equal, 0, 1, 2),
        SockFilter::new(give, 0, 0, 0),
        SockFilter::new(give, 0, 0, u32::MAX),
    ]
};

/// Binds `socket` to a random name beside `path`. The name is as long as that of `path`, because the system limits the length of both.
fn bind_beside(path: &Path, socket: &UnixSocket) -> io::Result<PathBuf> {
    let length = path.file_name().map_or(0, OsStr::len).max(1);
    let mut tries = 0..100;
    loop {
        let name: String = Alphanumeric.sample_iter(rand::thread_rng()).take(length).map(char::from).collect();
        let unfinished = path.with_file_name(name);
        match socket.bind(&unfinished) {
            Ok(()) => return Ok(unfinished),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries.next().is_some() => {}
            Err(error) => return Err(error),
        }
    }
}

/// The device and inode of a file, which a rename does not change.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The file of a Unix socket, which is removed with it unless another process has put its own there.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn remove(&self) {
        if identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A connection to or from downstream.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over TLS, after the handshake.
    Tls(Box<TlsStream<TcpStream>>),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Socket for Stream {
    fn reset_at_close(&self, resets: bool) {
        let socket = match self {
            Self::Tcp(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Unix(_) => return,
        };
        // RFC 9293 §3.10.4: without time to linger, CLOSE is ABORT.
        let _ = set_socket_linger(socket, resets.then_some(Duration::ZERO));
    }

    fn has_unread(&self) -> bool {
        let peek = |socket: BorrowedFd<'_>| {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            recv(socket, &mut [0_u8; 1][..], flags).is_ok_and(|(_, length)| length > 0)
        };
        match self {
            Self::Tcp(socket) => peek(socket.as_fd()),
            Self::Tls(stream) => peek(stream.get_ref().0.as_fd()),
            Self::Unix(socket) => peek(socket.as_fd()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            // Neither socket buffers writes.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Ok(address) => address.fmt(f),
            Err(_) => f.write_str("unknown"),
        }
    }
}
