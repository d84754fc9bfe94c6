//! The time of day. Other modules get it here, because libraries panic if the clock is before 1970.

use std::time::{Duration, SystemTime};

use rustls::{pki_types::UnixTime, time_provider::TimeProvider};

use crate::signing::RequestTime;

/// The system's clock, for checking certificates. Before 1970 it returns no time, and the handshake fails with a reason.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl TimeProvider for SystemClock {
    fn current_time(&self) -> Option<UnixTime> {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

/// The time since 1970-01-01T00:00:00Z; none before.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The time of a request that is made now.
pub(crate) fn request_time() -> RequestTime {
    RequestTime::from_unix_seconds(since_1970().as_secs())
}

/// Whether the clock can be written into a `Date` header (RFC 9110 §5.6.7), which the HTTP library does for every answer.
#[must_use]
pub(crate) fn has_date() -> bool {
    // The header has four digits for the year.
    const YEAR_10000: u64 = 253_402_300_800;
    SystemClock.current_time().is_some_and(|now| now.as_secs() < YEAR_10000)
}
