//! The difference between our clock and the origin's. It is only reported: requests are stamped with our own time.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// Seconds that our clock is ahead of the origin's `Date` (RFC 9110 §6.6.1), assuming that the origin read its clock halfway
/// between sending and receiving. `None` if an answer has no such header, or is from a cache (`Age`).
pub(super) fn seconds_ahead(headers: &HeaderMap, received: SystemTime, took: Duration) -> Option<f64> {
    if headers.contains_key(header::AGE) {
        return None;
    }
    let theirs = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    // The header has whole seconds, rounded down: on average half a second is missing.
    let theirs = theirs.checked_add(Duration::from_millis(500))?;
    let ours = received.checked_sub(took / 2)?;
    Some(match ours.duration_since(theirs) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(headers: &[(&'static str, &'static str)], received: u64, took: u64) -> Option<f64> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let received = SystemTime::UNIX_EPOCH + Duration::from_millis(received);
        seconds_ahead(&headers, received, Duration::from_millis(took))
    }

    #[test]
    fn compares_the_date_with_the_middle_of_the_exchange() {
        let date = ("date", "Thu, 01 Jan 1970 00:01:00 GMT");
        for (received, took, expected) in
            [(60_500, 0, 0.0), (61_500, 2_000, 0.0), (70_500, 0, 10.0), (50_500, 0, -10.0), (60_000, 1_000, -1.0)]
        {
            assert_eq!(ahead(&[date], received, took), Some(expected), "{received} {took}");
        }
    }

    #[test]
    fn is_unknown_without_a_date_that_was_made_for_this_answer() {
        assert_eq!(ahead(&[], 60_000, 0), None);
        assert_eq!(ahead(&[("date", "yesterday")], 60_000, 0), None);
        assert_eq!(ahead(&[("date", "Thu, 01 Jan 1970 00:01:00 GMT"), ("age", "0")], 60_000, 0), None);
    }
}
