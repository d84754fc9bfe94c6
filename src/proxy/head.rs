//! Which request heads are taken, decided before a byte of body is read. Pure.

use http::{Method, Uri, Version, header, request::Parts, uri::PathAndQuery};

use crate::net::respond::{Code, Failure};

/// All that Wonder serves lies under this (`wonder-api.md` §5.12).
const ROOT: &str = "/svc/";

/// The names under which a caller may address us.
#[derive(Debug, Clone)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Names of this machine's loopback, and `others` (names or addresses without port).
    pub fn new(others: impl IntoIterator<Item = String>) -> Self {
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        Self(loopback.into_iter().chain(others.into_iter().map(|host| host.to_ascii_lowercase())).collect())
    }

    /// Whether `authority` (a host with or without a port) is one of them.
    ///
    /// The port says nothing: it may be forwarded or mapped on the way.
    fn include(&self, authority: &str) -> bool {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        self.0.iter().any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// Checks the head of a request and returns its target, exactly as received.
///
/// The framing of the body is not checked here, because [`crate::net::intake`] has refused a head with two framings.
pub(super) fn check(head: &Parts, hosts: &Hosts) -> Result<PathAndQuery, Failure> {
    check_method(&head.method)?;
    let target = target(&head.uri)?;
    check_hosts(head, hosts)?;
    Ok(target)
}

fn check_method(method: &Method) -> Result<(), Failure> {
    match *method {
        Method::CONNECT => {
            Err(Failure::new(Code::BadTarget, "CONNECT asks for a tunnel; only targets under /svc/ are forwarded")
                .closing())
        }
        Method::TRACE => {
            Err(Failure::new(Code::BadRequest, "TRACE would send the signature back; it is not forwarded"))
        }
        _ => Ok(()),
    }
}

fn target(uri: &Uri) -> Result<PathAndQuery, Failure> {
    let Some(target) = uri.path_and_query() else {
        return Err(Failure::new(Code::BadTarget, "the request target is not a path"));
    };
    if uri.scheme_str().is_some_and(|scheme| scheme != "http" && uri.authority().is_some() && scheme != "https") {
        return Err(Failure::new(Code::BadTarget, "the request target has a scheme other than http"));
    }
    if !target.as_str().starts_with(ROOT) || leads_out(target.path()) {
        return Err(Failure::new(Code::NotWonder, "the request target is not under /svc/; nothing else is forwarded"));
    }
    Ok(target.clone())
}

/// Whether dot segments would lead out of `/svc/` for anyone who resolves them.
///
/// The target itself is never changed. Who resolves it further on is unknown, so it is read as the most lenient reader
/// would: percent-encoded dots and slashes count as such, a back slash too, empty segments are no level to climb from,
/// and a segment ends at its parameters (`;`).
fn leads_out(path: &str) -> bool {
    let mut plain = path.to_ascii_lowercase();
    for (encoded, byte) in [("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("\\", "/")] {
        if plain.contains(encoded) {
            plain = plain.replace(encoded, byte);
        }
    }
    let mut depth = 0_usize;
    for segment in plain[ROOT.len()..].split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

/// A page in a browser that resolves its own name to loopback still names itself in `Host`.
fn check_hosts(head: &Parts, hosts: &Hosts) -> Result<(), Failure> {
    let bad = |name: &str| {
        Failure::new(
            Code::BadHost,
            format!(
                "{name} is not a name of this listener; call it as localhost, or add the name to listen.allowed_hosts"
            ),
        )
    };
    let mut given = head.headers.get_all(header::HOST).iter();
    match (given.next(), given.next()) {
        (Some(host), None) => {
            if !host.to_str().is_ok_and(|host| hosts.include(host)) {
                return Err(bad("the host in Host"));
            }
        }
        (Some(_), Some(_)) => return Err(Failure::new(Code::BadRequest, "more than one Host header").closing()),
        // HTTP/1.1 requires it (RFC 9112 §3.2); HTTP/1.0 did not have it.
        (None, _) if head.version == Version::HTTP_11 => {
            return Err(Failure::new(Code::BadRequest, "no Host header").closing());
        }
        (None, _) => {}
    }
    match head.uri.authority() {
        Some(authority) if !hosts.include(authority.as_str()) => Err(bad("the host in the request target")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn code(request: http::request::Builder) -> Result<String, &'static str> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head, &Hosts::new(["signer.shop".to_owned()]))
            .map(|target| target.to_string())
            .map_err(|failure| failure.code.as_str())
    }

    fn get(target: &str) -> Result<String, &'static str> {
        code(Request::get(target).header("host", "localhost:8080"))
    }

    #[test]
    fn takes_targets_under_svc_as_they_are() {
        for target in [
            "/svc/payment/api/v1/openapi/customers",
            "/svc/a?filter[x][_eq]=1&y=%2f%2F+",
            "/svc/a?",
            "/svc//a//b",
            "/svc/a/../b",
            "/svc/a/%2e%2E/b",
            "/svc/a/b/../../c",
            "/svc/...",
            "/svc/a?x=/../../..",
            "/svc/%",
        ] {
            assert_eq!(get(target).as_deref(), Ok(target));
        }
    }

    #[test]
    fn refuses_targets_outside_svc() {
        for target in ["/", "/svc", "/SVC/a", "//svc/a", "/svcx/", "/a?/svc/", "/.//svc/", "/%73vc/a"] {
            assert_eq!(get(target), Err("not_wonder"), "{target}");
        }
    }

    #[test]
    fn refuses_targets_that_dot_segments_lead_out() {
        for target in [
            "/svc/..",
            "/svc/../x",
            "/svc/../svc/a",
            "/svc/a/../../b",
            "/svc/%2e%2e/x",
            "/svc/.%2E/x",
            "/svc/..%2fx",
            "/svc/a%2f..%2f..%2fx",
            "/svc/..%5cx",
            "/svc//../x",
            "/svc/./../x",
            "/svc/..;a=b/x",
        ] {
            assert_eq!(get(target), Err("not_wonder"), "{target}");
        }
    }

    #[test]
    fn takes_the_absolute_form_for_its_own_names_only() {
        let absolute = |uri: &str| code(Request::get(uri).header("host", "localhost"));
        assert_eq!(absolute("http://localhost:8080/svc/a?b").as_deref(), Ok("/svc/a?b"));
        assert_eq!(absolute("http://[::1]:8080/svc/a").as_deref(), Ok("/svc/a"));
        assert_eq!(absolute("http://evil.example/svc/a"), Err("bad_host"));
        assert_eq!(absolute("http://localhost@evil.example/svc/a"), Err("bad_host"));
        assert_eq!(absolute("ftp://localhost/svc/a"), Err("bad_target"));
    }

    #[test]
    fn knows_its_names_with_and_without_a_port() {
        let host = |host: &str| code(Request::get("/svc/a").header("host", host)).is_ok();
        for own in ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]", "[::1]:8080", "Signer.Shop:80"] {
            assert!(host(own), "{own}");
        }
        for other in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "::1:8080", "localhost:x"]
        {
            assert!(!host(other), "{other}");
        }
    }

    #[test]
    fn wants_one_host_from_http_1_1_and_none_from_others() {
        assert_eq!(code(Request::get("/svc/a")), Err("bad_request"));
        assert!(code(Request::get("/svc/a").version(Version::HTTP_10)).is_ok());
        assert!(code(Request::get("http://localhost/svc/a").version(Version::HTTP_2)).is_ok());
        let two = Request::get("/svc/a").header("host", "localhost").header("host", "localhost");
        assert_eq!(code(two), Err("bad_request"));
    }

    #[test]
    fn refuses_methods_that_are_not_for_an_api() {
        assert_eq!(code(Request::connect("localhost:80").header("host", "localhost")), Err("bad_target"));
        assert_eq!(code(Request::trace("/svc/a").header("host", "localhost")), Err("bad_request"));
        assert_eq!(
            code(Request::builder().method("PURGE").uri("/svc/a").header("host", "localhost")).as_deref(),
            Ok("/svc/a")
        );
    }
}
