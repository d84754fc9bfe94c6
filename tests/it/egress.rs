//! The way out: proxies, certificates, TLS versions. What goes wrong there happens before a byte of the request is sent.

mod doubles;
mod proxy;
mod tls;
