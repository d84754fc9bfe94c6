//! Only a program on this machine may send a request that changes state.

use std::net::SocketAddr;

use axum::http::HeaderMap;

use crate::net::hosts::Hosts;

/// Why this caller may not change state; `None` if it may.
///
/// The peer must be loopback, `header` must be `yes`, no header may mark a browser, and `Host` must be a name of this listener or an IP
/// address. A page in a browser can reach loopback, but cannot meet all four conditions.
pub(super) fn refusal(
    peer: SocketAddr,
    headers: &HeaderMap,
    hosts: &Hosts,
    (header, needed): (&str, &'static str),
) -> Option<&'static str> {
    if !peer.ip().to_canonical().is_loopback() {
        Some("only from loopback\n")
    } else if headers.get(header).is_none_or(|value| value != "yes") {
        Some(needed)
    } else if ["origin", "referer", "sec-fetch-site"].iter().any(|name| headers.contains_key(*name)) {
        Some("not from a browser\n")
    } else if !hosts.are_addressed_by(headers) {
        Some("the host in Host is not a name of this listener; call it by IP address or as localhost\n")
    } else {
        None
    }
}
