//! Reads a request body: within its size, within its time, and in the chunks in which it arrives.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    budget::{Budget, Claim},
    chunk_buffer::ChunkBuffer,
};
use crate::{contract::Code, net::respond::Failure};

/// The largest body of a rejected request that is read, and how long that may take.
const DISCARDED: (u64, Duration) = (64 << 10, Duration::from_millis(100));

/// A whole request body in the chunks in which it arrived, and the memory that it claims.
pub struct BufferedBody {
    /// In their order.
    pub chunks: Vec<Bytes>,
    /// Bytes of all chunks.
    pub length: usize,
    _claim: Claim,
}

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes.
    pub size: usize,
    /// From the request head to the last byte.
    pub time: Duration,
}

/// Reads the whole body within `limits` and within what `budget` has left for all bodies together.
pub(super) async fn read(mut body: Incoming, limits: BodyLimits, budget: &Budget) -> Result<BufferedBody, Failure> {
    let deadline = Instant::now() + limits.time;
    // Before the first read, because that lets a caller with `Expect: 100-continue` send its body.
    if body.size_hint().lower() > limits.size as u64 {
        return Err(too_large(limits.size));
    }
    let mut chunks = ChunkBuffer::default();
    let mut claim = budget.claim();
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if !claim.extend_to(declared) {
        return Err(no_memory());
    }
    while !body.is_end_stream() {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => {
                return Err(Failure::new(Code::BadRequest, "the request body broke off").because(&error));
            }
            Ok(None) => break,
            Err(_) => {
                return Err(Failure::new(Code::BodyTimeout, "the request body did not arrive in time (timeouts.body)"));
            }
        };
        // Trailers are not signed and not forwarded.
        let Ok(chunk) = frame.into_data() else { continue };
        if chunks.length() + chunk.len() > limits.size {
            return Err(too_large(limits.size));
        }
        if !claim.extend_to(chunks.length() + chunk.len()) {
            return Err(no_memory());
        }
        chunks.push(chunk);
    }
    let (chunks, length) = chunks.finish();
    Ok(BufferedBody { chunks, length, _claim: claim })
}

fn no_memory() -> Failure {
    Failure::new(Code::Overloaded, "too many bytes of bodies in memory (limits.buffered)")
}

fn too_large(limit: usize) -> Failure {
    Failure::new(Code::BodyTooLarge, format!("the request body is larger than {limit} bytes (limits.body)"))
}

/// Reads and discards the small body of a rejected request, so that its connection can be kept: opening another costs more than
/// rejecting a request. False where that is not worth it, or where the caller waits for `100 Continue`.
pub async fn discard_small(request: Request<Incoming>) -> bool {
    let (most, limit) = DISCARDED;
    let small = request.size_hint().upper().is_some_and(|length| length <= most);
    if !small || request.headers().contains_key(header::EXPECT) {
        return false;
    }
    let mut body = request.into_body();
    let whole = async {
        while !body.is_end_stream() {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => break,
            }
        }
        true
    };
    timeout(limit, whole).await.unwrap_or(false)
}
