//! The pooled client: the effect of a closed connection on the request in flight and on the next one.

mod ages;
mod closed;
mod http2;
mod pool;
mod unprocessed;
