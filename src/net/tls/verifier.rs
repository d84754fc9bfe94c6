//! Verification of the origin's certificate by rustls, with a description of a certificate that it does not trust.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Delegates to [`WebPkiServerVerifier`], and only replaces errors that do not name the certificate.
#[derive(Debug)]
pub(super) struct Verifier(Arc<WebPkiServerVerifier>);

impl Verifier {
    pub(super) fn new(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Arc<Self>, Error> {
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        inner.map(|inner| Arc::new(Self(inner))).map_err(|error| Error::General(error.to_string()))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.0.verify_server_cert(certificate, chain, name, ocsp, now);
        verified.map_err(|error| Untrusted::because(&error, certificate, chain).unwrap_or(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// An untrusted certificate, with quoted names of the certificate.
#[derive(Debug)]
pub(super) enum Untrusted {
    /// The certificate of an authority, which the server presents as its own.
    Authority(String),
    /// A self-signed certificate.
    SelfSigned(String),
    /// Its chain ends at this issuer.
    Issuer(String),
}

impl Untrusted {
    fn because(error: &Error, certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Option<Error> {
        let Error::InvalidCertificate(error) = error else { return None };
        let first = webpki::EndEntityCert::try_from(certificate).ok()?;
        let untrusted = match error {
            CertificateError::UnknownIssuer if first.issuer() == first.subject() => {
                Self::SelfSigned(common_name(first.subject()))
            }
            CertificateError::UnknownIssuer => {
                let end = chain.last().and_then(|last| webpki::EndEntityCert::try_from(last).ok());
                Self::Issuer(common_name(end.as_ref().unwrap_or(&first).issuer()))
            }
            CertificateError::Other(OtherError(cause)) => match cause.downcast_ref() {
                Some(webpki::Error::CaUsedAsEndEntity) => Self::Authority(common_name(first.subject())),
                _ => return None,
            },
            _ => return None,
        };
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(untrusted)))))
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(name) => {
                write!(f, "the certificate {name} is that of an authority (CA:TRUE), not a server's")
            }
            Self::SelfSigned(name) => write!(f, "the certificate {name} is signed by itself and is not trusted"),
            Self::Issuer(name) => write!(f, "the certificate's issuer {name} is not trusted"),
        }
    }
}

impl std::error::Error for Untrusted {}

/// The common name in the DER of a distinguished name (RFC 5280 §4.1.2.4), quoted.
fn common_name(name: &[u8]) -> String {
    const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    const LONGEST: usize = 64;
    let value = name.windows(COMMON_NAME.len()).position(|window| window == COMMON_NAME).and_then(|place| {
        // The tag of a string type, a length of one byte, the text.
        let (&[_, length], text) = name[place + COMMON_NAME.len()..].split_first_chunk()?;
        text.get(..usize::from(length))
    });
    let text = String::from_utf8_lossy(value.unwrap_or_default());
    if text.is_empty() {
        return "without a common name".to_owned();
    }
    format!("{:?}", text.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_name_is_quoted_and_cut_whatever_is_in_it() {
        let name = |value: &[u8]| {
            let length = u8::try_from(value.len()).unwrap();
            [&[0x30, 0, 0x31, 0, 0x30, 0, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, length], value].concat()
        };
        for (der, expected) in [
            (name(b"Corp Root"), "\"Corp Root\"".to_owned()),
            (name(b"a\n{\"level\"\x1b"), "\"a\\n{\\\"level\\\"\\u{1b}\"".to_owned()),
            (name(&[b'x'; 100]), format!("\"{}\"", "x".repeat(64))),
            (name(b""), "without a common name".to_owned()),
            (name(b"abc")[..14].to_vec(), "without a common name".to_owned()),
            (Vec::new(), "without a common name".to_owned()),
        ] {
            assert_eq!(common_name(&der), expected);
        }
    }
}
