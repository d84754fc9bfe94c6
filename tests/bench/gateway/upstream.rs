//! The upstream: TLS with a certificate of its own, keep-alive, a small answer to every request. It verifies signatures when switched
//! on.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wonder_signer::signing::{Credential, Nonce, SigningKey, Stamp, verify};

use super::key;

const ANSWER: &[u8] = br#"{"code":200,"message":"","request_id":"","data":{"customer":{"id":"0123456789abcdef"}}}"#;

pub struct Upstream {
    port: u16,
    connections: Arc<AtomicU64>,
    inspector: Arc<Inspector>,
    directory: tempfile::TempDir,
}

impl Upstream {
    /// Starts it on a thread of its own on the processor of the load. `pem` is the key that signs the requests.
    pub fn start(h2: bool, pem: &str, takes: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        fs::write(directory.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = if h2 { vec![b"h2".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicU64::new(0));
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        let inspector = Arc::new(Inspector { key, on: AtomicBool::new(false), last: Mutex::new(None), takes });
        let (counted, inspects) = (Arc::clone(&connections), Arc::clone(&inspector));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, TlsAcceptor::from(Arc::new(tls)), &counted, &inspects));
        });
        Self { port, connections, inspector, directory }
    }

    pub fn origin(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn ca_file(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    /// A directory for files that are removed with the upstream.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Switches between rejecting wrongly signed requests and accepting every request.
    pub fn verifies(&self, on: bool) {
        self.inspector.on.store(on, Ordering::SeqCst);
    }

    /// How many connections have been opened so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, connections: &AtomicU64, inspector: &Arc<Inspector>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::Relaxed);
        stream.set_nodelay(true).unwrap();
        let (tls, inspector) = (tls.clone(), Arc::clone(inspector));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let server = auto::Builder::new(TokioExecutor::new());
            let service = service_fn(move |request| answer(request, Arc::clone(&inspector)));
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, inspector: Arc<Inspector>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let mut response = Response::new(Full::from(ANSWER));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if inspector.on.load(Ordering::SeqCst) {
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        if let Err(error) = inspector.check(&head, &body) {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            *response.body_mut() = Full::from(format!("{error:#}"));
        }
    } else {
        while let Some(Ok(_)) = body.frame().await {}
        if !inspector.takes.is_zero() {
            tokio::time::sleep(inspector.takes).await;
        }
    }
    Ok(response)
}

/// Verifies signatures as Wonder does, with the product's own [`verify`].
struct Inspector {
    key: SigningKey,
    on: AtomicBool,
    last: Mutex<Option<Nonce>>,
    /// The delay of an answer while signatures are not verified.
    takes: Duration,
}

impl Inspector {
    fn check(&self, head: &Parts, body: &[u8]) -> anyhow::Result<()> {
        let header = |name: &'static str| anyhow::Ok(head.headers.get(name).context(name)?.to_str()?);
        let credential: Credential = header("credential")?.parse()?;
        let stamp = Stamp { request_time: credential.request_time, nonce: header("nonce")?.parse()? };
        let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
        ensure!(credential.app_id.as_str() == key::APP_ID, "another AppID");
        ensure!(stamp.request_time.unix_seconds().abs_diff(now) < 5, "another time");
        ensure!(self.last.lock().unwrap().replace(stamp.nonce) != Some(stamp.nonce), "the same nonce");
        let target = head.uri.path_and_query().context("no target")?.as_str();
        verify(self.key.verifying_key(), &stamp, head.method.as_str(), target, &[body], header("signature")?)?;
        Ok(())
    }
}
