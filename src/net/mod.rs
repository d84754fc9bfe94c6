//! Everything that touches the network on the proxy's way, and the pure rules beside it.
//!
//! * [`server`]: accepts connections, serves them, drains them.
//! * [`upstream`]: the pooled client to the one origin, over [`connect`].
//! * [`headers`]: which headers pass, in both directions; pure.
//! * [`respond`]: the one place where failures become responses.

pub mod connect;
pub mod headers;
pub mod respond;
pub mod server;
pub mod upstream;
