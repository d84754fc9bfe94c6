//! The simulator's TLS identity: its own certificate authority and a certificate for this machine, both generated at start and
//! discarded at the end.

use std::{io, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};

use crate::{clock::SystemClock, signing::RequestTime};

/// The identity that the server presents, and the authority that its clients must trust.
pub(super) struct Identity {
    /// TLS 1.2 and 1.3; ALPN `h2` and `http/1.1`.
    pub(super) config: Arc<ServerConfig>,
    /// The authority's certificate as PEM.
    pub(super) ca_pem: String,
}

impl Identity {
    /// Generates authority, certificate and keys (ECDSA P-256) for `localhost`, `127.0.0.1`, `::1` and `names`.
    pub(super) fn new(now: RequestTime, names: &[String]) -> io::Result<Self> {
        let (ca_pem, chain, key) = certificates(now, names).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(SystemClock))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_pem })
    }
}

type Chain = Vec<rustls::pki_types::CertificateDer<'static>>;

fn certificates(now: RequestTime, names: &[String]) -> Result<(String, Chain, PrivateKeyDer<'static>), rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_around(now, "wonder-signer simulator CA", &mut ca);
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(loopback.into_iter().chain(names.iter().cloned()).collect::<Vec<_>>())?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    valid_around(now, "wonder-signer simulator", &mut leaf);
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &issuer)?;

    let key = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
    Ok((ca_certificate.pem(), vec![leaf.der().clone()], key))
}

/// Two calendar years: long enough for any run, and short enough for clients that reject more than 825 days.
fn valid_around(now: RequestTime, name: &str, certificate: &mut CertificateParams) {
    let year = now.to_text().as_str()[..4].parse().unwrap_or(1970).min(9997);
    certificate.not_before = rcgen::date_time_ymd(year, 1, 1);
    certificate.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    certificate.distinguished_name.remove(DnType::CommonName);
    certificate.distinguished_name.push(DnType::CommonName, name);
}
