//! Connections, and the server that answers for the application and for Wonder.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

/// A kept connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request and returns the status of its answer.
    pub fn exchange(&mut self, message: &[u8]) -> u16 {
        self.0.get_mut().write_all(message).unwrap();
        let (start, length) = head(&mut self.0).expect("an answer");
        std::io::copy(&mut self.0.by_ref().take(length), &mut std::io::sink()).unwrap();
        start.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// The first line of a message, and the length of its body; none at the end of the connection.
fn head(reader: &mut impl std::io::BufRead) -> Option<(String, u64)> {
    let (mut start, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if start.is_empty() {
            line.clone_into(&mut start);
        } else if line.is_empty() {
            return Some((start, length));
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
}

/// A server that answers every request with 200: the application, and Wonder.
pub fn answering() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                while let Some((_, length)) = head(&mut reader) {
                    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).unwrap();
                    if reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
