//! Valid and invalid certificates from a test authority.

use std::{io::Write as _, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};

/// The fault of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// None.
    Right,
    /// It has expired.
    Expired,
    /// It is for another server name.
    WrongName,
    /// It is from an authority that the sidecar does not trust.
    UnknownAuthority,
    /// It is self-signed.
    SelfSigned,
}

/// The certificate of a server, and the authority that the sidecar trusts.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    ca_file: tempfile::NamedTempFile,
}

impl Identity {
    /// For `127.0.0.1`; `alpn` in the order of preference.
    pub(crate) fn new(certificate: Certificate, alpn: &[&str]) -> Self {
        let (trusted, issuer) = authority();
        let (_, stranger) = authority();
        let name = if certificate == Certificate::WrongName { "192.0.2.1" } else { "127.0.0.1" };
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.not_before = date_time_ymd(2020, 1, 1);
        leaf.not_after = date_time_ymd(if certificate == Certificate::Expired { 2021 } else { 2999 }, 1, 1);
        let key = KeyPair::generate().unwrap();
        let leaf = match certificate {
            Certificate::SelfSigned => leaf.self_signed(&key),
            Certificate::UnknownAuthority => leaf.signed_by(&key, &stranger),
            _ => leaf.signed_by(&key, &issuer),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.unwrap().der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        server.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let mut ca_file = tempfile::NamedTempFile::new().unwrap();
        ca_file.write_all(trusted.as_bytes()).unwrap();
        Self { server: Arc::new(server), ca_file }
    }

    /// The lines of `[upstream]` that make a sidecar trust the authority.
    pub(crate) fn trust(&self) -> String {
        format!("ca_file = {:?}\n", self.ca_file.path().to_str().unwrap())
    }
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.not_after = date_time_ymd(2999, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = ca.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(ca, key))
}
