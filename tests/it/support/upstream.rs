//! An upstream that records each request byte for byte, and answers from a script.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use super::{
    patience::soon,
    wire::{Message, OK, read_message},
};

/// The answer to one request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Write these bytes and keep the connection.
    Answer(Vec<u8>),
    /// As [`ok`](Self::ok), after a permit.
    Hold(Arc<Semaphore>),
    /// Write these bytes, which may be none, and close.
    AnswerAndClose(Vec<u8>),
    /// Write these bytes, which may be none, and nothing more.
    Stall(Vec<u8>),
}

impl Act {
    /// A small answer with status 200.
    pub(crate) fn ok() -> Self {
        Self::Answer(OK.to_vec())
    }
}

/// A plain HTTP/1.1 upstream.
pub(crate) struct Recorder {
    address: SocketAddr,
    requests: Mutex<mpsc::UnboundedReceiver<Message>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Answers every request with 200.
    pub(crate) async fn start() -> Self {
        Self::acting(|_| Act::ok()).await
    }

    /// Answers every request with 200 after a permit for it.
    pub(crate) async fn holding() -> (Self, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&permits);
        (Self::acting(move |_| Act::Hold(Arc::clone(&held))).await, permits)
    }

    /// Answers each request with the result of `act`, which is called with the number of earlier requests.
    pub(crate) async fn acting(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), act)
    }

    /// As [`acting`](Self::acting), on this listener.
    pub(crate) fn on(listener: TcpListener, act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        Self::with(listener, move |number, _| act(number))
    }

    /// Answers each request with the result of `act`, which is called with the request.
    pub(crate) async fn judging(act: impl Fn(&Message) -> Act + Send + Sync + 'static) -> Self {
        Self::with(TcpListener::bind("127.0.0.1:0").await.unwrap(), move |_, request| act(request))
    }

    fn with(listener: TcpListener, act: impl Fn(usize, &Message) -> Act + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let connections = Arc::new(Mutex::new(0));
        let (act, seen, counted) = (Arc::new(act), Arc::new(Mutex::new(0)), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *counted.lock().unwrap() += 1;
                tokio::spawn(serve(stream, sender.clone(), Arc::clone(&act), Arc::clone(&seen)));
            }
        });
        Self { address, requests: Mutex::new(requests), connections, task }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next request.
    #[track_caller]
    pub(crate) fn next(&self) -> impl Future<Output = Message> {
        let next = soon(std::future::poll_fn(|cx| self.requests.lock().unwrap().poll_recv(cx)));
        async { next.await.unwrap() }
    }

    /// How many requests have arrived that [`next`](Self::next) has not returned yet.
    pub(crate) fn waiting(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    sender: mpsc::UnboundedSender<Message>,
    act: Arc<impl Fn(usize, &Message) -> Act>,
    seen: Arc<Mutex<usize>>,
) {
    while let Some(request) = read_message(&mut stream, false).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            *seen += 1;
            *seen - 1
        };
        let act = act(number, &request);
        let _ = sender.send(request);
        match act {
            Act::Answer(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Hold(permits) => {
                permits.acquire().await.unwrap().forget();
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
            Act::AnswerAndClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Act::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
        }
    }
}
