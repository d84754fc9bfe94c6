//! Who calls, as the certificate says that a caller has shown. Pure: the certificate was verified before.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::metrics::{CallerRequests, Metrics};

/// What callers without a usable name are called in the log.
const UNNAMED: &str = "unnamed";
/// What all callers that the configuration does not name are counted as.
const OTHER: &str = "other";

/// The other end of a TLS connection. Stands in the extensions of each of its requests.
#[derive(Debug, Clone)]
pub struct Caller {
    name: Arc<str>,
    admitted: bool,
    requests: CallerRequests,
}

impl Caller {
    /// The first DNS name of its certificate, or its common name where it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is let in.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// It has made a request.
    pub fn called(&self) {
        self.requests.count();
    }
}

/// The callers that the configuration names.
#[derive(Debug)]
pub struct Callers {
    named: Vec<(Arc<str>, CallerRequests)>,
    other: CallerRequests,
}

impl Callers {
    /// Lets in those of `names`; if there are none, everyone.
    #[must_use]
    pub fn new(names: &[String], metrics: &Metrics) -> Self {
        Self {
            named: names.iter().map(|name| (Arc::from(name.as_str()), metrics.caller(name))).collect(),
            other: metrics.caller(OTHER),
        }
    }

    /// Says whose verified certificate this is.
    #[must_use]
    pub fn recognise(&self, certificate: &CertificateDer<'_>) -> Caller {
        let name = name(certificate);
        let known = |name: &String| self.named.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        match name.as_ref().and_then(known) {
            Some((name, requests)) => Caller { name: Arc::clone(name), admitted: true, requests: requests.clone() },
            None => Caller {
                name: name.as_deref().unwrap_or(UNNAMED).into(),
                admitted: self.named.is_empty(),
                requests: self.other.clone(),
            },
        }
    }
}

fn name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let name = certificate.valid_dns_names().next().or_else(|| common_name(certificate.subject()))?;
    // It goes into the log, and a common name may be anything.
    ((1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| name.to_owned())
}

/// The common name in a subject (RFC 5280 §4.1.2.6), given without its outer SEQUENCE. Of several none is the right one.
fn common_name(mut subject: &[u8]) -> Option<&str> {
    const SET: u8 = 0x31;
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    const TEXTS: [u8; 2] = [0x0c, 0x13]; // UTF8String, PrintableString
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    let mut found = None;
    while !subject.is_empty() {
        let mut attributes = element(&mut subject).filter(|(tag, _)| *tag == SET)?.1;
        while !attributes.is_empty() {
            let mut attribute = element(&mut attributes).filter(|(tag, _)| *tag == SEQUENCE)?.1;
            let kind = element(&mut attribute).filter(|(tag, _)| *tag == OBJECT_IDENTIFIER)?.1;
            let (tag, text) = element(&mut attribute)?;
            if kind == COMMON_NAME {
                let text = Some(text).filter(|_| TEXTS.contains(&tag) && found.is_none())?;
                found = Some(std::str::from_utf8(text).ok()?);
            }
        }
    }
    found
}

/// Takes the first element of `der` off: its tag and content. Contents of 64 KiB and more are no name.
fn element<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, length, rest) = match **der {
        [tag, length @ ..=0x7f, ref rest @ ..] | [tag, 0x81, length, ref rest @ ..] => (tag, usize::from(length), rest),
        [tag, 0x82, high, low, ref rest @ ..] => (tag, usize::from(u16::from_be_bytes([high, low])), rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[&str], common: &[&str]) -> CertificateDer<'static> {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        for common in common {
            params.distinguished_name.push(DnType::CommonName, *common);
        }
        params.subject_alt_names.push(SanType::URI("spiffe://example/shop".try_into().unwrap()));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_caller_is_its_first_dns_name_or_else_its_common_name() {
        assert_eq!(name(&certificate(&["shop.example", "b"], &["c"])).as_deref(), Some("shop.example"));
        assert_eq!(name(&certificate(&["192.0.2.1", "b"], &["c"])).as_deref(), Some("b"));
        assert_eq!(name(&certificate(&[], &["shop"])).as_deref(), Some("shop"));
        assert_eq!(name(&certificate(&[], &[])), None);
    }

    #[test]
    fn a_name_that_would_not_be_one_word_in_the_log_is_none() {
        for common in ["a b", "a\nb", "", "ü"] {
            assert_eq!(name(&certificate(&[], &[common])), None, "{common:?}");
        }
    }

    #[test]
    fn lets_in_those_who_are_named_and_counts_the_others_together() {
        let metrics = Metrics::new(&[]);
        let callers = Callers::new(&["shop".to_owned()], &metrics);
        let (shop, stranger) = (certificate(&["SHOP"], &[]), certificate(&["stranger"], &[]));
        let (shop, stranger) = (callers.recognise(&shop), callers.recognise(&stranger));
        assert_eq!((shop.name(), shop.is_admitted()), ("shop", true));
        assert_eq!((stranger.name(), stranger.is_admitted()), ("stranger", false));
        stranger.called();
        let text = metrics.encode().unwrap();
        assert!(text.contains("wonder_signer_caller_requests_total{caller=\"shop\"} 0\n"));
        assert!(text.contains("wonder_signer_caller_requests_total{caller=\"other\"} 1\n"));
    }

    #[test]
    fn an_empty_list_lets_everyone_in() {
        let callers = Callers::new(&[], &Metrics::new(&[]));
        assert!(callers.recognise(&certificate(&["stranger"], &[])).is_admitted());
    }
}
