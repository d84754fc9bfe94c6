//! Header hygiene: which headers are forwarded from the service to Wonder and back. Pure.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::metrics::Stripped;

/// Prefix of the headers between the service and the sidecar.
const OURS: &str = "x-wonder-signer-";

/// Prepares a caller's headers to be sent upstream. `stripped` is called with the kind of each header that is removed.
///
/// The rest has no framing, no routing, no signature, no name that another program may read as one of these, and nothing that the
/// caller nominated in `Connection`. The caller of this function sets `Content-Length`, `Host` and the signature headers after it. A
/// missing `Content-Type` becomes `application/json` (`deploy/docs/wonder.md` §2.1).
pub fn to_upstream(headers: &mut HeaderMap, mut stripped: impl FnMut(Stripped)) {
    remove_nominated(headers, &mut stripped);
    let unwanted: Vec<(HeaderName, Fate)> = headers
        .keys()
        .map(|name| (name, fate(name)))
        .filter(|(_, fate)| *fate != Fate::Kept)
        .map(|(name, fate)| (name.clone(), fate))
        .collect();
    for (name, fate) in unwanted {
        headers.remove(&name);
        if let Fate::Stripped(kind) = fate {
            stripped(kind);
        }
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}

/// Prepares the headers of a verified webhook for the application, as [`to_upstream`] does, with two differences: the forwarding headers
/// of reverse proxies are kept, and a missing `Content-Type` stays missing. Headers are not signed, so no header is forwarded that could
/// turn a verified webhook into another request.
pub(crate) fn to_application(headers: &mut HeaderMap) {
    remove_nominated(headers, &mut |_| ());
    let unwanted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !matches!(fate(name), Fate::Kept | Fate::Stripped(Stripped::Forwarded)))
        .cloned()
        .collect();
    for name in unwanted {
        headers.remove(&name);
    }
}

/// Prepares Wonder's response headers to be forwarded. Only the sidecar itself may set headers of its own name space.
pub fn to_downstream(headers: &mut HeaderMap) {
    remove_nominated(headers, &mut |_| ());
    let unwanted: Vec<HeaderName> =
        headers.keys().filter(|name| is_hop_by_hop(name) || is_ours(name)).cloned().collect();
    for name in unwanted {
        headers.remove(&name);
    }
}

/// What happens to a request header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// Removed, and not counted.
    Dropped,
    /// Removed, and counted by its kind.
    Stripped(Stripped),
}

fn fate(name: &HeaderName) -> Fate {
    Fate::Stripped(match name.as_str() {
        // Set again from the origin and the body's length, or headers that every HTTP/1.1 client sends about its own connection.
        "host" | "content-length" | "expect" | "connection" | "keep-alive" | "transfer-encoding" => {
            return Fate::Dropped;
        }
        "credential" | "nonce" | "signature" => Stripped::Signature,
        "x-skip-signature" => Stripped::SkipSignature,
        "forwarded" | "x-real-ip" => Stripped::Forwarded,
        "cookie" | "cookie2" => Stripped::Cookie,
        text if text == "x-forwarded" || text.starts_with("x-forwarded-") => Stripped::Forwarded,
        // CGI turns `Proxy` into the variable that names the egress proxy (httpoxy).
        text if text == "proxy" || text.starts_with("proxy-") => Stripped::Proxy,
        text if text.starts_with(OURS) => return Fate::Dropped,
        _ if is_hop_by_hop(name) => Stripped::HopByHop,
        "x-http-method" => Stripped::Override,
        text if ["x-original-", "x-rewrite-"].iter().any(|start| text.starts_with(start))
            || text.ends_with("-override") =>
        {
            Stripped::Override
        }
        // CGI, WSGI and PHP read `x_forwarded_for` as `x-forwarded-for`; others drop or fold further characters.
        text if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => Stripped::LookAlike,
        _ => return Fate::Kept,
    })
}

