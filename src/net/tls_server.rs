//! TLS on the signing listener, for callers from other pods: each must show a certificate of the configured authority.
//!
//! The files are looked at again when somebody calls, at most once a second: certificates are renewed every few weeks or days, and
//! a gateway must not have to restart for that. Whoever is connected stays so. What cannot be used changes nothing.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate,
    clock::Clock,
    tls::{self, TlsError, trouble},
};
use crate::{config::ListenTls, metrics::Metrics, policy::Caller};

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// How often failed handshakes are worth a warning: a port scan should not fill the log.
const WARNING: Duration = Duration::from_secs(10);

/// How long, and for how many bytes, a refused client may still send.
const LINGER: Duration = Duration::from_secs(1);
const LINGERING: u64 = 64 * 1024;

/// The server's side of TLS.
pub struct TlsServer {
    files: ListenTls,
    metrics: Metrics,
    state: Mutex<State>,
}

struct State {
    settings: Arc<ServerConfig>,
    /// What the files looked like before they were last read.
    stamps: Stamps,
    /// None while a thread looks.
    looked: Option<Instant>,
    failed: u64,
    warned: Option<Instant>,
}

impl TlsServer {
    /// Reads the files.
    pub fn load(files: &ListenTls, metrics: &Metrics) -> Result<Self, TlsError> {
        // The stamps come first: what changes while it is read is then read again.
        let stamps = stamps(files);
        let settings = settings(files)?;
        let state = State { settings, stamps, looked: Some(Instant::now()), failed: 0, warned: None };
        Ok(Self { files: files.clone(), metrics: metrics.clone(), state: Mutex::new(state) })
    }

    /// Completes the handshake within `limit`. One that fails is counted and logged here, and the client receives an alert.
    pub(super) async fn accept(
        self: &Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        limit: Duration,
    ) -> Option<(TlsStream<TcpStream>, Caller)> {
        let handshake = async { TlsAcceptor::from(self.settings().await).accept(stream).into_fallible().await };
        match timeout(limit, handshake).await {
            Ok(Ok(stream)) => {
                // The verifier accepts no handshake without a certificate.
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let name = certificate.and_then(certificate::name);
                Some((stream, Caller::Certificate { name, address }))
            }
            Ok(Err((error, stream))) => {
                self.handshake_failed(address, &error);
                let _ = timeout(LINGER, part(stream)).await;
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

    /// The settings in force. The file system may be slow, so a thread reads the files; not one of the runtime's, which panics where the
    /// system gives it none.
    async fn settings(self: &Arc<Self>) -> Arc<ServerConfig> {
        if self.is_time_to_look() {
            let (this, (done, looked)) = (Arc::clone(self), oneshot::channel());
            let thread = thread::Builder::new().name("certificates".to_owned()).spawn(move || {
                this.look();
                this.state().looked = Some(Instant::now());
                let _ = done.send(());
            });
            match thread {
                Ok(_) => drop(looked.await),
                Err(error) => {
                    self.state().looked = Some(Instant::now());
                    tracing::warn!(
                        %error,
                        "no thread to read the listener's certificates again: raise the limit of processes (nproc, podPidsLimit)"
                    );
                }
            }
        }
        Arc::clone(&self.state().settings)
    }

    fn is_time_to_look(&self) -> bool {
        self.state().looked.take_if(|looked| looked.elapsed() >= LOOK).is_some()
    }

    fn look(&self) {
        let stamps = stamps(&self.files);
        if self.state().stamps == stamps {
            return;
        }
        let read = settings(&self.files);
        let mut state = self.state();
        // Remembered even if it is bad: one warning is enough for one change.
        state.stamps = stamps;
        match read {
            Ok(settings) => {
                state.settings = settings;
                drop(state);
                tracing::info!("certificates of the listener read again");
            }
            Err(error) => {
                drop(state);
                tracing::warn!(%error, "certificates of the listener cannot be used; the old ones stay");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes after an alert. With TLS 1.3 a client sends its request before it learns that its certificate is refused; a request
/// that stays unread would reset the connection, and the alert would be lost.
async fn part(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGERING), &mut tokio::io::sink()).await?;
    Ok(())
}

fn settings(files: &ListenTls) -> Result<Arc<ServerConfig>, TlsError> {
    const CLIENT_CA: &str = "listen.tls.client_ca_file";
    let refused = |cause: String| tls::bad(CLIENT_CA, &files.client_ca_file, cause);
    let mut authorities = RootCertStore::empty();
    for certificate in tls::certificates(CLIENT_CA, &files.client_ca_file)? {
        authorities.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    let chain = tls::certificates("listen.tls.certificate_file", &files.certificate_file)?;
    let key = tls::private_key("listen.tls.key_file", &files.key_file)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider))
        .build()
        .map_err(|error| refused(error.to_string()))?;
    let mut settings = ServerConfig::builder_with_details(provider, Arc::new(Clock))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| TlsError::ListenCertificate(tls::unfit(&error)))?;
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would not show its certificate again, which may be out of date by then.
    settings.session_storage = Arc::new(NoServerSessionStorage {});
    settings.send_tls13_tickets = 0;
    Ok(Arc::new(settings))
}

/// What tells a file from the one that was there before: Kubernetes puts another in its place, others write into it.
type Stamps = [Option<[i128; 5]>; 3];

fn stamps(files: &ListenTls) -> Stamps {
    let stamp = |path: &Path| {
        let file = std::fs::metadata(path).ok()?;
        let written = i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
        let changed = i128::from(file.ctime()) * 1_000_000_000 + i128::from(file.ctime_nsec());
        Some([file.dev().into(), file.ino().into(), file.len().into(), written, changed])
    };
    [&files.certificate_file, &files.key_file, &files.client_ca_file].map(|path| stamp(path))
}
