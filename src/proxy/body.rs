//! Takes a request body in: within its size, within its time, and in the chunks that it comes in.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Request, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    contract::Code,
    metrics::{Buffered, Metrics},
    net::respond::Failure,
};

/// How large a body of a request that is refused is taken in first, and how long that may take.
const SWALLOWED: (u64, Duration) = (64 << 10, Duration::from_millis(100));

/// A whole request body, in the chunks that it came in, and the claim on memory that goes with it.
pub(super) struct Taken {
    pub(super) chunks: Vec<Bytes>,
    pub(super) length: usize,
    _claim: Claim,
}

/// Reads the whole body: at most `limit` bytes until `deadline`, and no more than `budget` has left for all bodies together.
pub(super) async fn take(
    mut body: Incoming,
    limit: usize,
    deadline: Instant,
    budget: &Budget,
) -> Result<Taken, Failure> {
    let mut chunks = Chunks::default();
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
        if chunks.length + chunk.len() > limit {
            return Err(too_large(limit));
        }
        if !claim.extend_to(chunks.length + chunk.len()) {
            return Err(no_memory());
        }
        chunks.push(chunk);
    }
    let (pieces, length) = chunks.finish();
    Ok(Taken { chunks: pieces, length, _claim: claim })
}

/// Chunks as they come. Small ones are copied together: each keeps a whole read buffer alive, and there may be as many as
/// there are bytes.
#[derive(Default)]
pub(super) struct Chunks {
    pieces: Vec<Bytes>,
    small: BytesMut,
    length: usize,
}

impl Chunks {
    const SMALL: usize = 4096;

    pub(super) fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len();
        if chunk.len() >= Self::SMALL || (self.pieces.is_empty() && self.small.is_empty()) {
            self.settle();
            self.pieces.push(chunk);
        } else {
            self.small.extend_from_slice(&chunk);
        }
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(std::mem::take(&mut self.small).freeze());
        }
    }

    pub(super) fn finish(mut self) -> (Vec<Bytes>, usize) {
        self.settle();
        (self.pieces, self.length)
    }
}

/// The memory that all request bodies and held answers together may take.
pub(super) struct Budget {
    left: Arc<Semaphore>,
    metrics: Metrics,
}

impl Budget {
    pub(super) fn new(bytes: usize, metrics: Metrics) -> Self {
        Self { left: Arc::new(Semaphore::new(bytes)), metrics }
    }

    pub(super) fn claim(&self) -> Claim {
        Claim { left: Arc::clone(&self.left), permit: None, bytes: 0, counted: self.metrics.buffered() }
    }
}

/// A part of the budget, given back when dropped.
pub(super) struct Claim {
    left: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
    counted: Buffered,
}

impl Claim {
    /// Whether the claim could be made as large as `bytes`; it never gets smaller.
    pub(super) fn extend_to(&mut self, bytes: usize) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        let permits =
            u32::try_from(more).ok().and_then(|more| Arc::clone(&self.left).try_acquire_many_owned(more).ok());
        let Some(permits) = permits else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(permits),
            None => self.permit = Some(permits),
        }
        self.bytes = bytes;
        self.counted.add(more);
        true
    }
}

fn no_memory() -> Failure {
    Failure::new(Code::Overloaded, "too many bytes of bodies in memory (limits.buffered)")
}

pub(super) fn too_large(limit: usize) -> Failure {
    Failure::new(Code::BodyTooLarge, format!("the request body is larger than {limit} bytes (limits.body)"))
}

pub(super) fn ambiguous() -> Failure {
    let message =
        "the body is only white space, which Wonder's own clients sign in different ways; send none, or send JSON";
    Failure::new(Code::AmbiguousBody, message)
}

/// Takes in a small body that will not be used, so that its connection can stay: to open another costs more than to refuse
/// a request. False where that is not worth it, or the caller waits to be told to send.
pub(super) async fn swallow(request: Request<Incoming>) -> bool {
    let small = request.size_hint().upper().is_some_and(|length| length <= SWALLOWED.0);
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
    timeout(SWALLOWED.1, whole).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(sizes: &[usize]) -> Vec<usize> {
        let mut chunks = Chunks::default();
        for size in sizes {
            chunks.push(vec![b'x'; *size].into());
        }
        let (pieces, length) = chunks.finish();
        assert_eq!(length, sizes.iter().sum::<usize>());
        pieces.iter().map(Bytes::len).collect()
    }

    #[test]
    fn copies_only_small_chunks_together() {
        assert_eq!(pieces(&[]), [0; 0]);
        assert_eq!(pieces(&[5]), [5]);
        assert_eq!(pieces(&[8192, 8192]), [8192, 8192]);
        assert_eq!(pieces(&[1; 100]), [1, 99]);
        assert_eq!(pieces(&[1, 2, 3, 5000, 4, 5]), [1, 5, 5000, 9]);
    }

    #[test]
    fn claims_no_more_than_there_is_and_gives_it_back() {
        let budget = Budget::new(10, Metrics::new(&[]));
        let mut one = budget.claim();
        assert!(one.extend_to(4) && one.extend_to(2) && one.extend_to(6));
        let mut other = budget.claim();
        assert!(!other.extend_to(5));
        assert!(other.extend_to(4));
        assert!(!one.extend_to(7));
        drop(other);
        assert!(one.extend_to(10));
        assert!(!budget.claim().extend_to(usize::MAX));
    }
}
