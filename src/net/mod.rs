//! Everything that uses the network, and the pure rules that belong to it.
//!
//! * [`listen`]: TCP and Unix sockets.
//! * [`tls_server`]: TLS on the TCP sockets, if configured; `certificate`: the name in a caller's certificate.
//! * [`server`]: accepts connections, serves them, drains them; `places`: which connection is evicted for another.
//! * [`admission`]: how many requests are in flight at a time, and how much of their bodies is in memory.
//! * [`shutdown`]: the end of all listeners, in stages.
//! * [`upstream`]: the pooled client to one origin, over [`connect`], with [`tls`] and, if there is one, through the
//!   proxy of `egress`.
//! * [`clock`]: the time of day, for TLS and `Date`.
//! * [`hosts`]: the names under which a listener may be addressed; pure.
//! * [`intake`]: strict framing: only HTTP/1 that can be read in one way is accepted.
//! * [`headers`]: which headers are forwarded, in both directions; pure.
//! * [`response_head`]: which answers of the origin may be forwarded, and how they are framed; pure.
//! * [`respond`]: the one place where failures become responses.

pub mod admission;
mod certificate;
pub mod clock;
pub mod connect;
mod egress;
pub mod headers;
pub mod hosts;
pub mod intake;
pub mod listen;
mod places;
pub mod respond;
pub mod response_head;
pub mod server;
pub mod shutdown;
pub mod tls;
pub mod tls_server;
pub mod upstream;
