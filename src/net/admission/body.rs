//! Reads a request body: within its size, within its time, and in the chunks in which it arrives.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    arrivals::{Arrivals, Listed, NextFrame},
    budget::{Budget, Reservation},
    chunk_buffer::ChunkBuffer,
};
use crate::{contract::Code, net::respond::Failure};

/// The largest body of a rejected request that is read, and how long that may take.
const DISCARDED: (u64, Duration) = (64 << 10, Duration::from_millis(100));

/// A whole request body in the chunks in which it arrived, and the memory that it reserves.
pub(crate) struct BufferedBody {
    /// In their order.
    pub(crate) chunks: Vec<Bytes>,
    /// Bytes of all chunks.
    pub(crate) length: usize,
    _reservation: Reservation,
}

/// The limits of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Bytes.
    pub(crate) size: usize,
    /// The configuration key that sets `size`.
    pub(crate) size_key: &'static str,
    /// From the request head to the last byte.
    pub(crate) time: Duration,
}

/// The state that the bodies of all requests share.
pub(super) struct Shared {
    pub(super) budget: Budget,
    pub(super) arrivals: Arrivals,
    /// How long a request waits for the memory of bodies that are behind.
    pub(super) queue: Duration,
}

/// A body while it is read.
struct BodyReader<'a> {
    shared: &'a Shared,
    began: Instant,
    deadline: Instant,
    reservation: Reservation,
    chunks: ChunkBuffer,
    /// Set from the first wait on.
    listed: Option<Listed<'a>>,
}

/// Reads the whole body within `limits` and within the remaining memory for all bodies.
pub(super) async fn read(mut body: Incoming, limits: BodyLimits, shared: &Shared) -> Result<BufferedBody, Failure> {
    // Before the first read, because that lets a caller with `Expect: 100-continue` send its body.
    if body.size_hint().lower() > limits.size as u64 {
        return Err(too_large(limits));
    }
    let (began, chunks) = (Instant::now(), ChunkBuffer::default());
    let (deadline, reservation) = (began + limits.time, shared.budget.reservation());
    let mut reading = BodyReader { shared, began, deadline, reservation, chunks, listed: None };
    reading.reserve(usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX)).await?;
    while !body.is_end_stream() {
        let frame = match reading.next(&mut body).await? {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                return Err(Failure::new(Code::BadRequest, "the request body broke off").because(&error));
            }
            None => break,
        };
        // Trailers are not signed and not forwarded.
        let Ok(chunk) = frame.into_data() else { continue };
        let length = reading.chunks.length() + chunk.len();
        if length > limits.size {
            return Err(too_large(limits));
        }
        reading.reserve(length).await?;
        reading.chunks.push(chunk);
    }
    let (chunks, length) = reading.chunks.finish();
    Ok(BufferedBody { chunks, length, _reservation: reading.reservation })
}

impl BodyReader<'_> {
    /// Waits for the next frame.
    async fn next(&mut self, body: &mut Incoming) -> Result<NextFrame, Failure> {
        // Most bodies have arrived together with their head, and are never listed. A listed one may have been evicted.
        if self.listed.is_none()
            && let Some(frame) = body.frame().now_or_never()
        {
            return Ok(frame);
        }
        let Self { shared, began, deadline, chunks, listed, .. } = self;
        let listed = listed.get_or_insert_with(|| shared.arrivals.list(*began, chunks.length()));
        listed.next(body, *deadline).await
    }

    /// Claims memory for `bytes`. If there is too little, bodies that are behind are evicted.
    async fn reserve(&mut self, bytes: usize) -> Result<(), Failure> {
        let Self { shared, began, deadline, reservation, chunks, listed } = self;
        if reservation.extend_to(bytes) {
            return Ok(());
        }
        let Shared { arrivals, queue, .. } = shared;
        let listed = &*listed.get_or_insert_with(|| arrivals.list(*began, chunks.length()));
        let latest = (*deadline).min(Instant::now() + *queue);
        tokio::select! {
            biased;
            () = reservation.extended_to(bytes) => Ok(()),
            evicted = listed.evicted() => Err(evicted),
            () = arrivals.evict_all_behind(Some(listed)) => {
                Err(if listed.is_evicted() { super::arrivals::evicted() } else { no_memory() })
            }
            () = sleep_until(latest) => Err(no_memory()),
        }
    }
}

fn no_memory() -> Failure {
    Failure::new(Code::Overloaded, "too many bytes of bodies in memory (limits.buffered)")
}

fn too_large(BodyLimits { size, size_key, .. }: BodyLimits) -> Failure {
    Failure::new(Code::BodyTooLarge, format!("the request body is larger than {size} bytes ({size_key})"))
}

/// Reads and discards the small body of a rejected request, so that its connection can be kept: a new connection costs more than a
/// rejection. Returns false for a large body, and for a caller that waits for `100 Continue`.
pub(crate) async fn discard_small(request: Request<Incoming>) -> bool {
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
