//! The cause of a failed TLS handshake and its remedy: in full for the log, and without text of the peer for the caller.
//!
//! In TLS 1.3 a client ends its part of the handshake before the server has received its certificate. So a rejection arrives as an
//! alert at the first read (RFC 8446 §4.4.2.4).

use std::{io, time::SystemTime};

use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible, pki_types::UnixTime,
};

use super::verifier::Untrusted;

/// A failed handshake.
#[derive(Debug, Clone)]
pub(in super::super) struct Trouble {
    /// The fault and the remedy, without text of the peer.
    pub(in super::super) advice: &'static str,
    /// The details, with names and dates.
    pub(in super::super) detail: String,
}

/// A handshake with the origin.
pub(in super::super) fn with_origin(error: &io::Error) -> Trouble {
    let (advice, detail) = match rustls_error(error) {
        None => (cause_of_end(error), error.to_string()),
        Some(error) => (origin_advice(error), detail(error, "the origin")),
    };
    Trouble { advice, detail }
}

/// A rejection by the origin after our part of the handshake had ended. `is_first`: the origin had sent nothing before. Later alerts
/// that do not concern a certificate end a connection that was in use.
pub(in super::super) fn after_handshake(error: &io::Error, is_first: bool) -> Option<Trouble> {
    match rustls_error(error)? {
        Error::AlertReceived(alert) if is_first || rejects_certificate(*alert) => Some(with_origin(error)),
        _ => None,
    }
}

/// A handshake with a caller, for the log.
pub(in super::super) fn with_caller(error: &io::Error) -> String {
    let Some(error) = rustls_error(error) else { return error.to_string() };
    let advice = match error {
        Error::NoCertificatesPresented => "it must show one of an authority in listen.tls.client_ca_file",
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "renew the caller's certificate, or correct a clock",
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the caller needs a certificate of an authority in listen.tls.client_ca_file"
        }
        Error::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
        ) => "the caller needs a certificate for client authentication",
        Error::AlertReceived(alert) if rejects_certificate(*alert) => {
            "the caller does not accept the certificate in listen.tls.certificate_file: it must trust its issuer, and call a name that it has"
        }
        Error::InvalidMessage(_) => "the caller must use TLS here",
        Error::NoApplicationProtocol => "this listener accepts only HTTP/1.1",
        Error::PeerIncompatible(_) => "the caller must support TLS 1.2 or 1.3 with a common cipher suite",
        _ => return detail(error, "the caller"),
    };
    format!("{}; {advice}", detail(error, "the caller"))
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn cause_of_end(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::TimedOut => "the origin did not finish the handshake within timeouts.tls_handshake",
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the origin ended the connection within the handshake; does it serve TLS on this port (upstream.origin), and is a firewall \
             between?"
        }
        _ => "the handshake failed; the log has the cause",
    }
}

fn origin_advice(error: &Error) -> &'static str {
    const NOT_TRUSTED: &str = "the origin's certificate is from an issuer that is not trusted; if the issuer is yours (a private \
                               authority, an egress proxy that inspects TLS), set upstream.ca_file to its root certificate";
    const VERSION: &str = "the origin supports no TLS version that is allowed here (upstream.min_tls_version)";
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the origin's certificate has expired; it must be renewed, unless this host's clock is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the origin's certificate is not valid yet; is this host's clock wrong?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the origin's certificate is for another name; upstream.origin must be a name that it has, or another server answers there"
            }
            CertificateError::UnknownIssuer => NOT_TRUSTED,
            CertificateError::BadSignature => {
                "the origin's certificate has a wrong signature; does upstream.ca_file hold an older certificate of the same authority?"
            }
            CertificateError::Other(OtherError(cause)) => match cause.downcast_ref() {
                Some(Untrusted::Issuer(_)) => NOT_TRUSTED,
                Some(Untrusted::SelfSigned(_)) => {
                    "the origin's certificate is signed by itself; if it is yours, set upstream.ca_file to it"
                }
                Some(Untrusted::Authority(_)) => {
                    "the origin shows the certificate of an authority as its own; give it one that the authority signed (CA:FALSE), and set \
                     upstream.ca_file to the authority's"
                }
                None => "the origin's certificate cannot be used; the log has the cause",
            },
            _ => "the origin's certificate cannot be used; the log has the cause",
        },
        Error::InvalidMessage(_) => "the origin does not serve TLS on this port (upstream.origin)",
        Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the origin does not support the configured HTTP version (upstream.http_version)"
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => VERSION,
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the origin ended the handshake: it may require a client certificate (upstream.client_certificate_file), or no TLS version or cipher \
             suite fits"
        }
        Error::AlertReceived(alert) if rejects_certificate(*alert) => {
            "the origin requires a client certificate that it trusts (upstream.client_certificate_file)"
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the origin has no server with the name in upstream.origin"
        }
        Error::FailedToGetCurrentTime => "this host's clock is before 1970; correct it",
        _ => "the handshake failed; the log has the cause",
    }
}

/// Whether an alert means that the peer rejects our certificate, or requires one.
fn rejects_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            // A certificate of another authority with the same name.
            | Alert::DecryptError
            | Alert::CertificateRequired
            | Alert::NoCertificate
    )
}

/// The details for the log. `peer` names the peer.
fn detail(error: &Error, peer: &str) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            format!("the certificate of {peer} expired at {}; the clock here says {}", date(*not_after), date(*time))
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            format!(
                "the certificate of {peer} is valid from {} on; the clock here says {}",
                date(*not_before),
                date(*time)
            )
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
            format!("the certificate of {peer} is not for {} but for {}", expected.to_str(), names(presented))
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("the certificate of {peer} is from an unknown issuer")
        }
        Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => cause.to_string(),
        Error::NoCertificatesPresented => format!("{peer} showed no certificate"),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{peer} answered with something other than TLS")
        }
        Error::AlertReceived(alert) => format!("{peer} sent the alert {alert:?}"),
        error => error.to_string(),
    }
}

/// RFC 3339.
fn date(time: UnixTime) -> String {
    const LAST: u64 = 253_402_300_799;
    let since = std::time::Duration::from_secs(time.as_secs().min(LAST));
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string()
}

/// The names of a certificate. They come from the peer, so they are quoted and their number is limited.
fn names(presented: &[String]) -> String {
    const MOST: usize = 8;
    let quoted: Vec<String> = presented.iter().take(MOST).map(|name| plain(name)).collect();
    match presented.len() {
        0 => "no name at all".to_owned(),
        count if count > MOST => format!("{} and {} others", quoted.join(", "), count - MOST),
        _ => quoted.join(", "),
    }
}

/// `DnsName("gateway.test")` becomes `"gateway.test"`.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    format!("{:?}", inner.trim_matches('"').chars().take(253).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates_of_the_peer_are_quoted_and_bounded() {
        assert_eq!(
            names(&["DnsName(\"a.test\")".to_owned(), "IpAddress(1.2.3.4)".to_owned()]),
            "\"a.test\", \"1.2.3.4\""
        );
        assert_eq!(names(&["x\n".to_owned()]), "\"x\\n\"");
        assert_eq!(names(&[]), "no name at all");
        assert!(names(&vec!["a".to_owned(); 10]).ends_with("\"a\" and 2 others"));
        for (seconds, text) in [(0, "1970-01-01T00:00:00Z"), (u64::MAX, "9999-12-31T23:59:59Z")] {
            assert_eq!(date(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))), text);
        }
    }
}
