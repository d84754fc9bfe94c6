//! Reads a caller's name from its certificate, which the TLS handshake has verified. Pure.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::policy::Name;

/// The first DNS name among the subject alternative names of `certificate`, or the first URI if it has no DNS name.
///
/// The common name is ignored, because an authority's name constraints do not apply to it (RFC 5280 §4.2.1.10).
pub(super) fn name(certificate: &CertificateDer<'_>) -> Option<Name> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    // A URI has a scheme, so it cannot be confused with a DNS name.
    let mut uris = certificate.valid_uri_names().filter(|uri| uri.contains(':'));
    certificate.valid_dns_names().next().or_else(|| uris.next())?.parse().ok()
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
        // The DNS name is preferred although the URIs come first.
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names.splice(0..0, uris);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_caller_is_its_first_dns_name_or_else_its_first_uri_and_never_its_common_name() {
        let (uri, another) = ("spiffe://example/shop", "spiffe://example/other");
        for (names, uris, expected) in [
            (&["shop.example", "b"][..], &[][..], Some("shop.example")),
            (&["Shop.Example"], &[], Some("shop.example")),
            (&["shop.example", "b"], &[uri], Some("shop.example")),
            (&["192.0.2.1", "b"], &[], Some("b")),
            (&["192.0.2.1"], &[uri, another], Some(uri)),
            (&[], &[uri, another], Some(uri)),
            (&[], &["shop", another], Some(another)),
            (&[], &["shop"], None),
            (&["192.0.2.1"], &[], None),
            (&[], &[], None),
        ] {
            let name = name(&certificate(names, uris, "shop"));
            assert_eq!(name.as_ref().map(Name::as_str), expected, "{names:?} {uris:?}");
        }
    }

    #[test]
    fn a_uri_that_is_not_one_word_of_a_log_line_is_no_name() {
        let long = format!("spiffe://example/{}", "a".repeat(253));
        for uri in ["spiffe://a b", "spiffe://a\nb", &long] {
            assert_eq!(name(&certificate(&[], &[uri], "shop")), None, "{uri:?}");
        }
    }
}
