//! Accepts or rejects a request head, before a byte of the body is read. Pure.

use http::{HeaderMap, HeaderName, Method, Uri, Version, header, request::Parts, uri::PathAndQuery};

use super::target;
use crate::{
    config::RequiredHeader,
    contract::Code,
    net::{hosts::Hosts, respond::Failure},
    policy::Caller,
};

/// Request headers that browsers add and other programs do not. `Sec-Fetch-Mode` is not one of them: Node's `fetch` sends it.
const BROWSER: [HeaderName; 3] = [header::ORIGIN, HeaderName::from_static("sec-fetch-site"), header::REFERER];

/// The rules of the signing listener.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The names of this listener, for `Host`.
    pub(crate) hosts: Hosts,
    /// Whether requests that a web page made are rejected.
    pub(crate) browser_guard: bool,
    /// A header that every request must have.
    pub(crate) required_header: Option<RequiredHeader>,
}

/// Checks the head of a request and returns its target, exactly as received.
///
/// The framing of the body is not checked here, because [`crate::net::intake`] has rejected a head with two framings.
///
/// The browser guard comes first, so that a web page gets the same answer to every request.
pub(super) fn check(head: &Parts, caller: &Caller, rules: &Rules) -> Result<PathAndQuery, Failure> {
    if rules.browser_guard {
        check_browser(&head.headers)?;
    }
    check_method(&head.method)?;
    let target = target(&head.uri)?;
    check_hosts(head, caller, &rules.hosts)?;
    if let Some(required) = &rules.required_header {
        check_required(&head.headers, required)?;
    }
    Ok(target)
}

/// A web page can send requests to loopback from any origin, without a preflight (CORS simple requests). The browser adds headers that
/// the page cannot remove.
fn check_browser(headers: &HeaderMap) -> Result<(), Failure> {
    match BROWSER.iter().find(|name| headers.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Failure::new(
            Code::BrowserDenied,
            format!(
                "the request has {name}, which web pages send; call from a program without it (listen.browser_guard)"
            ),
        )
        .closing()),
    }
}

fn check_required(headers: &HeaderMap, required: &RequiredHeader) -> Result<(), Failure> {
    let mut given = headers.get_all(&required.name).iter();
    match (given.next(), given.next()) {
        (Some(value), None) if *value == required.value => Ok(()),
        _ => Err(Failure::new(
            Code::PolicyDenied,
            format!(
                "the request must have the header {} once, with the value of listen.required_header",
                required.name
            ),
        )
        .closing()),
    }
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
    target::check(target)?;
    Ok(target.clone())
}

/// Stops DNS rebinding, see [`Hosts`].
fn check_hosts(head: &Parts, caller: &Caller, hosts: &Hosts) -> Result<(), Failure> {
    let bad = |name: &str| {
        Failure::new(
            Code::BadHost,
            format!(
                "{name} is not a name of this listener; call it as localhost, or add the name to listen.allowed_hosts"
            ),
        )
    };
    // No web page can open a Unix socket, so any name is accepted there.
    let any = *caller == Caller::UnixSocket;
    let mut given = head.headers.get_all(header::HOST).iter();
    match (given.next(), given.next()) {
        (Some(host), None) => {
            if !any && !host.to_str().is_ok_and(|host| hosts.include(host)) {
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
        Some(authority) if !any && !hosts.include(authority.as_str()) => Err(bad("the host in the request target")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn rules() -> Rules {
        Rules { hosts: Hosts::new(["signer.shop".to_owned()]), browser_guard: true, required_header: None }
    }

    fn loopback() -> Caller {
        Caller::Tcp("127.0.0.1:40000".parse().unwrap())
    }

    fn code(request: http::request::Builder) -> Result<String, &'static str> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head, &loopback(), &rules()).map(|target| target.to_string()).map_err(|failure| failure.code.as_str())
    }

    fn get(target: &str) -> Result<String, &'static str> {
        code(Request::get(target).header("host", "localhost:8080"))
    }

    #[test]
    fn accepts_the_target_as_it_is() {
        for target in ["/svc/a?filter[x][_eq]=1&y=%2f%2F+", "/svc/a?", "/svc//a//b", "/svc/a/%2e%2E/b"] {
            assert_eq!(get(target).as_deref(), Ok(target));
        }
        assert_eq!(get("/svc/../x"), Err("not_wonder"));
    }

    #[test]
    fn rejects_a_request_of_a_web_page_before_any_other_check() {
        for (name, value) in [
            ("origin", "null"),
            ("Origin", "http://localhost:8080"),
            ("Sec-Fetch-Site", "none"),
            ("sec-fetch-site", "same-origin"),
            ("referer", ""),
            ("Referer", "http://evil.example/"),
        ] {
            for (method, target, host) in
                [("POST", "/svc/a", "localhost"), ("OPTIONS", "/svc/a", "localhost"), ("TRACE", "/x", "evil.example")]
            {
                let request = || Request::builder().method(method).uri(target).header("host", host);
                assert_eq!(code(request().header(name, value)), Err("browser_denied"), "{method} {name}");
            }
        }
        let node = Request::post("/svc/a").header("host", "localhost").header("sec-fetch-mode", "cors");
        assert!(code(node).is_ok());
    }

    #[test]
    fn requires_the_header_once_and_with_its_value() {
        let required = Some("X-Shop: yes".parse().unwrap());
        let rules = Rules { required_header: required, browser_guard: false, ..rules() };
        let code = |values: &[&str]| {
            let request = Request::post("/svc/a").header("host", "localhost").header("origin", "null");
            let request = values.iter().fold(request, |request, value| request.header("x-shop", *value));
            check(&request.body(()).unwrap().into_parts().0, &loopback(), &rules)
                .err()
                .map(|failure| failure.code.as_str())
        };
        assert_eq!(code(&["yes"]), None);
        for wrong in [&[][..], &["Yes"], &["no"], &["yes", "yes"]] {
            assert_eq!(code(wrong), Some("policy_denied"), "{wrong:?}");
        }
    }

    #[test]
    fn accepts_the_absolute_form_with_its_own_names_only() {
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
    fn requires_one_host_in_http_1_1_and_none_in_other_versions() {
        assert_eq!(code(Request::get("/svc/a")), Err("bad_request"));
        assert!(code(Request::get("/svc/a").version(Version::HTTP_10)).is_ok());
        assert!(code(Request::get("http://localhost/svc/a").version(Version::HTTP_2)).is_ok());
        let two = Request::get("/svc/a").header("host", "localhost").header("host", "localhost");
        assert_eq!(code(two), Err("bad_request"));
    }

    #[test]
    fn rejects_connect_and_trace() {
        assert_eq!(code(Request::connect("localhost:80").header("host", "localhost")), Err("bad_target"));
        assert_eq!(code(Request::trace("/svc/a").header("host", "localhost")), Err("bad_request"));
        assert_eq!(
            code(Request::builder().method("PURGE").uri("/svc/a").header("host", "localhost")).as_deref(),
            Ok("/svc/a")
        );
    }
}
