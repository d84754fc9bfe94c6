//! A certificate authority, a TLS server and an egress proxy, over real sockets.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::support::wire::read_message;

/// An authority for one test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// With that name: two authorities of the same name look like one with a wrong signature.
    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `names`, changed by `change`, and its key.
    pub(super) fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Issued { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }
}

pub(super) struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Issued {
    /// A self-signed certificate for `names`, changed by `change`.
    pub(super) fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    pub(super) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.certificate.der().clone()], PrivateKeyDer::Pkcs8(self.key.serialize_der().into()))
    }
}

/// How a TLS server behaves.
pub(super) struct Manner<'a> {
    pub(super) versions: &'static [&'static SupportedProtocolVersion],
    pub(super) alpn: &'static [&'static [u8]],
    /// Requests a client certificate of this authority.
    pub(super) clients: Option<&'a Authority>,
}

impl Default for Manner<'_> {
    fn default() -> Self {
        Self { versions: rustls::DEFAULT_VERSIONS, alpn: &[b"http/1.1"], clients: None }
    }
}

/// A TLS server that answers every HTTP/1.1 request with 200 and counts the decrypted bytes.
pub(super) struct TlsServer {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<String>>>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    task: JoinHandle<()>,
}

impl Manner<'_> {
    fn config(&self, issued: &Issued) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(self.versions).unwrap();
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (chain, key) = issued.chain();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

/// An origin that reads nothing after the client's first flight until the request has arrived, and then ends the handshake.
/// Returns its handshake error.
pub(super) async fn reject_after_the_request(
    listener: TcpListener,
    issued: Issued,
    manner: Manner<'_>,
) -> rustls::Error {
    let mut session = rustls::ServerConnection::new(manner.config(&issued)).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    loop {
        let mut bytes = Vec::new();
        stream.read_buf(&mut bytes).await.unwrap();
        session.read_tls(&mut &bytes[..]).unwrap();
        let processed = session.process_new_packets();
        let mut flight = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut flight).unwrap();
        }
        stream.write_all(&flight).await.unwrap();
        if let Err(error) = processed {
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
            return error;
        }
        // The second flight of a client without a certificate is far smaller, and a signature alone is larger than the rest.
        while !flight.is_empty() && stream.peek(&mut [0; 1024]).await.unwrap() < 600 {
            tokio::task::yield_now().await;
        }
    }
}

/// An origin that answers one request with these bytes and closes: with `close_notify`, or with a FIN alone.
pub(super) async fn answer_and_close(listener: TcpListener, issued: Issued, answer: &[u8], notify: bool) {
    let acceptor = TlsAcceptor::from(Manner::default().config(&issued));
    let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
    read_message(&mut stream, false).await.unwrap();
    stream.write_all(answer).await.unwrap();
    stream.flush().await.unwrap();
    if notify {
        stream.shutdown().await.unwrap();
    } else {
        stream.get_mut().0.shutdown().await.unwrap();
    }
    let _ = stream.get_mut().0.read_to_end(&mut Vec::new()).await;
}

impl TlsServer {
    pub(super) async fn start(issued: &Issued, manner: Manner<'_>) -> Self {
        let config = Arc::new(Mutex::new(manner.config(issued)));
        let current = Arc::clone(&config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&arrived);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, seen) = (TlsAcceptor::from(Arc::clone(&*current.lock().unwrap())), Arc::clone(&seen));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    while let Some(message) = read_message(&mut stream, false).await {
                        seen.lock().unwrap().push(message.start_line().to_owned());
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
                    }
                });
            }
        });
        Self { address, arrived, config, task }
    }

    /// Presents another certificate on new connections, and has other demands.
    pub(super) fn changes_to(&self, issued: &Issued, manner: &Manner<'_>) {
        *self.config.lock().unwrap() = manner.config(issued);
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The request lines that arrived.
    pub(super) fn arrived(&self) -> Vec<String> {
        self.arrived.lock().unwrap().clone()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a proxy answers CONNECT.
#[derive(Clone, Copy)]
pub(super) enum Gate {
    /// Connects to the requested target.
    Open,
    /// Answers with these bytes and closes.
    Says(&'static str),
    /// Sends nothing.
    Silent,
}

/// An egress proxy that records the head of each CONNECT request.
pub(super) struct ProxyServer {
    pub(super) address: SocketAddr,
    heads: Mutex<mpsc::UnboundedReceiver<String>>,
    task: JoinHandle<()>,
}

impl ProxyServer {
    pub(super) async fn start(gate: Gate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heads) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(stream, gate, sender.clone()));
            }
        });
        Self { address, heads: Mutex::new(heads), task }
    }

    /// Removes and returns the recorded heads.
    pub(super) fn heads(&self) -> Vec<String> {
        let mut heads = self.heads.lock().unwrap();
        std::iter::from_fn(|| heads.try_recv().ok()).collect()
    }
}

impl Drop for ProxyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut stream: TcpStream, gate: Gate, heads: mpsc::UnboundedSender<String>) {
    let Some(message) = read_message(&mut stream, true).await else { return };
    let target = message.start_line().split(' ').nth(1).unwrap().to_owned();
    heads.send(message.head).unwrap();
    match gate {
        Gate::Open => {
            let mut origin = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 double\r\n\r\n").await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut origin).await;
        }
        Gate::Says(bytes) => {
            stream.write_all(bytes.as_bytes()).await.unwrap();
        }
        Gate::Silent => {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}
