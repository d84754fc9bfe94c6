//! Collects records into batches and posts each to the collector over a new connection: one batch every few seconds needs no pool.

use std::{
    collections::BTreeMap,
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    settings::{Settings, SettingsError},
    spans::{self, Record},
};
use crate::clock::SystemClock;

/// The time between two warnings about lost records.
const BETWEEN_WARNINGS: Duration = Duration::from_mins(1);

pub(super) struct Exporter {
    collector: Collector,
    resource: BTreeMap<String, String>,
    delay: Duration,
    batch: usize,
    lost: Arc<AtomicU64>,
    warned: Option<Instant>,
}

impl Exporter {
    pub(super) fn new(settings: Settings, lost: Arc<AtomicU64>) -> Result<Self, SettingsError> {
        let collector = Collector::new(&settings)?;
        let Settings { resource, delay, batch, .. } = settings;
        Ok(Self { collector, resource, delay, batch, lost, warned: None })
    }

    /// Exports until `stop`, and then the rest of the queue.
    pub(super) async fn run(mut self, mut records: mpsc::Receiver<Record>, mut stop: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        while self.gather(&mut records, &mut batch, &mut stop).await {
            self.export(mem::take(&mut batch)).await;
        }
        while let Ok(record) = records.try_recv() {
            batch.push(record);
            if batch.len() >= self.batch {
                self.export(mem::take(&mut batch)).await;
            }
        }
        if !batch.is_empty() {
            self.export(batch).await;
        }
    }

    /// Waits for a whole batch, or until the first record has waited for the delay. Returns false at `stop`.
    async fn gather(
        &self,
        records: &mut mpsc::Receiver<Record>,
        batch: &mut Vec<Record>,
        stop: &mut oneshot::Receiver<()>,
    ) -> bool {
        let mut due = None;
        while batch.len() < self.batch {
            // The delay begins with the first record.
            let late = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                record = records.recv() => match record {
                    Some(record) => {
                        batch.push(record);
                        due.get_or_insert_with(|| Instant::now() + self.delay);
                    }
                    None => return false,
                },
                () = late => return true,
                _ = &mut *stop => return false,
            }
        }
        true
    }

    async fn export(&mut self, batch: Vec<Record>) {
        let cause = match self.collector.post(spans::batch(&self.resource, &batch)).await {
            Ok(()) => "the queue was full (OTEL_BSP_MAX_QUEUE_SIZE)".to_owned(),
            Err(error) => {
                self.lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
                error.to_string()
            }
        };
        let warned_lately = self.warned.is_some_and(|warned| warned.elapsed() < BETWEEN_WARNINGS);
        if !warned_lately && self.lost.load(Ordering::Relaxed) > 0 {
            self.warned = Some(Instant::now());
            tracing::warn!(lost = self.lost.swap(0, Ordering::Relaxed), cause, "traces of requests were not exported");
        }
    }
}

/// The address of the collector, and its headers.
struct Collector {
    endpoint: Uri,
    headers: HeaderMap,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("no connection to the collector: {0}")]
    Connect(io::Error),
    #[error("the collector did not answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the collector answered with status {0}")]
    Status(StatusCode),
    #[error("not done in time (OTEL_EXPORTER_OTLP_TIMEOUT)")]
    Late,
}

impl Collector {
    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let endpoint = settings.endpoint.clone();
        let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = endpoint.scheme_str() == Some("https");
        let tls = if secure {
            let name = ServerName::try_from(host.clone())
                .map_err(|_| SettingsError::new(ENDPOINT, "its host is no name that a certificate can be for"))?;
            Some((TlsConnector::from(Arc::new(tls_config(settings)?)), name))
        } else {
            None
        };
        let mut headers = settings.headers.clone();
        let authority = endpoint.authority().map_or("", http::uri::Authority::as_str);
        let host_value = HeaderValue::try_from(authority)
            .map_err(|_| SettingsError::new(ENDPOINT, "its host cannot stand in a header"))?;
        headers.insert(header::HOST, host_value);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let port = endpoint.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { endpoint, headers, host, port, tls, timeout: settings.timeout })
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), ExportError> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = http::Method::POST;
        let target = self.endpoint.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = target.parse().unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        match timeout(self.timeout, self.send(request)).await {
            Ok(Ok(status)) if status.is_success() => Ok(()),
            Ok(Ok(status)) => Err(ExportError::Status(status)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ExportError::Late),
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<StatusCode, ExportError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(ExportError::Connect)?;
        match &self.tls {
            None => converse(tcp, request).await,
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), tcp).await.map_err(ExportError::Connect)?;
                converse(tls, request).await
            }
        }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, ExportError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Dropped with this function, which ends the task.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    Ok(sender.send_request(request).await?.status())
}

fn tls_config(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    let mut roots = RootCertStore::empty();
    match &settings.certificate {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let unusable = |_| SettingsError::new(CERTIFICATE, "not a PEM file with certificates");
            for certificate in CertificateDer::pem_file_iter(path).map_err(unusable)? {
                let certificate = certificate.map_err(unusable)?;
                roots.add(certificate).map_err(|error| SettingsError::new(CERTIFICATE, error.to_string()))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_details(provider, Arc::new(SystemClock))
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::new(CERTIFICATE, error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
