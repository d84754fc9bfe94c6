//! Bytes on a socket, and a minimal HTTP/1 reader for them.

use std::fmt::Write as _;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::patience::soon;

/// A small answer that keeps the connection.
pub(crate) const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"code\":200}";

/// One HTTP/1 message, split at its empty line. The head keeps its line ends.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn start_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Values of a header, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match self.values(name)[..] {
            [] => None,
            [value] => Some(value),
            _ => panic!("more than one {name} in {}", self.head),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.start_line().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status, error code and `sent` of an answer in the contract. Asserts that headers and body agree.
    pub(crate) fn contract(&self) -> (u16, String, String) {
        let code = self.value("x-wonder-signer-error").unwrap_or_else(|| panic!("no contract: {self:?}"));
        let sent = self.value("x-wonder-signer-sent").unwrap();
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["code"], format!("SIGNER_{}", code.to_uppercase()));
        assert_eq!(body["sent"], sent);
        assert_eq!(body["request_id"], self.value("x-request-id").unwrap());
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
        (self.status(), code.to_owned(), sent.to_owned())
    }
}

/// Reads one message whose body has a `Content-Length`, is chunked (decoded here), or has none. `None` at the end.
pub(crate) async fn read_message(stream: &mut (impl AsyncRead + Unpin), head_only: bool) -> Option<Message> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let mut message = Message { head: String::from_utf8_lossy(&head).into_owned(), body: Vec::new() };
    if head_only {
        return Some(message);
    }
    if let Some(length) = message.value("content-length").map(|length| length.parse::<usize>().unwrap()) {
        message.body = vec![0; length];
        stream.read_exact(&mut message.body).await.ok()?;
    } else if message.value("transfer-encoding") == Some("chunked") {
        loop {
            let size = read_line(stream).await?;
            let size = usize::from_str_radix(size.split(';').next().unwrap().trim(), 16).unwrap();
            let mut chunk = vec![0; size];
            stream.read_exact(&mut chunk).await.ok()?;
            read_line(stream).await?;
            if size == 0 {
                break;
            }
            message.body.extend(chunk);
        }
    }
    Some(message)
}

async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return None;
        }
        line.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Sends `bytes` over a new connection and reads one answer.
pub(crate) async fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> Message {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // An early answer may have arrived although the write fails.
    let _ = stream.write_all(bytes).await;
    let head_only = bytes.starts_with(b"HEAD ");
    soon(read_message(&mut stream, head_only)).await.expect("an answer")
}

/// A request in plain text with the headers that every client sends, body included.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}
