//! Requests that change something come from a program on this machine alone.

use std::net::SocketAddr;

use axum::http::HeaderMap;

use crate::net::hosts::Hosts;

/// Why this caller may not change anything; nothing when it may.
///
/// The peer must be loopback, `header` must be `yes`, nothing that marks a browser may be there, and `Host` must be a name of this
/// listener or an address. A page in a browser can reach loopback, but cannot do all four.
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
