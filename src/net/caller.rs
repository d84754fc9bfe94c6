//! Names the caller by the certificate that it has shown. Pure: the certificate was verified before.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::metrics::{CallerRequests, Metrics};

/// Why a caller without a name is refused.
const NAMELESS: &str = "the certificate of this caller has no DNS name and no URI (1 to 253 visible ASCII characters) among its \
                        subject alternative names; issue one that has: the common name does not count";
/// What callers without a usable name are called in the log.
const UNNAMED: &str = "unnamed";
/// What all callers that the configuration does not name are counted as.
const OTHER: &str = "other";

/// The other end of a TLS connection. Stands in the extensions of each of its requests.
#[derive(Debug, Clone)]
pub struct Caller {
    name: Arc<str>,
    denied: Option<&'static str>,
    requests: CallerRequests,
}

impl Caller {
    /// The first DNS name among the subject alternative names of its certificate, or the first URI where it has no DNS name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why its requests are refused, if they are.
    #[must_use]
    pub fn denied(&self) -> Option<&'static str> {
        self.denied
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
    /// Admits the callers of `names`; all callers that have a name if `names` is empty.
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
        let known = |name: &String| self.named.iter().find(|(known, _)| is_same(known, name));
        match name.as_ref().and_then(known) {
            Some((name, requests)) => Caller { name: Arc::clone(name), denied: None, requests: requests.clone() },
            None => Caller {
                denied: match &name {
                    None => Some(NAMELESS),
                    Some(_) if self.named.is_empty() => None,
                    Some(_) => Some("the caller of this certificate is not in listen.tls.callers"),
                },
                name: name.as_deref().unwrap_or(UNNAMED).into(),
                requests: self.other.clone(),
            },
        }
    }
}

/// A certificate has no name but these two. The common name is none: the name constraints of an authority do not bind it
/// (RFC 5280 §4.2.1.10).
fn name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    // A URI has a scheme, so that none can be mistaken for a DNS name.
    let mut uris = certificate.valid_uri_names().filter(|uri| uri.contains(':'));
    let name = certificate.valid_dns_names().next().or_else(|| uris.next())?;
    // The name goes into the log, and a URI is not checked before.
    ((1..=253).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| name.to_owned())
}

/// DNS names are compared without regard to case; a URI is compared as it is (RFC 5280 §7.2, §7.4).
fn is_same(known: &str, name: &str) -> bool {
    known == name || !name.contains(':') && known.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[&str], uris: &[&str], common: &str) -> CertificateDer<'static> {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        // The URIs come first, and are still second choice.
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names.splice(0..0, uris);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_caller_is_its_first_dns_name_or_else_its_first_uri_and_never_its_common_name() {
        let (uri, another) = ("spiffe://example/shop", "spiffe://example/other");
        for (names, uris, expected) in [
            (&["shop.example", "b"][..], &[][..], Some("shop.example")),
            (&["shop.example", "b"], &[uri], Some("shop.example")),
            (&["192.0.2.1", "b"], &[], Some("b")),
            (&["192.0.2.1"], &[uri, another], Some(uri)),
            (&[], &[uri, another], Some(uri)),
            (&[], &["shop", another], Some(another)),
            (&[], &["shop"], None),
            (&["192.0.2.1"], &[], None),
            (&[], &[], None),
        ] {
            assert_eq!(name(&certificate(names, uris, "shop")).as_deref(), expected, "{names:?} {uris:?}");
        }
    }

    #[test]
    fn a_name_that_would_not_be_one_word_in_the_log_is_none() {
        let long = format!("spiffe://example/{}", "a".repeat(253));
        for uri in ["spiffe://a b", "spiffe://a\nb", &long] {
            assert_eq!(name(&certificate(&[], &[uri], "shop")), None, "{uri:?}");
        }
    }

    #[test]
    fn admits_the_callers_that_are_named_and_counts_the_others_together() {
        let metrics = Metrics::new(&[]);
        let callers = Callers::new(&["shop".to_owned(), "spiffe://example/Refunds".to_owned()], &metrics);
        let of = |names: &[&str], uris: &[&str]| callers.recognise(&certificate(names, uris, "shop"));
        for (caller, name, admitted) in [
            (of(&["SHOP"], &[]), "shop", true),
            (of(&[], &["spiffe://example/Refunds"]), "spiffe://example/Refunds", true),
            (of(&[], &["spiffe://example/refunds"]), "spiffe://example/refunds", false),
            (of(&["stranger"], &["spiffe://example/Refunds"]), "stranger", false),
            (of(&[], &[]), "unnamed", false),
        ] {
            assert_eq!((caller.name(), caller.denied().is_none()), (name, admitted));
        }
        of(&["stranger"], &[]).called();
        let text = metrics.encode().unwrap();
        assert!(text.contains("wonder_signer_caller_requests_total{caller=\"shop\"} 0\n"));
        assert!(text.contains("wonder_signer_caller_requests_total{caller=\"other\"} 1\n"));
    }

    #[test]
    fn an_empty_list_admits_every_caller_that_has_a_name() {
        let callers = Callers::new(&[], &Metrics::new(&[]));
        assert_eq!(callers.recognise(&certificate(&["stranger"], &[], "")).denied(), None);
        assert_eq!(callers.recognise(&certificate(&[], &[], "shop")).denied(), Some(NAMELESS));
    }
}
