//! An HTTP/2 origin that a test drives frame by frame.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    frames::{ACK, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame, read_frame},
    patience::soon,
};

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
/// The last stream of a GOAWAY that covers all streams.
pub(crate) const ALL: u32 = 0x7fff_ffff;

const MAX_CONCURRENT_STREAMS: u16 = 3;

/// Accepts connections.
pub(crate) struct Origin(TcpListener);

/// One connection.
pub(crate) struct Peer(TcpStream);

impl Origin {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// The next connection, after its preface has been read; sends no SETTINGS.
    pub(crate) async fn silent(&self) -> Peer {
        let (mut stream, _) = soon(self.0.accept()).await.unwrap();
        let mut preface = [0; 24];
        soon(stream.read_exact(&mut preface)).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Peer(stream)
    }

    /// The next connection, with a limit of concurrent streams, or none.
    pub(crate) async fn accept(&self, streams: Option<u32>) -> Peer {
        let mut peer = self.silent().await;
        peer.allow(streams).await;
        peer
    }
}

impl Peer {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn allow(&mut self, streams: Option<u32>) {
        let setting =
            streams.map(|streams| [&MAX_CONCURRENT_STREAMS.to_be_bytes()[..], &streams.to_be_bytes()].concat());
        self.write(&frame(SETTINGS, 0, 0, &setting.unwrap_or_default())).await;
    }

    /// The id of the next whole request, or `None` at the connection's end.
    pub(crate) async fn request(&mut self) -> Option<u32> {
        loop {
            let frame = soon(read_frame(&mut self.0)).await?;
            assert!(frame.kind != RST_STREAM, "a request was cancelled");
            if frame.stream > 0 && frame.flags & END_STREAM != 0 {
                return Some(frame.stream);
            }
        }
    }

    /// The ids of the next `count` requests.
    pub(crate) async fn requests<const COUNT: usize>(&mut self) -> [u32; COUNT] {
        let mut ids = [0; COUNT];
        for id in &mut ids {
            *id = self.request().await.unwrap();
        }
        ids
    }

    /// Reads up to the acknowledgement of our SETTINGS; no request may arrive before it.
    pub(crate) async fn acknowledged(&mut self) {
        loop {
            let frame = soon(read_frame(&mut self.0)).await.unwrap();
            assert!(frame.kind != HEADERS, "a request was written");
            if frame.kind == SETTINGS && frame.flags & ACK != 0 {
                return;
            }
        }
    }

    /// The head of an answer, with status 200.
    pub(crate) async fn head(&mut self, stream: u32, flags: u8) {
        self.write(&frame(HEADERS, END_HEADERS | flags, stream, &[0x88])).await;
    }

    /// An empty answer with status 200.
    pub(crate) async fn answer(&mut self, stream: u32) {
        self.head(stream, END_STREAM).await;
    }

    /// An interim answer, 103.
    pub(crate) async fn early_hints(&mut self, stream: u32) {
        self.write(&frame(HEADERS, END_HEADERS, stream, b"\x08\x03103")).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: u32) {
        self.write(&frame(RST_STREAM, 0, stream, &code.to_be_bytes())).await;
    }

    pub(crate) async fn goaway(&mut self, last: u32, code: u32) {
        self.write(&frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())).await;
    }
}
