//! The destination of an [`Upstream`](super::Upstream) as plain values, so that several can exist.

use std::time::Duration;

use crate::{
    config::{self, HttpVersion, Origin, Proxy},
    net::{connect::Deadlines, response_head, tls::TlsSettings},
};

/// One origin and the route to it.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Scheme, host and port.
    pub(crate) origin: Origin,
    /// For an origin with the scheme `https`.
    pub(crate) tls: TlsSettings,
    /// The HTTP version.
    pub(crate) http_version: HttpVersion,
    /// The egress proxy. A plain origin is on this machine and is called without it.
    pub(crate) egress: Option<Proxy>,
    /// The time limits of a new connection.
    pub(crate) deadlines: Deadlines,
    /// The limits of kept connections.
    pub(crate) pool: PoolLimits,
    /// The maximum size of a response head.
    pub(crate) response_head: response_head::HeadLimits,
}

/// The number and age limits of kept connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    /// How long a connection is kept without a request.
    pub(crate) idle: Duration,
    /// How many HTTP/1 connections are kept without a request.
    pub(crate) max_idle: usize,
    /// The age at which a connection gets no more requests, so that a change in DNS is followed.
    pub(crate) age: Duration,
}

impl Destination {
    /// The destination in the configuration.
    #[must_use]
    pub fn new(upstream: &config::Upstream, limits: &config::Limits, timeouts: &config::Timeouts) -> Self {
        Self {
            origin: upstream.origin.clone(),
            tls: TlsSettings {
                ca_file: upstream.ca_file.clone(),
                ca_mode: upstream.ca_mode,
                client_certificate: upstream.client_certificate.clone(),
                min_version: upstream.min_tls_version,
            },
            http_version: upstream.http_version,
            egress: upstream.proxy.clone(),
            deadlines: Deadlines { connect: timeouts.connect, tls_handshake: timeouts.tls_handshake },
            pool: PoolLimits {
                idle: upstream.pool_idle,
                max_idle: upstream.pool_max_idle,
                age: upstream.max_connection_age,
            },
            response_head: limits.into(),
        }
    }
}
