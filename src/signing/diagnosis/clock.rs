//! Whether a request time is one that Wonder accepts, and if not, whether it looks like local time.

use std::fmt;

use crate::signing::{
    RequestTime,
    window::{REQUEST_TOLERANCE_SECONDS, Window},
};

/// How many seconds a clock with local time may also be wrong.
const DRIFT_SECONDS: i64 = 120;

/// Seconds in half a day, the error of a 12-hour clock.
const HALF_DAY: i64 = 12 * 3600;

/// An offset from UTC in minutes, positive to the east: `UTC+08:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offset(pub i32);

impl Offset {
    /// The offsets in use: quarters of an hour from UTC-12:00 to UTC+14:00. No time zone is less than an hour from UTC; a difference of
    /// 30 or 45 minutes is a wrong clock.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (-12 * 4_i32..=14 * 4).filter(|quarters| quarters.abs() >= 4).map(|quarters| Self(quarters * 15))
    }

    pub(super) fn seconds(self) -> i64 {
        i64::from(self.0) * 60
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "UTC{sign}{:02}:{:02}", self.0.abs() / 60, self.0.abs() % 60)
    }
}

/// The likely state of the clock behind a request time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Within 30 minutes.
    Right,
    /// Off by an offset from UTC that is in use.
    LocalTime(Offset),
    /// Off by half a day, within the same day and with an hour that a 12-hour clock shows.
    TwelveHours,
    /// Off by these seconds: positive is ahead.
    Off(i64),
}

impl Clock {
    /// Compares a request time with the time `now`.
    #[must_use]
    pub fn judge(request_time: RequestTime, now: RequestTime) -> Self {
        if Window::REQUEST.check(request_time, now).is_ok() {
            return Self::Right;
        }
        let off = request_time.unix_seconds().cast_signed() - now.unix_seconds().cast_signed();
        let near = |wanted: i64| (off - wanted).abs() <= DRIFT_SECONDS;
        let hour = request_time.unix_seconds() % 86_400 / 3600;
        // At 13:00 a 12-hour clock shows 01, at midnight 12.
        if (near(-HALF_DAY) && (1..12).contains(&hour)) || (near(HALF_DAY) && hour == 12) {
            return Self::TwelveHours;
        }
        Offset::all().find(|offset| near(offset.seconds())).map_or(Self::Off(off), Self::LocalTime)
    }
}

/// A sentence without a full stop.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Right => f.write_str("the request time is within 30 minutes"),
            Self::LocalTime(offset) => {
                write!(f, "the request time looks like local time ({offset}) in place of UTC; Wonder rejects it")
            }
            Self::TwelveHours => f.write_str(
                "the request time looks like that of a 12-hour clock (hh in place of HH in the format); Wonder rejects it",
            ),
            Self::Off(seconds) => {
                let way = if seconds < 0 { "behind" } else { "ahead" };
                let seconds = seconds.unsigned_abs();
                write!(f, "the request time is {seconds} s {way}; Wonder rejects it beyond {REQUEST_TOLERANCE_SECONDS} s")
            }
        }
    }
}
