//! An upstream that misbehaves on demand, over plain TCP or TLS, and keeps a ledger of what reached it.
//!
//! A [`Welcome`] is chosen for each connection and a [`Fault`] for each request on it, before any byte of it is read.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    identity::{Certificate, Identity},
    strict::{self, Reading},
    wire::Message,
};

/// A small answer that keeps the connection.
pub(crate) const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"code\":200}";

/// What becomes of a connection before it has said anything.
#[derive(Debug, Clone)]
pub(crate) enum Welcome {
    /// It is served.
    Serve,
    /// It is reset.
    Reset,
    /// It is closed.
    Close,
    /// It is held open, and neither read nor written; TLS does not begin.
    Silence,
    /// These bytes are sent in place of TLS or unasked, then it is closed.
    Say(Vec<u8>),
}

/// What becomes of one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// No fault: it is answered and the connection kept.
    Answer(Vec<u8>),
    /// Answered in full, then the connection is closed without a word of warning.
    AnswerThenClose(Vec<u8>),
    /// Answered with this, which may be nothing or half, then reset.
    AnswerThenReset(Vec<u8>),
    /// Answered, and the connection closed when the first byte of the next request comes: read, so that it ends in FIN,
    /// or unread, so that it ends in a reset.
    AnswerThenCloseOnNextByte { answer: Vec<u8>, read: bool },
    /// Answered one byte at a time, each for a permit.
    Trickle(Vec<u8>, Arc<Semaphore>),
    /// This much is answered, which may be nothing, and never more.
    Stall(Vec<u8>),
    /// Reset after so many bytes of the request; the rest stays unread.
    ResetAfterRequest(usize),
    /// Answered when the head has come and before the body is read; then the connection is kept, closed or reset.
    AnswerEarly(Vec<u8>, Early),
    /// The head, then as many bytes of body as given.
    Flood(Vec<u8>, usize),
}

impl Fault {
    pub(crate) fn none() -> Self {
        Self::Answer(OK.to_vec())
    }
}

/// What follows an answer that came early.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Early {
    /// The body is read.
    Keep,
    /// The body stays unread, the connection open.
    Hold,
    /// The body stays unread, which makes closing a reset.
    Close,
}

/// Which request on which connection, both counted from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) connection: usize,
    pub(crate) request: usize,
}

type Plan = Box<dyn Fn(Turn) -> Fault + Send + Sync>;
type Door = Box<dyn Fn(usize) -> Welcome + Send + Sync>;

/// What reached the upstream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Entry {
    /// How often a part of it came that shows its id.
    pub(crate) begun: usize,
    /// How often all of it came.
    pub(crate) whole: usize,
}

#[derive(Default)]
struct Ledger {
    entries: Mutex<BTreeMap<String, Entry>>,
    messages: Mutex<Vec<Message>>,
    ambiguous: Mutex<Vec<String>>,
    keep_messages: bool,
    connections: AtomicUsize,
    bytes: AtomicUsize,
}

/// Builds an [`Upstream`].
pub(crate) struct Builder {
    plan: Plan,
    door: Door,
    identity: Option<Identity>,
    keep_messages: bool,
}

