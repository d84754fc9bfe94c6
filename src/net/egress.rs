//! The egress proxy: a tunnel that is requested with CONNECT (RFC 9110 §9.3.6).
//!
//! The code is our own because hyper-util's tunnel does not report the status with which a proxy refuses, and discards bytes that follow
//! the head of the proxy's answer. The status decides whether another address is tried and what the error message advises. Bytes after
//! the head are not from the origin, and must not be treated as its part of the TLS handshake.

use std::io;

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use zeroize::Zeroizing;

use crate::config::{Origin, Proxy};

/// The largest head of an answer to CONNECT, bytes.
const HEAD_LIMIT: usize = 8 * 1024;

/// A proxy and its CONNECT request.
pub(super) struct Egress {
    host: Box<str>,
    port: u16,
    request: Zeroizing<Vec<u8>>,
}

impl Egress {
    /// A tunnel to `origin` through `proxy`.
    pub(super) fn new(proxy: &Proxy, origin: &Origin) -> Self {
        let host = origin.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let target = format!("{host}:{}", origin.port());
        let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        let credentials = proxy.authorization().map_or(&b""[..], |value| value.as_bytes());
        let mut request = Zeroizing::new(Vec::with_capacity(head.len() + credentials.len() + 32));
        request.extend_from_slice(head.as_bytes());
        if !credentials.is_empty() {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(credentials);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        Self { host: proxy.host().into(), port: proxy.port(), request }
    }

    /// Host and port of the proxy.
    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Requests the tunnel from the proxy at the other end of `stream`.
    pub(super) async fn open(&self, stream: &mut TcpStream) -> Result<(), TunnelError> {
        stream.write_all(&self.request).await?;
        let mut head = Vec::with_capacity(256);
        loop {
            if stream.read_buf(&mut head).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                let status = status(&head).ok_or_else(|| invalid("its answer is not HTTP/1"))?;
                return match status {
                    _ if !status.is_success() => Err(TunnelError::Status(status)),
                    // In TLS the client sends first, so these bytes are not from the origin.
                    _ if head.len() > end + 4 => Err(invalid("it sent more than its answer").into()),
                    _ => Ok(()),
                };
            }
            if head.len() > HEAD_LIMIT {
                return Err(invalid("its answer is longer than 8 KiB").into());
            }
        }
    }
}

/// Why there is no tunnel.
#[derive(Debug)]
pub(super) enum TunnelError {
    /// The proxy answered with this status.
    Status(StatusCode),
    /// The proxy did not answer in HTTP, or the connection broke.
    Io(io::Error),
}

impl From<io::Error> for TunnelError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The status in `HTTP/1.1 200 Connection established`.
fn status(head: &[u8]) -> Option<StatusCode> {
    match head {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', digits @ ..] => {
            let (digits, rest) = digits.split_at_checked(3)?;
            matches!(rest.first(), Some(b' ' | b'\r')).then(|| StatusCode::from_bytes(digits).ok())?
        }
        _ => None,
    }
}
