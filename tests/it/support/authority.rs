//! A test certificate authority for the listener's TLS: the files of a gateway, and the certificates of its callers.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, ServerName},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Signs certificates.
pub(crate) struct Authority {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { certificate: ca.self_signed(&key).unwrap(), issuer: Issuer::new(ca, key) }
    }

    /// With these DNS names and this common name.
    pub(crate) fn issue(&self, names: &[&str], common: &str) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names).unwrap(), common)
    }

    /// With this URI and this common name.
    pub(crate) fn issue_to(&self, uri: &str, common: &str) -> Issued {
        let mut leaf = CertificateParams::default();
        leaf.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        self.sign(leaf, common)
    }

    fn sign(&self, mut leaf: CertificateParams, common: &str) -> Issued {
        leaf.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().unwrap();
        Issued { certificate: leaf.signed_by(&key, &self.issuer).unwrap(), key }
    }
}

/// The TLS files that a gateway mounts.
pub(crate) struct Mounted(tempfile::TempDir);

impl Mounted {
    /// With one authority for the server's certificate and for those of the callers.
    pub(crate) fn by_one() -> (Authority, Self) {
        let ours = Authority::new();
        let mounted = Self::new(&ours.issue(&["localhost"], ""), &ours);
        (ours, mounted)
    }

    pub(crate) fn new(server: &Issued, client_ca: &Authority) -> Self {
        let mounted = Self(tempfile::tempdir().unwrap());
        mounted.put(server, client_ca);
        mounted
    }

    pub(crate) fn put(&self, server: &Issued, client_ca: &Authority) {
        std::fs::write(self.path("tls.crt"), server.certificate.pem()).unwrap();
        std::fs::write(self.path("tls.key"), server.key.serialize_pem()).unwrap();
        std::fs::write(self.path("ca.crt"), client_ca.certificate.pem()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The configuration, with more TOML.
    pub(crate) fn toml(&self, more: &str) -> String {
        let [certificate, key, ca] = ["tls.crt", "tls.key", "ca.crt"].map(|name| self.path(name).display().to_string());
        format!(
            "[listen.tls]\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\nclient_ca_file = \"{ca}\"\n{more}"
        )
    }
}

/// A caller that trusts `authorities`, presents `identity`, and offers `alpn`.
pub(crate) fn caller(authorities: &[&Authority], identity: Option<&Issued>, alpn: &[&str]) -> TlsConnector {
    let shown = identity.map(|Issued { certificate, key }| shown(&[certificate], key));
    connector(authorities, shown, alpn, rustls::ALL_VERSIONS)
}

/// A chain and a key, which need not belong together.
pub(crate) fn shown(chain: &[&rcgen::Certificate], key: &KeyPair) -> CertifiedKey {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).unwrap();
    CertifiedKey::new(chain.iter().map(|one| one.der().clone()).collect(), key)
}

/// A caller that presents `identity` and supports `versions` of TLS.
pub(crate) fn connector(
    authorities: &[&Authority],
    identity: Option<CertifiedKey>,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.certificate.der().clone()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

pub(crate) async fn dial(address: SocketAddr, caller: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    caller.connect(ServerName::try_from("localhost").unwrap(), stream).await
}
