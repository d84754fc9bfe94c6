//! TLS with the origin: trusted roots, our own certificate, versions. Verification cannot be turned off.

pub(super) mod trouble;
mod verifier;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject as _},
    },
};

use self::verifier::Verifier;
use crate::{
    clock::SystemClock,
    config::{self, CaMode, CertificateFiles, HttpVersion, Origin, TlsVersion},
    files,
};

/// The maximum size of a certificate file in bytes, more than any chain needs.
const FILE_CAP: usize = 1024 * 1024;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be used.
    #[error("{key} {path}: {cause}")]
    File {
        /// The configuration key that names it.
        key: String,
        /// Its path.
        path: String,
        /// The reason.
        cause: String,
    },
    /// Certificate and key do not match, or are of an unsupported kind.
    #[error("upstream.client_certificate_file and upstream.client_key_file: {0}")]
    ClientCertificate(String),
    /// The same for the listener's certificate and key.
    #[error("{0}.certificate_file and {0}.key_file: {1}")]
    ListenCertificate(&'static str, String),
    /// The origin's host cannot be the name of a certificate.
    #[error("upstream.origin: {0:?} is not a host name or address")]
    Host(String),
    /// The host of Redis cannot be the name of a certificate.
    #[error("webhook.redis.url: {0:?} is not a host name or address")]
    RedisHost(String),
    /// The crypto provider does not support the requested protocol versions.
    #[error("TLS")]
    Settings(#[from] rustls::Error),
}

/// The trusted roots of an origin, and the client certificate for it.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    /// PEM file with root certificates.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether those of `ca_file` are added to the built-in root certificates, or replace them.
    pub(crate) ca_mode: CaMode,
    /// The certificate for an origin that requests one.
    pub(crate) client_certificate: Option<CertificateFiles>,
    /// The oldest accepted version.
    pub(crate) min_version: TlsVersion,
}

impl TlsSettings {
    /// The files that they name.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let ours = self.client_certificate.iter().flat_map(|ours| [&ours.certificate_file, &ours.key_file]);
        self.ca_file.iter().chain(ours).cloned().collect()
    }
}

/// The settings of every handshake with the origin, and the required name of its certificate.
pub(super) fn client(
    settings: &TlsSettings,
    http_version: HttpVersion,
    origin: &Origin,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    let versions: &[_] = match settings.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new(trusted(settings)?, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(SystemClock))
        .with_protocol_versions(versions)?
        // rustls calls every custom verifier dangerous. Ours only adds advice to the errors.
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &settings.client_certificate {
        None => builder.with_no_client_auth(),
        Some(ours) => {
            let chain = certificates("upstream.client_certificate_file", &ours.certificate_file)?;
            let key = private_key("upstream.client_key_file", &ours.key_file)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::ClientCertificate(unfit(&error)))?
        }
    };
    let (http1, http2) = (b"http/1.1".to_vec(), b"h2".to_vec());
    config.alpn_protocols = match http_version {
        HttpVersion::Auto => vec![http2, http1],
        HttpVersion::Http1 => vec![http1],
        HttpVersion::Http2 => vec![http2],
    };
    Ok((Arc::new(config), server_name(origin)?))
}

/// The settings of every handshake with Redis, and the required name of its certificate.
pub(crate) fn redis_client(redis: &config::Redis) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    const KEY: &str = "webhook.redis.ca_file";
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &redis.ca_file {
        add(&mut roots, KEY, path)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(SystemClock))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = redis.url.host.to_string();
    let name = ServerName::try_from(host.clone()).map_err(|_| TlsError::RedisHost(host))?;
    Ok((Arc::new(config), name))
}

fn add(roots: &mut RootCertStore, key: &str, path: &Path) -> Result<(), TlsError> {
    for certificate in certificates(key, path)? {
        roots.add(certificate).map_err(|error| bad(key, path, error.to_string()))?;
    }
    Ok(())
}

fn trusted(settings: &TlsSettings) -> Result<RootCertStore, TlsError> {
    const KEY: &str = "upstream.ca_file";
    let mut roots = RootCertStore::empty();
    if settings.ca_file.is_none() || settings.ca_mode == CaMode::Add {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = &settings.ca_file {
        add(&mut roots, KEY, path)?;
    }
    Ok(roots)
}

pub(super) fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = files::read(path, FILE_CAP).map_err(|error| bad(key, path, error.to_string()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&content.bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| bad(key, path, damage(&error).to_owned()))?;
    if certificates.is_empty() {
        return Err(bad(key, path, "holds no certificate (no \"-----BEGIN CERTIFICATE\" line)".to_owned()));
    }
    Ok(certificates)
}

/// The fault in PEM text. The parser's own message is not used, because it quotes the line, which may be part of a key.
fn damage(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "is cut short: a PEM block has no \"-----END\" line",
        pem::Error::IllegalSectionStart { .. } => "has a damaged \"-----BEGIN\" line",
        _ => "is damaged: a PEM block cannot be decoded",
    }
}

/// The parser's message is not repeated, for the same reason.
pub(super) fn private_key(key: &str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let content = files::read(path, FILE_CAP).map_err(|error| bad(key, path, error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&content.bytes)
        .map_err(|_| bad(key, path, "holds no unencrypted private key (PKCS#8, PKCS#1 or SEC1, as PEM)".to_owned()))
}

/// Why our own certificate and key cannot be used. rustls's own message describes the certificate of a peer.
pub(super) fn unfit(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => "the key belongs to another certificate".to_owned(),
        rustls::Error::InvalidCertificate(cause) => format!("the certificate cannot be used: {cause}"),
        error => error.to_string(),
    }
}

pub(super) fn bad(key: &str, path: &Path, cause: String) -> TlsError {
    TlsError::File { key: key.to_owned(), path: path.display().to_string(), cause }
}

fn server_name(origin: &Origin) -> Result<ServerName<'static>, TlsError> {
    let host = origin.host();
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Host(host.to_owned()))
}
