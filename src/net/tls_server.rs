//! TLS on a listener. On the signing listener, callers from other pods must present a certificate of the configured authority. On the
//! webhook listener no client certificate is needed.
//!
//! Certificates are renewed every few weeks or days, without a restart of the gateway: [`TlsServer::subject`] reads the files again. Open
//! connections stay open. Unusable files change nothing.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate,
    tls::{self, TlsError, trouble},
};
use crate::{
    clock::SystemClock,
    config::{CertificateFiles, ListenTls},
    files::{Fingerprint, Subject, steady},
    metrics::{Certificates, Metrics},
    policy::Caller,
};

/// The minimum interval between two log lines about failed handshakes, so that a port scan does not fill the log.
const WARNING: Duration = Duration::from_secs(10);

/// How long, and how many bytes, a rejected client may still send.
const LINGER: Duration = Duration::from_secs(1);
const LINGERING: u64 = 64 * 1024;

/// The files of one listener.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    /// The configuration table that names them.
    table: &'static str,
    /// Its name in the metrics.
    label: Certificates,
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Those of the signing listener.
    pub(crate) fn listen(tls: &ListenTls) -> Self {
        Self {
            table: "listen.tls",
            label: Certificates::Listener,
            certificate: tls.certificate_file.clone(),
            key: tls.key_file.clone(),
            client_ca: Some(tls.client_ca_file.clone()),
        }
    }

    /// Those of the webhook listener.
    pub(crate) fn webhook(tls: &CertificateFiles) -> Self {
        Self {
            table: "webhook.tls",
            label: Certificates::Webhook,
            certificate: tls.certificate_file.clone(),
            key: tls.key_file.clone(),
            client_ca: None,
        }
    }
}

/// The server's side of TLS.
pub(crate) struct TlsServer {
    files: TlsFiles,
    metrics: Metrics,
    settings: ArcSwap<ServerConfig>,
    /// The content of the files at the last reading.
    read_at: Fingerprint,
    state: Mutex<State>,
}

struct State {
    failed: u64,
    warned: Option<Instant>,
}

impl TlsServer {
    /// Reads the files.
    pub(crate) fn load(files: TlsFiles, metrics: &Metrics) -> Result<Self, TlsError> {
        let (read_at, settings) = steady(&paths(&files), || settings(&files));
        Ok(Self {
            files,
            metrics: metrics.clone(),
            settings: ArcSwap::new(settings?),
            read_at,
            state: Mutex::new(State { failed: 0, warned: None }),
        })
    }

    /// The files to watch; new connections use their new content.
    pub(crate) fn subject(self: &Arc<Self>) -> Subject {
        let this = Arc::clone(self);
        Subject::new(paths(&self.files), self.read_at.clone(), move || {
            let (this, read) = (Arc::clone(&this), settings(&this.files));
            Box::new(move || {
                let (files, count) = (this.files.table, |ok| this.metrics.certificates_reloaded(this.files.label, ok));
                match read {
                    Ok(settings) => {
                        this.settings.store(settings);
                        count(true);
                        tracing::info!(files, "certificates of the listener reloaded");
                    }
                    Err(error) => {
                        count(false);
                        tracing::error!(files, %error, "certificates of the listener cannot be used; the old ones stay in use");
                    }
                }
            })
        })
    }

    /// Completes the handshake within `limit`. A failed one is counted and logged, and the client receives an alert.
    pub(super) async fn accept(
        self: &Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        limit: Duration,
    ) -> Option<(TlsStream<TcpStream>, Caller)> {
        let handshake = async { TlsAcceptor::from(self.settings.load_full()).accept(stream).into_fallible().await };
        match timeout(limit, handshake).await {
            Ok(Ok(stream)) => {
                if self.files.client_ca.is_none() {
                    return Some((stream, Caller::Tcp(address)));
                }
                // The verifier accepts no handshake without a certificate.
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let name = certificate.and_then(certificate::name);
                Some((stream, Caller::Certificate { name, address }))
            }
            Ok(Err((error, stream))) => {
                self.handshake_failed(address, &error);
                let _ = timeout(LINGER, close_after_alert(stream)).await;
                None
            }
            Err(_) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "not done in time (timeouts.request_head)");
                self.handshake_failed(address, &late);
                None
            }
        }
    }

    fn handshake_failed(&self, address: SocketAddr, error: &io::Error) {
        let error = trouble::with_caller(error);
        self.metrics.handshake_failed();
        let peer = address.ip().to_string();
        tracing::debug!(peer, error, "TLS handshake failed");
        let mut state = self.state();
        state.failed += 1;
        if state.warned.is_none_or(|warned| warned.elapsed() >= WARNING) {
            let failed = std::mem::take(&mut state.failed);
            state.warned = Some(Instant::now());
            drop(state);
            tracing::warn!(failed, peer, error, "TLS handshakes failed");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes after an alert. With TLS 1.3 a client sends its request before it receives the rejection of its certificate. An unread request
/// would reset the connection, and the alert would be lost.
async fn close_after_alert(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGERING), &mut tokio::io::sink()).await?;
    Ok(())
}

fn settings(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let at = |key: &str| format!("{}.{key}", files.table);
    let chain = tls::certificates(&at("certificate_file"), &files.certificate)?;
    let key = tls::private_key(&at("key_file"), &files.key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = match &files.client_ca {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => client_verifier(&at("client_ca_file"), path, &provider)?,
    };
    let mut settings = ServerConfig::builder_with_details(provider, Arc::new(SystemClock))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::ListenCertificate(files.table, tls::unfit(&error)))?;
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    // In a resumed session the client does not present its certificate again, although it may have expired.
    settings.session_storage = Arc::new(NoServerSessionStorage {});
    settings.send_tls13_tickets = 0;
    Ok(Arc::new(settings))
}

fn client_verifier(
    key: &str,
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refused = |cause: String| tls::bad(key, path, cause);
    let mut authorities = RootCertStore::empty();
    for certificate in tls::certificates(key, path)? {
        authorities.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(provider))
        .build()
        .map_err(|error| refused(error.to_string()))
}

fn paths(files: &TlsFiles) -> Vec<PathBuf> {
    [&files.certificate, &files.key].into_iter().chain(&files.client_ca).cloned().collect()
}
