//! The fault of each request, and the server that carries it out.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Semaphore,
};

use super::{
    door::{Line, reset, until_closed},
    ledger::Ledger,
};
use crate::support::{
    strict::{self, Reading},
    wire::OK,
};

/// What the upstream does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// No fault: answer and keep the connection.
    Answer(Vec<u8>),
    /// Answer in full, then close the connection without announcing it.
    AnswerThenClose(Vec<u8>),
    /// Send these bytes, which may be none or half an answer, then reset.
    AnswerThenReset(Vec<u8>),
    /// Answer, and close the connection when the first byte of the next request arrives: after reading it, so that the
    /// connection ends in a FIN, or without reading it, so that it ends in a reset.
    AnswerThenCloseOnNextByte { answer: Vec<u8>, read: bool },
    /// Answer one byte at a time, each for a permit.
    Trickle(Vec<u8>, Arc<Semaphore>),
    /// Send these bytes, which may be none, and nothing more.
    Stall(Vec<u8>),
    /// Reset after reading so many bytes of the request.
    ResetAfterRequest(usize),
    /// Answer after the request head and before the body; then keep, hold or reset the connection.
    AnswerEarly(Vec<u8>, Early),
    /// Send the head, then a body of so many bytes.
    Flood(Vec<u8>, usize),
}

impl Fault {
    pub(crate) fn none() -> Self {
        Self::Answer(OK.to_vec())
    }
}

/// What follows an early answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Early {
    /// Read the body.
    Keep,
    /// Leave the body unread and the connection open.
    Hold,
    /// Leave the body unread and close, which makes the close a reset.
    Close,
}

/// Which request on which connection, both counted from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) connection: usize,
    pub(crate) request: usize,
}

/// The [`Fault`] of each request.
pub(super) type Plan = Box<dyn Fn(Turn) -> Fault + Send + Sync>;

/// Serves one connection.
pub(super) struct Host {
    pub(super) number: usize,
    pub(super) ledger: Arc<Ledger>,
    pub(super) plan: Arc<Plan>,
}

impl Host {
    pub(super) async fn serve(self, mut line: Box<dyn Line>) {
        let mut unread = Vec::new();
        for request in 0.. {
            let fault = (self.plan)(Turn { connection: self.number, request });
            if self.turn(&mut *line, &mut unread, fault).await.is_none() {
                return;
            }
        }
    }

    /// Serves one request. Returns `None` when the connection is over.
    async fn turn(&self, line: &mut dyn Line, unread: &mut Vec<u8>, fault: Fault) -> Option<()> {
        match fault {
            Fault::ResetAfterRequest(bytes) => {
                while unread.len() < bytes {
                    if !self.read(line, unread, bytes - unread.len()).await {
                        break;
                    }
                }
                self.ledger.note(unread);
                reset(line.socket());
                None
            }
            Fault::AnswerEarly(answer, early) => {
                while strict::find(unread, b"\r\n\r\n").is_none() {
                    if !self.read(line, unread, 1).await {
                        self.ledger.note(unread);
                        return None;
                    }
                }
                line.write_all(&answer).await.ok()?;
                match early {
                    Early::Keep => self.request(line, unread).await,
                    Early::Hold => {
                        self.ledger.note(unread);
                        std::future::pending().await
                    }
                    Early::Close => {
                        self.ledger.note(unread);
                        None
                    }
                }
            }
            fault => {
                self.request(line, unread).await?;
                answer(line, fault).await
            }
        }
    }

    /// Reads one request to its end and enters it.
    async fn request(&self, line: &mut dyn Line, unread: &mut Vec<u8>) -> Option<()> {
        loop {
            match strict::read(unread) {
                Reading::More => {
                    if !self.read(line, unread, 64 << 10).await {
                        self.ledger.note(unread);
                        return None;
                    }
                }
                Reading::Whole(message, used) => {
                    self.ledger.enter(message);
                    unread.drain(..used);
                    return Some(());
                }
                Reading::Ambiguous(why) => {
                    self.ledger.doubt(why);
                    self.ledger.note(unread);
                    return None;
                }
            }
        }
    }

    async fn read(&self, line: &mut dyn Line, unread: &mut Vec<u8>, most: usize) -> bool {
        let read = line.take(most as u64).read_buf(unread).await.unwrap_or(0);
        self.ledger.count(read);
        read > 0
    }
}

/// Answers a request that has been read. Returns `None` when the connection is over.
async fn answer(line: &mut dyn Line, fault: Fault) -> Option<()> {
    match fault {
        Fault::Answer(bytes) => line.write_all(&bytes).await.ok(),
        Fault::AnswerThenClose(bytes) => {
            let _ = line.write_all(&bytes).await;
            let _ = line.shutdown().await;
            until_closed(line).await;
            None
        }
        Fault::AnswerThenReset(bytes) => {
            let _ = line.write_all(&bytes).await;
            let _ = line.flush().await;
            reset(line.socket());
            None
        }
        Fault::AnswerThenCloseOnNextByte { answer, read } => {
            line.write_all(&answer).await.ok()?;
            line.flush().await.ok()?;
            if read {
                let _ = line.read(&mut [0; 1]).await;
            } else {
                let _ = line.socket().peek(&mut [0; 1]).await;
            }
            None
        }
        Fault::Trickle(bytes, permits) => {
            for byte in bytes {
                permits.acquire().await.ok()?.forget();
                line.write_all(&[byte]).await.ok()?;
                line.flush().await.ok()?;
            }
            Some(())
        }
        Fault::Stall(bytes) => {
            line.write_all(&bytes).await.ok()?;
            line.flush().await.ok()?;
            until_closed(line).await;
            None
        }
        Fault::Flood(head, bytes) => {
            line.write_all(&head).await.ok()?;
            let piece = vec![b'x'; 64 << 10];
            let mut left = bytes;
            while left > 0 {
                let some = left.min(piece.len());
                line.write_all(&piece[..some]).await.ok()?;
                left -= some;
            }
            Some(())
        }
        Fault::ResetAfterRequest(_) | Fault::AnswerEarly(..) => unreachable!("these do not wait for the request"),
    }
}
