//! Egress: proxies, certificates, TLS versions. These failures happen before a byte of the request is sent.

mod doubles;
mod proxy;
mod reload;
mod tls;
