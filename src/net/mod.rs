//! The network code and its pure rules.
//!
//! * [`listen`]: TCP and Unix sockets.
//! * `tls_server`: TLS on the TCP sockets, if configured; `certificate`: the name in a caller's certificate.
//! * `server`: accepts connections, serves them, drains them; `places`: the connection that is evicted for another;
//!   `descriptors`: whether few are left.
//! * `admission`: limits on the requests in flight and on the memory of their bodies.
//! * `shutdown`: the shutdown of all listeners, in stages; [`drain`]: the requests that it finished, and those that it cut.
//! * [`upstream`]: the pooled client for one origin, over `connect`, with `tls` and, if configured, through the proxy
//!   of `egress`.
//! * [`hosts`]: the accepted names in `Host`; pure.
//! * `intake`: strict framing: only unambiguous HTTP/1 is accepted.
//! * [`headers`]: the forwarded headers, in both directions; pure.
//! * `response_head`: the answers of the origin that may be forwarded, and their framing; pure.
//! * [`respond`]: the one place where failures become responses.

pub(crate) mod admission;
mod certificate;
pub(crate) mod connect;
pub(crate) mod descriptors;
pub mod drain;
mod egress;
pub mod headers;
pub mod hosts;
pub(crate) mod intake;
pub mod listen;
mod places;
pub mod respond;
pub(crate) mod response_head;
pub(crate) mod server;
pub(crate) mod shutdown;
pub(crate) mod tls;
pub(crate) mod tls_server;
pub mod upstream;
