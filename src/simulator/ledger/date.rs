//! Dates and times as Wonder writes them in bodies and queries.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::signing::RequestTime;

const DAY: u64 = 86_400;

/// A calendar day, `YYYY-MM-DD`, as a count of days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Date(u64);

impl Date {
    /// The end of the day in UTC, in seconds since 1970.
    pub(crate) fn end(self) -> u64 {
        (self.0 + 1) * DAY
    }

    /// The last day in UTC that has ended at `now`.
    pub(crate) fn before(now: u64) -> Self {
        Self((now / DAY).saturating_sub(1))
    }

    /// The start of the day in UTC, in seconds since 1970.
    pub(crate) fn start(self) -> u64 {
        self.0 * DAY
    }
}

impl FromStr for Date {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(());
        }
        let time: RequestTime = format!("{}000000", text.replace('-', "")).parse().map_err(|_| ())?;
        Ok(Self(time.unix_seconds() / DAY))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rfc3339(self.start())[..10])
    }
}

/// `2026-02-14T09:30:05Z`, from seconds since 1970.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let digits = RequestTime::from_unix_seconds(seconds).to_text();
    let digits = digits.as_str();
    let [year, month, day] = [&digits[..4], &digits[4..6], &digits[6..8]];
    let [hour, minute, second] = [&digits[8..10], &digits[10..12], &digits[12..]];
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")
}

/// Reads RFC 3339 (`2026-01-05T15:43:18+08:00`) or a date, which is the start of its day; seconds since 1970. A fraction of a second is
/// cut off. A space before the offset counts as `+`, because a query's raw `+` decodes to a space.
pub(crate) fn parse_time(text: &str) -> Option<u64> {
    if let Ok(date) = text.parse::<Date>() {
        return Some(date.start());
    }
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = time.split_at_checked(8)?;
    let bytes = clock.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let digits = format!("{}{}", date.replace('-', ""), clock.replace(':', ""));
    date.parse::<Date>().ok()?;
    let local = i64::try_from(digits.parse::<RequestTime>().ok()?.unix_seconds()).ok()?;
    let fraction = rest.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    let offset = match rest.get(fraction..)? {
        "Z" | "z" => 0,
        offset => {
            let (sign, offset) = match offset.strip_prefix('-') {
                Some(offset) => (-1, offset),
                None => (1, offset.strip_prefix(['+', ' '])?),
            };
            let (hours, minutes) = offset.split_once(':')?;
            let number =
                |text: &str, most: i64| text.parse().ok().filter(|n| text.len() == 2 && (0..=most).contains(n));
            sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60)
        }
    };
    u64::try_from(local - offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_days_that_exist() {
        for text in ["1970-01-01", "2024-02-29", "2026-12-31", "9999-12-31"] {
            assert_eq!(text.parse::<Date>().unwrap().to_string(), text);
        }
        for text in
            ["", "2026-02-30", "2026-13-01", "26-01-01", "2026/01/01", "2026-1-1", "20260101", "2026-01-01T00:00:00Z"]
        {
            assert_eq!(text.parse::<Date>(), Err(()), "{text}");
        }
    }

    #[test]
    fn reads_times_with_every_kind_of_offset() {
        let expected = 1_767_598_998; // 2026-01-05T07:43:18Z
        for text in [
            "2026-01-05T15:43:18+08:00",
            "2026-01-05T15:43:18 08:00",
            "2026-01-05T07:43:18Z",
            "2026-01-05t07:43:18.999z",
            "2026-01-05 07:43:18Z",
            "2026-01-05T02:13:18-05:30",
        ] {
            assert_eq!(parse_time(text), Some(expected), "{text}");
        }
        assert_eq!(rfc3339(expected), "2026-01-05T07:43:18Z");
        assert_eq!(parse_time("2026-01-05"), Some(expected - expected % 86_400));
        for text in [
            "",
            "x",
            "2026-01-05T15:43",
            "2026-01-05T15:43:18",
            "2026-01-05T25:00:00Z",
            "2026-01-05T15:43:18+8:00",
            "1767598998",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
