//! A service that calls the sidecar and classifies every answer.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{patience::HANG, strict::find, wire::Message};

/// The answer of one request, as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The sidecar's own answer, in the error contract.
    Rejected { status: u16, code: String, sent: String },
    /// The upstream's answer; `whole` if it reached its announced end.
    Forwarded { status: u16, whole: bool, body: Vec<u8> },
    /// An empty answer of the HTTP library: neither in the contract nor from the upstream.
    Bare { status: u16 },
    /// The connection closed before a whole head.
    Closed,
    /// No answer within [`HANG`].
    Hung,
}

impl Outcome {
    /// The form in the tables.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Rejected { status, code, sent } => format!("{status} {code} {sent}"),
            Self::Forwarded { status, whole: true, .. } => format!("{status} whole"),
            Self::Forwarded { status, whole: false, .. } => format!("{status} cut"),
            Self::Bare { status } => format!("{status} bare"),
            Self::Closed => "closed".to_owned(),
            Self::Hung => "HUNG".to_owned(),
        }
    }

    /// `X-Wonder-Signer-Sent`, if the answer is the sidecar's own.
    pub(crate) fn sent(&self) -> Option<&str> {
        match self {
            Self::Rejected { sent, .. } => Some(sent),
            _ => None,
        }
    }
}

/// One connection to the sidecar.
pub(crate) struct Caller<S = TcpStream> {
    stream: S,
    unread: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends a request and reads its answer. The sidecar may stop reading at any point.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Outcome {
        let head_only = request.starts_with(b"HEAD ");
        // Concurrently, because an answer may arrive before the sidecar has read the whole request.
        let (mut reading, mut writing) = tokio::io::split(&mut self.stream);
        let unread = &mut self.unread;
        let answer = tokio::time::timeout(HANG, async {
            tokio::pin! {
                let answer = read(&mut reading, unread, head_only);
                let sending = send(&mut writing, request);
            }
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                _ = &mut sending => answer.await,
            }
        });
        answer.await.unwrap_or(Outcome::Hung)
    }

    /// Reads one more answer.
    pub(crate) async fn next(&mut self) -> Outcome {
        let answer = tokio::time::timeout(HANG, read(&mut self.stream, &mut self.unread, false));
        answer.await.unwrap_or(Outcome::Hung)
    }
}

/// One request over a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: &[u8]) -> Outcome {
    Caller::connect(address).await.ask(request).await
}

/// Writes and flushes, because TLS may buffer bytes until a flush.
async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn read(stream: &mut (impl AsyncRead + Unpin), unread: &mut Vec<u8>, head_only: bool) -> Outcome {
    let mut more = async |unread: &mut Vec<u8>| stream.read_buf(unread).await.is_ok_and(|read| read > 0);
    let end = loop {
        match find(unread, b"\r\n\r\n") {
            Some(end) => break end + 4,
            None if more(unread).await => {}
            None => return Outcome::Closed,
        }
    };
    let head = String::from_utf8_lossy(&unread[..end]).into_owned();
    unread.drain(..end);
    let mut message = Message { head, body: Vec::new() };
    let mut whole = true;
    let status = message.status();
    if head_only || (100..200).contains(&status) || status == 204 || status == 304 {
    } else if let Some(length) = message.value("content-length").map(|length| length.parse::<usize>().unwrap()) {
        while unread.len() < length && whole {
            whole = more(unread).await;
        }
        message.body = unread.drain(..length.min(unread.len())).collect();
    } else if message.value("transfer-encoding").is_some() {
        loop {
            let Some(end) = find(unread, b"\r\n") else {
                if more(unread).await {
                    continue;
                }
                whole = false;
                break;
            };
            let size = usize::from_str_radix(std::str::from_utf8(&unread[..end]).unwrap(), 16).unwrap();
            let all = end + 2 + size + 2;
            while unread.len() < all && whole {
                whole = more(unread).await;
            }
            if !whole {
                break;
            }
            message.body.extend_from_slice(&unread[end + 2..end + 2 + size]);
            unread.drain(..all);
            if size == 0 {
                break;
            }
        }
    } else {
        while more(unread).await {}
        message.body = std::mem::take(unread);
    }
    classify(&message, whole)
}

fn classify(message: &Message, whole: bool) -> Outcome {
    let status = message.status();
    if message.value("x-wonder-signer-error").is_some() {
        if message.body.is_empty() {
            // The answer to HEAD has the contract in its headers alone.
            let value = |name: &str| message.value(name).unwrap().to_owned();
            return Outcome::Rejected {
                status,
                code: value("x-wonder-signer-error"),
                sent: value("x-wonder-signer-sent"),
            };
        }
        let (status, code, sent) = message.contract();
        Outcome::Rejected { status, code, sent }
    } else if message.value("x-request-id").is_some() {
        Outcome::Forwarded { status, whole, body: message.body.clone() }
    } else {
        Outcome::Bare { status }
    }
}
