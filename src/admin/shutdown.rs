//! `POST /shutdown`: the program drains and exits. For a Job whose cluster does not stop sidecars by itself.
//!
//! The route exists only if `admin.shutdown` is set. It accepts only programs on this machine (in this pod): the peer must be loopback,
//! the request must have [`HEADER`] and no header that marks a browser, and `Host` must be a name of this listener or an IP address. A
//! page in a browser can reach loopback, but cannot meet all four conditions.

use std::{future::Future, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::sync::watch;

use super::local;
use crate::net::hosts::Hosts;

/// The header that the request must have, with the value `yes`.
pub(crate) const HEADER: &str = "x-wonder-signer-shutdown";

/// Whether a shutdown was requested, shared by the route and the program's main task.
#[derive(Debug, Clone)]
pub(crate) struct ShutdownRequest(Arc<watch::Sender<bool>>);

impl ShutdownRequest {
    /// No shutdown was requested.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Ends when a shutdown was requested.
    pub(crate) fn requested(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut asked = self.0.subscribe();
        let keep = Arc::clone(&self.0);
        async move {
            // This fails only without a sender, and `self` has one.
            let _ = asked.wait_for(|asked| *asked).await;
            drop(keep);
        }
    }
}

impl Default for ShutdownRequest {
    fn default() -> Self {
        Self::new()
    }
}

/// The route. The server must provide the peer's address as [`ConnectInfo`].
pub(crate) fn router(request: ShutdownRequest, hosts: Hosts) -> Router {
    Router::new().route("/shutdown", post(shutdown)).with_state((request, hosts))
}

async fn shutdown(
    State((request, hosts)): State<(ShutdownRequest, Hosts)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> (StatusCode, &'static str) {
    if let Some(reason) = refusal(peer, &headers, &hosts) {
        tracing::warn!(%peer, reason = reason.trim_end(), "shutdown rejected");
        return (StatusCode::FORBIDDEN, reason);
    }
    tracing::info!(%peer, "shutdown requested");
    request.0.send_replace(true);
    (StatusCode::ACCEPTED, "draining\n")
}

/// Why this caller may not end the program; `None` if it may.
fn refusal(peer: SocketAddr, headers: &HeaderMap, hosts: &Hosts) -> Option<&'static str> {
    local::refusal(peer, headers, hosts, (HEADER, "needs the header x-wonder-signer-shutdown: yes\n"))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn hosts() -> Hosts {
        Hosts::new([])
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_program_on_this_machine_may_stop_it() {
        for peer in ["127.0.0.1:40000", "[::1]:40000", "[::ffff:127.0.0.1]:40000"] {
            assert_eq!(refusal(peer.parse().unwrap(), &headers(&[(HEADER, "yes")]), &hosts()), None);
        }
    }

    #[test]
    fn another_machine_may_not_with_any_headers() {
        let refused = refusal("10.1.2.3:40000".parse().unwrap(), &headers(&[(HEADER, "yes")]), &hosts());
        assert_eq!(refused, Some("only from loopback\n"));
    }

    #[test]
    fn a_request_without_the_header_may_not() {
        let peer = "127.0.0.1:40000".parse().unwrap();
        for given in [headers(&[]), headers(&[(HEADER, "no")])] {
            assert_eq!(refusal(peer, &given, &hosts()), Some("needs the header x-wonder-signer-shutdown: yes\n"));
        }
    }

    #[test]
    fn a_page_that_points_a_name_of_its_own_at_this_machine_may_not() {
        let refused =
            |host| refusal("127.0.0.1:40000".parse().unwrap(), &headers(&[(HEADER, "yes"), ("host", host)]), &hosts());
        assert_eq!(["localhost:9090", "127.0.0.1:9090", "10.1.2.3", "[::1]:9090"].map(refused), [None; 4]);
        assert!(["evil.example", "evil.example:9090", ""].map(refused).iter().all(Option::is_some));
    }

    #[test]
    fn a_browser_may_not() {
        let peer = "127.0.0.1:40000".parse().unwrap();
        for mark in [("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "same-origin"), ("referer", "")] {
            assert_eq!(refusal(peer, &headers(&[(HEADER, "yes"), mark]), &hosts()), Some("not from a browser\n"));
        }
    }

    #[tokio::test]
    async fn the_wait_ends_for_a_request_before_and_after_its_start() {
        let request = ShutdownRequest::new();
        let before = request.requested();
        request.0.send_replace(true);
        before.await;
        request.requested().await;
    }
}
