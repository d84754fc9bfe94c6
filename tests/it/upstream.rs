//! The pooled client: what a connection's end means for the request on it, and for the next one.

mod ages;
mod closed;
mod http2;
mod pool;
mod unprocessed;