/// Whether a name is in our name space, in any spelling. Much software treats names that differ only in `-`, `_` and `.` as the same
/// name, for example in the variables of CGI and WSGI.
fn is_ours(name: &HeaderName) -> bool {
    let (name, ours) = (name.as_str().as_bytes(), OURS.as_bytes());
    let same = |(byte, ours): (&u8, &u8)| byte == ours || (*ours == b'-' && !byte.is_ascii_alphanumeric());
    name.len() >= ours.len() && name.iter().zip(ours).all(same)
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "http2-settings"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a nomination in `Connection` has no effect on a header: a connection option, or a header for the last recipient, which
/// must not be nominated (RFC 9110 §7.6.1). Headers that describe the content are needed to read the message; request id and trace are
/// needed to find it in logs.
fn is_end_to_end(name: &HeaderName) -> bool {
    matches!(name.as_str(), "close" | "keep-alive" | "host" | "x-request-id" | "traceparent" | "tracestate")
        || name.as_str().starts_with("content-")
}

/// Removes the headers that `Connection` nominates (RFC 9110 §7.6.1).
fn remove_nominated(headers: &mut HeaderMap, stripped: &mut impl FnMut(Stripped)) {
    if !headers.contains_key(header::CONNECTION) {
        return;
    }
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    for name in nominated {
        if headers.remove(&name).is_some() {
            stripped(Stripped::HopByHop);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn upstream(lines: &[(&str, &str)]) -> (Vec<String>, Vec<Stripped>) {
        let (mut headers, mut kinds) = (map(lines), Vec::new());
        to_upstream(&mut headers, |kind| kinds.push(kind));
        let mut left: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        (left, kinds)
    }

    #[test]
    fn strips_what_is_not_for_wonder_and_reports_its_kind() {
        let json = "content-type: application/json".to_owned();
        for (name, value, kind) in [
            ("credential", "x", Some(Stripped::Signature)),
            ("nonce", "x", Some(Stripped::Signature)),
            ("signature", "x", Some(Stripped::Signature)),
            ("x-skip-signature", "True", Some(Stripped::SkipSignature)),
            ("forwarded", "for=1", Some(Stripped::Forwarded)),
            ("x-forwarded-for", "1", Some(Stripped::Forwarded)),
            ("x-forwarded-anything", "1", Some(Stripped::Forwarded)),
            ("cookie", "a=b", Some(Stripped::Cookie)),
            ("proxy-authorization", "Basic x", Some(Stripped::Proxy)),
            ("proxy-connection", "keep-alive", Some(Stripped::Proxy)),
            ("te", "trailers", Some(Stripped::HopByHop)),
            ("upgrade", "h2c", Some(Stripped::HopByHop)),
            ("http2-settings", "x", Some(Stripped::HopByHop)),
            ("trailer", "x", Some(Stripped::HopByHop)),
            ("keep-alive", "timeout=5", None),
            ("transfer-encoding", "chunked", None),
            ("content-length", "3", None),
            ("expect", "100-continue", None),
            ("host", "localhost", None),
            ("x-original-url", "/admin", Some(Stripped::Override)),
            ("x-rewrite-url", "/admin", Some(Stripped::Override)),
            ("x-http-method-override", "DELETE", Some(Stripped::Override)),
            ("x-original-uri", "/admin", Some(Stripped::Override)),
            ("x-original-host", "evil", Some(Stripped::Override)),
            ("x-http-method", "DELETE", Some(Stripped::Override)),
            ("x-http-host-override", "evil", Some(Stripped::Override)),
            ("x-forwarded", "for=1", Some(Stripped::Forwarded)),
            ("proxy", "http://evil", Some(Stripped::Proxy)),
            ("cookie2", "a=b", Some(Stripped::Cookie)),
            ("x-method-override", "DELETE", Some(Stripped::Override)),
            ("x_skip_signature", "True", Some(Stripped::LookAlike)),
            ("transfer_encoding", "chunked", Some(Stripped::LookAlike)),
            ("content_length", "3", Some(Stripped::LookAlike)),
            ("x_forwarded_for", "1", Some(Stripped::LookAlike)),
            ("proxy_authorization", "x", Some(Stripped::LookAlike)),
            ("x.skip.signature", "True", Some(Stripped::LookAlike)),
            ("x-skip-signature~", "True", Some(Stripped::LookAlike)),
            ("x-wonder_signer-credential", "shop", Some(Stripped::LookAlike)),
            ("x-wonder-signer-credential", "shop", None),
        ] {
            let (left, kinds) = upstream(&[(name, value)]);
            assert_eq!((left, kinds), (vec![json.clone()], Vec::from_iter(kind)), "{name}");
        }
    }

    #[test]
    fn keeps_what_is_for_wonder() {
        let lines = [
            ("accept", "application/json"),
            ("content-encoding", "gzip"),
            ("content-type", "text/plain"),
            ("traceparent", "00-1-2-01"),
            ("x-i18n-lang", "zh-HK"),
        ];
        let (left, kinds) = upstream(&lines);
        assert_eq!(left, lines.map(|(name, value)| format!("{name}: {value}")));
        assert_eq!(kinds, []);
    }

    #[test]
    fn strips_every_nominated_header_in_every_spelling() {
        let (left, kinds) = upstream(&[
            ("connection", "close, X-One"),
            ("connection", " x-two ,signature,bad token,"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("signature", "forged"),
            ("x-three", "3"),
        ]);
        assert_eq!(left, ["content-type: application/json", "x-three: 3"]);
        assert_eq!(kinds, [Stripped::HopByHop; 3]);
    }

    #[test]
    fn no_nomination_removes_what_the_last_recipient_needs() {
        let lines = [
            ("content-encoding", "gzip"),
            ("content-type", "text/plain"),
            ("traceparent", "00-1-2-01"),
            ("tracestate", "a=b"),
            ("x-request-id", "r-1"),
        ];
        for (name, _) in lines {
            let (left, kinds) = upstream(&[&[("connection", name)], &lines[..]].concat());
            assert_eq!(left, lines.map(|(name, value)| format!("{name}: {value}")));
            assert_eq!(kinds, []);
        }
    }

    #[test]
    fn strips_hop_by_hop_and_borrowed_names_from_responses() {
        let mut headers = map(&[
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("x-wonder-signer-error", "forged"),
            ("X_Wonder_Signer_Error", "forged"),
            ("x.wonder-signer_sent", "no"),
            ("X-Wonder-Signer-", "forged"),
            ("x-wonder-signed", "8"),
            ("x-total-entries", "7"),
        ]);
        to_downstream(&mut headers);
        assert_eq!(headers, map(&[("x-wonder-signed", "8"), ("x-total-entries", "7")]));
    }
}
