//! Protects everything outside `/svc/`, which is pages and unsigned calls, from other web pages.
//!
//! A web page can point a name of its own at this machine (DNS rebinding); its requests then have that name in `Host`. It can also
//! send a form or a simple `POST` to this origin without reading the answer; a browser then sends the page's own `Origin` or `Referer`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, Uri, header};

use crate::{
    net::hosts::Hosts,
    simulator::{refusal::Refusal, server::Plain},
};

/// The layer for every path outside `/svc/`. Under `/svc/`, it rejects a signed call over plain HTTP if the
/// simulator serves TLS.
pub(crate) async fn admit(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/svc/") {
        if request.extensions().get::<Plain>().is_some() {
            return Refusal::NoTls.into_response();
        }
        return next.run(request).await;
    }
    match check(&hosts, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(hosts: &Hosts, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let authority = uri.authority().map(http::uri::Authority::as_str);
    // HTTP/2 has the authority in the target, HTTP/1.1 in `Host`; HTTP/1.0, which no browser uses, may have neither.
    if !authority.is_none_or(|authority| hosts.include_or_address(authority)) || !hosts.are_addressed_by(headers) {
        return Err(Refusal::Host);
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let own = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let is_own = |origin: &str| own.is_some() && origin.split_once("://").map(|(_, authority)| authority) == own;
    let foreign_origin = headers.get_all(header::ORIGIN).iter().any(|origin| !origin.to_str().is_ok_and(is_own));
    // A browser of which a page hides `Origin` may still send this one.
    let is_own_url = |url: &str| {
        let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
        own.is_some() && authority == own
    };
    let foreign_page = headers.get_all(header::REFERER).iter().any(|url| !url.to_str().is_ok_and(is_own_url));
    let foreign_site =
        headers.get_all("sec-fetch-site").iter().any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    if foreign_origin || foreign_page || foreign_site { Err(Refusal::ForeignPage) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: &str, uri: &str, headers: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        check(&Hosts::new(["wonder.internal".to_owned()]), &method.parse().unwrap(), &uri.parse().unwrap(), &headers)
    }

    #[test]
    fn a_name_of_another_is_refused_wherever_it_is() {
        for host in ["localhost:4443", "127.0.0.1:4443", "[::1]:1", "192.0.2.7:80", "WONDER.internal"] {
            assert_eq!(judged("GET", "/pay/1", &[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:4443", "gateway.wonder.today", ""] {
            assert_eq!(judged("GET", "/pay/1", &[("host", host)]), Err(Refusal::Host), "{host}");
        }
        assert_eq!(judged("GET", "https://evil.example/pay/1", &[]), Err(Refusal::Host));
        assert_eq!(judged("GET", "https://evil.example/pay/1", &[("host", "localhost")]), Err(Refusal::Host));
        assert_eq!(judged("GET", "/pay/1", &[("host", "localhost"), ("host", "localhost")]), Err(Refusal::Host));
        assert_eq!(judged("GET", "/pay/1", &[]), Ok(()));
    }

    #[test]
    fn a_form_of_another_page_is_refused() {
        let posted = |origin: &'static str| judged("POST", "/pay/1", &[("host", "localhost:4443"), ("origin", origin)]);
        assert_eq!(posted("https://localhost:4443"), Ok(()));
        for origin in
            ["https://localhost", "https://localhost:4444", "https://evil.example", "null", "", "localhost:4443"]
        {
            assert_eq!(posted(origin), Err(Refusal::ForeignPage), "{origin}");
        }
        assert_eq!(judged("POST", "/pay/1", &[("host", "localhost")]), Ok(()), "a program");
        let from = |page: &'static str| judged("POST", "/pay/1", &[("host", "localhost:4443"), ("referer", page)]);
        assert_eq!(from("http://localhost:4443/console/orders/1?did=x"), Ok(()));
        for page in
            ["https://evil.example/", "http://localhost/", "http://localhost:4443@evil.example/", "about:blank", ""]
        {
            assert_eq!(from(page), Err(Refusal::ForeignPage), "{page}");
        }
        for (site, expected) in [
            ("same-origin", Ok(())),
            ("none", Ok(())),
            ("same-site", Err(Refusal::ForeignPage)),
            ("cross-site", Err(Refusal::ForeignPage)),
        ] {
            assert_eq!(
                judged("POST", "/pay/1", &[("host", "localhost"), ("sec-fetch-site", site)]),
                expected,
                "{site}"
            );
        }
        let opened = judged("GET", "/pay/1", &[("host", "localhost"), ("sec-fetch-site", "cross-site")]);
        assert_eq!(opened, Ok(()), "a link in the shop");
        let http2 = [("origin", "https://localhost:4443")];
        assert_eq!(judged("POST", "https://localhost:4443/pay/1", &http2), Ok(()));
        assert_eq!(judged("POST", "https://127.0.0.1:4443/pay/1", &http2), Err(Refusal::ForeignPage));
    }
}
