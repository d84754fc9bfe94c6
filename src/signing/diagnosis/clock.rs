//! Whether a request time is one that Wonder accepts, and if not, whether it looks like local time.

use std::fmt;

use crate::signing::RequestTime;

/// How far a request time may lie from Wonder's own, in seconds (`wonder-api.md` §2.2).
pub const TOLERANCE_SECONDS: u64 = 1800;

/// A clock that shows local time may also be a little wrong, in seconds.
const DRIFT_SECONDS: i64 = 120;

/// What a request time says about the clock that it was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Within 30 minutes.
    Right,
    /// Off by an offset from UTC that is in use somewhere, in minutes: positive is east, ahead of UTC.
    LocalTime(i32),
    /// Off by these seconds: positive is ahead.
    Off(i64),
}

impl Clock {
    /// Compares a request time with the time `now`.
    #[must_use]
    pub fn judge(request_time: RequestTime, now: RequestTime) -> Self {
        let off = request_time.unix_seconds().cast_signed() - now.unix_seconds().cast_signed();
        if off.unsigned_abs() <= TOLERANCE_SECONDS {
            return Self::Right;
        }
        // Offsets in use are whole quarters of an hour from UTC-12:00 to UTC+14:00.
        let quarters = (off + 450).div_euclid(900);
        let near = (off - quarters * 900).abs() <= DRIFT_SECONDS;
        match i32::try_from(quarters * 15) {
            Ok(minutes) if near && (-12 * 60..=14 * 60).contains(&minutes) => Self::LocalTime(minutes),
            _ => Self::Off(off),
        }
    }
}

/// A sentence without a full stop.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Right => f.write_str("the request time is within 30 minutes"),
            Self::LocalTime(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
                write!(
                    f,
                    "the request time looks like local time (UTC{sign}{hours:02}:{minutes:02}) in place of UTC, \
                     Wonder refuses it"
                )
            }
            Self::Off(seconds) => {
                let way = if seconds < 0 { "behind" } else { "ahead" };
                let seconds = seconds.unsigned_abs();
                write!(f, "the request time is {seconds} s {way}, Wonder refuses it beyond {TOLERANCE_SECONDS} s")
            }
        }
    }
}
