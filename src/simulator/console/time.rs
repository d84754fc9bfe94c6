//! Times as the console writes them, in UTC. Pure.

use crate::{html::Escaped, signing::RequestTime};

/// `09:30:05`.
pub(super) fn clock(unix_seconds: u64) -> String {
    let text = RequestTime::from_unix_seconds(unix_seconds).to_string();
    format!("{}:{}:{}", &text[8..10], &text[10..12], &text[12..])
}

/// `2026-02-14 09:30:05`.
pub(super) fn date_and_clock(unix_seconds: u64) -> String {
    let text = RequestTime::from_unix_seconds(unix_seconds).to_string();
    format!("{}-{}-{} {}", &text[..4], &text[4..6], &text[6..8], clock(unix_seconds))
}

/// The same, from `20260214093005`; any other text is escaped.
pub(super) fn stamp(digits: &str) -> String {
    digits
        .parse::<RequestTime>()
        .map_or_else(|_| Escaped(digits).to_string(), |time| date_and_clock(time.unix_seconds()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_date_and_clock() {
        assert_eq!((date_and_clock(1_771_061_405), clock(0)), ("2026-02-14 09:30:05".into(), "00:00:00".into()));
    }
}
