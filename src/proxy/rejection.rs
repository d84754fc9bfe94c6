//! The advice when Wonder rejects the authentication of a request (401 or 403). Pure.
//!
//! Wonder's response body is not logged. The clock can be checked without it, because the `Date` of Wonder's responses shows the
//! difference.

use std::time::Duration;

use http::StatusCode;

use crate::signing::window::REQUEST_TOLERANCE_SECONDS;

/// The cause for the log line; `None` if Wonder accepted the authentication. `clock` is how many seconds this host's clock is ahead of
/// Wonder's.
pub(super) fn cause(status: StatusCode, clock: f64) -> Option<String> {
    if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return None;
    }
    let side = if clock <= -0.5 { "behind" } else { "ahead of" };
    let clock = clock.abs();
    Some(if clock <= Duration::from_secs(REQUEST_TOLERANCE_SECONDS).as_secs_f64() {
        format!(
            "Wonder rejected the authentication, and not for the clock, which is {clock:.0} s {side} Wonder's: check key, AppID, \
             environment and egress address (wonder-signer check --echo)"
        )
    } else {
        format!(
            "Wonder rejected the authentication: the clock is {clock:.0} s {side} Wonder's, which accepts {REQUEST_TOLERANCE_SECONDS} s; \
             correct the host's clock"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_clock_if_it_is_off_and_the_other_causes_if_not() {
        let text = |status, clock| cause(StatusCode::from_u16(status).unwrap(), clock);
        for (status, clock, expected) in [
            (401, 2400.2, "the clock is 2400 s ahead of Wonder's, which accepts 1800 s; correct the host's clock"),
            (403, -1801.0, "the clock is 1801 s behind Wonder's"),
            (401, 1800.0, "not for the clock, which is 1800 s ahead of Wonder's: check key, AppID"),
            (403, -0.2, "not for the clock, which is 0 s ahead of Wonder's: check key, AppID"),
        ] {
            let cause = text(status, clock).unwrap();
            assert!(cause.starts_with("Wonder rejected the authentication") && cause.contains(expected), "{cause}");
        }
        for status in [200, 400, 404, 500] {
            assert_eq!(text(status, 2400.0), None, "{status}");
        }
    }
}