/// The upstream; gone when dropped, its connections too.
pub(crate) struct Upstream {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    open: watch::Receiver<usize>,
    identity: Option<Identity>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Answers everything with 200 until told otherwise.
    pub(crate) fn builder() -> Builder {
        Builder {
            plan: Box::new(|_| Fault::none()),
            door: Box::new(|_| Welcome::Serve),
            identity: None,
            keep_messages: true,
        }
    }

    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.identity.is_some() { "https" } else { "http" }, self.address)
    }

    /// The `[upstream]` table that a sidecar before it needs.
    pub(crate) fn settings(&self) -> String {
        let trust = self.identity.as_ref().map(Identity::trust).unwrap_or_default();
        format!("[upstream]\n{trust}")
    }

    /// How much of the request of that id came.
    pub(crate) fn entry(&self, id: &str) -> Entry {
        self.ledger.entries.lock().unwrap().get(id).cloned().unwrap_or_default()
    }

    /// All ids that came, with how much of them.
    pub(crate) fn entries(&self) -> BTreeMap<String, Entry> {
        self.ledger.entries.lock().unwrap().clone()
    }

    /// Every whole request so far, taken out.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.ledger.messages.lock().unwrap())
    }

    /// Bytes of requests so far, after TLS.
    pub(crate) fn bytes(&self) -> usize {
        self.ledger.bytes.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.ledger.connections.load(Ordering::SeqCst)
    }

    /// What came that two readers could read in two ways.
    pub(crate) fn ambiguous(&self) -> Vec<String> {
        self.ledger.ambiguous.lock().unwrap().clone()
    }

    /// Connections open at this moment.
    pub(crate) fn open(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until as few connections are open.
    pub(crate) async fn until_open_at_most(&self, count: usize) {
        self.open.clone().wait_for(|open| *open <= count).await.unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Builder {
    /// What becomes of each request.
    pub(crate) fn plan(mut self, plan: impl Fn(Turn) -> Fault + Send + Sync + 'static) -> Self {
        self.plan = Box::new(plan);
        self
    }

    /// What becomes of each connection, counted from 0.
    pub(crate) fn door(mut self, door: impl Fn(usize) -> Welcome + Send + Sync + 'static) -> Self {
        self.door = Box::new(door);
        self
    }

    /// Speaks TLS and HTTP/1.1.
    pub(crate) fn tls(mut self, certificate: Certificate) -> Self {
        self.identity = Some(Identity::new(certificate, &["http/1.1"]));
        self
    }

    /// Counts requests and does not keep them, for long runs.
    pub(crate) fn forgetful(mut self) -> Self {
        self.keep_messages = false;
        self
    }

    pub(crate) async fn start(self) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::new(Ledger { keep_messages: self.keep_messages, ..Ledger::default() });
        let (counter, count) = watch::channel(0);
        let acceptor = self.identity.as_ref().map(|identity| TlsAcceptor::from(Arc::clone(&identity.server)));
        let (plan, door, kept) = (Arc::new(self.plan), self.door, Arc::clone(&ledger));
        let task = tokio::spawn(async move {
            // Owned here, so that aborting this task ends the connections too.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = kept.connections.fetch_add(1, Ordering::SeqCst);
                let host = Host { number, ledger: Arc::clone(&kept), plan: Arc::clone(&plan) };
                let (welcome, tls, open) = (door(number), acceptor.clone(), Counted::new(counter.clone()));
                connections.spawn(async move {
                    host.receive(stream, welcome, tls).await;
                    drop(open);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Upstream { address, ledger, open: count, identity: self.identity, task }
    }
}

/// One more open connection for as long as it lives.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(counter: watch::Sender<usize>) -> Self {
        counter.send_modify(|open| *open += 1);
        Self(counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// A connection that can be reset.
trait Line: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
}

impl Line for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Line for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Makes the coming close a reset.
fn reset(socket: &TcpStream) {
    socket.set_zero_linger().unwrap();
}

/// Serves one connection.
struct Host {
    number: usize,
    ledger: Arc<Ledger>,
    plan: Arc<Plan>,
}

impl Host {
    async fn receive(self, mut stream: TcpStream, welcome: Welcome, acceptor: Option<TlsAcceptor>) {
        let _ = stream.set_nodelay(true);
        match welcome {
            Welcome::Serve => {}
            Welcome::Reset => return reset(&stream),
            Welcome::Close => return,
            Welcome::Silence => return std::future::pending().await,
            Welcome::Say(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return until_closed(&mut stream).await;
            }
        }
        match acceptor {
            None => self.serve(Box::new(stream)).await,
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.serve(Box::new(stream)).await;
                }
            }
        }
    }

    async fn serve(self, mut line: Box<dyn Line>) {
        let mut unread = Vec::new();
        for request in 0.. {
            let fault = (self.plan)(Turn { connection: self.number, request });
            if self.turn(&mut *line, &mut unread, fault).await.is_none() {
                return;
            }
        }
    }

    /// One request and its fate. `None` when the connection is over.
    async fn turn(&self, line: &mut dyn Line, unread: &mut Vec<u8>, fault: Fault) -> Option<()> {
        match fault {
            Fault::ResetAfterRequest(bytes) => {
                while unread.len() < bytes {
                    if !self.read(line, unread, bytes - unread.len()).await {
                        break;
                    }
                }
                self.note(unread);
                reset(line.socket());
                None
            }
            Fault::AnswerEarly(answer, early) => {
                while strict::find(unread, b"\r\n\r\n").is_none() {
                    if !self.read(line, unread, 1).await {
                        self.note(unread);
                        return None;
                    }
                }
                line.write_all(&answer).await.ok()?;
                match early {
                    Early::Keep => self.request(line, unread).await,
                    Early::Hold => {
                        self.note(unread);
                        std::future::pending().await
                    }
                    Early::Close => {
                        self.note(unread);
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
                        self.note(unread);
                        return None;
                    }
                }
                Reading::Whole(message, used) => {
                    let id = message.value("x-request-id").unwrap_or_default().to_owned();
                    let mut entries = self.ledger.entries.lock().unwrap();
                    let entry = entries.entry(id).or_default();
                    entry.begun += 1;
                    entry.whole += 1;
                    drop(entries);
                    if self.ledger.keep_messages {
                        self.ledger.messages.lock().unwrap().push(message);
                    }
                    unread.drain(..used);
                    return Some(());
                }
                Reading::Ambiguous(why) => {
                    self.ledger.ambiguous.lock().unwrap().push(why);
                    self.note(unread);
                    return None;
                }
            }
        }
    }

    async fn read(&self, line: &mut dyn Line, unread: &mut Vec<u8>, most: usize) -> bool {
        let read = line.take(most as u64).read_buf(unread).await.unwrap_or(0);
        self.ledger.bytes.fetch_add(read, Ordering::SeqCst);
        read > 0
    }

    /// Enters a request of which not all has come; if all has come without being waited for, that too.
    fn note(&self, unread: &[u8]) {
        let Some(id) = strict::request_id(unread) else { return };
        let mut entries = self.ledger.entries.lock().unwrap();
        let entry = entries.entry(id).or_default();
        entry.begun += 1;
        if matches!(strict::read(unread), Reading::Whole(..)) {
            entry.whole += 1;
        }
    }
}

/// Answers a request that has been read. `None` when the connection is over.
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
            // Until the other side gives up.
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

async fn until_closed(line: &mut (impl AsyncRead + Unpin + ?Sized)) {
    let mut rest = [0; 1024];
    while line.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

/// The origin of a port that nobody listens on.
pub(crate) async fn closed_origin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Longer than anything may take in a test that waits for an event; reaching it is a hang.
pub(crate) const HANG: Duration = Duration::from_secs(30);
