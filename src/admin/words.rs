//! Figures as people read them.

use std::time::Duration;

/// `3 d 4 h`, `5 min`, `7 s`: two units at most, and none that is zero.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let both = |large: u64, unit: &str, small: u64, smaller: &str| {
        if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {smaller}") }
    };
    match seconds {
        86_400.. => both(days, "d", hours, "h"),
        3600.. => both(hours, "h", minutes, "min"),
        60.. => both(minutes, "min", seconds % 60, "s"),
        _ => format!("{seconds} s"),
    }
}

/// `12 s ago`, `6 min ago`.
pub(super) fn ago(unix_seconds: u64, now: u64) -> String {
    let seconds = now.saturating_sub(unix_seconds);
    let unit = [86_400, 3600, 60].into_iter().find(|unit| seconds >= *unit).unwrap_or(1);
    format!("{} ago", span(Duration::from_secs(seconds / unit * unit)))
}

/// `02:14:05 UTC, 12 s ago`; with the date where it is not today's.
pub(super) fn moment(unix_seconds: u64, now: u64) -> String {
    let text = crate::signing::RequestTime::from_unix_seconds(unix_seconds).to_text();
    let text = text.as_str();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let date = if unix_seconds / 86_400 == now / 86_400 {
        String::new()
    } else {
        format!("{}-{}-{} ", part(0, 4), part(4, 6), part(6, 8))
    };
    format!("{date}{}:{}:{} UTC, {}", part(8, 10), part(10, 12), part(12, 14), ago(unix_seconds, now))
}

/// `1 request`, `2 requests`.
pub(super) fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

/// `2.0/s`.
pub(super) fn rate(count: f64, window: Duration) -> String {
    format!("{:.1}/s", count / window.as_secs_f64().max(1.0))
}

/// `0.39 ms`, `17.5 ms`, `175 ms`, `2.25 s`.
pub(super) fn duration(seconds: f64) -> String {
    let millis = seconds * 1000.0;
    match millis {
        ..9.995 => format!("{millis:.2} ms"),
        ..99.95 => format!("{millis:.1} ms"),
        ..999.5 => format!("{millis:.0} ms"),
        _ => format!("{seconds:.2} s"),
    }
}

/// `1.2 s ahead of Wonder's`.
pub(super) fn skew(seconds: f64) -> String {
    let side = if seconds < 0.0 { "behind" } else { "ahead of" };
    format!("{:.1} s {side} Wonder's", seconds.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_spans_in_two_units_at_most() {
        let spans = [0, 59, 60, 3599, 3600, 86_399, 86_400, 400_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["0 s", "59 s", "1 min", "59 min 59 s", "1 h", "23 h 59 min", "1 d", "4 d 15 h"]);
    }

    #[test]
    fn writes_durations_with_three_digits() {
        let durations = [0.000_391, 0.009_99, 0.017_5, 0.099_99, 0.175, 0.999_9, 2.25, 61.0].map(duration);
        assert_eq!(durations, ["0.39 ms", "9.99 ms", "17.5 ms", "100 ms", "175 ms", "1.00 s", "2.25 s", "61.00 s"]);
    }

    #[test]
    fn writes_moments_with_their_date_when_it_is_another() {
        // 2026-02-14T09:30:05Z
        assert_eq!(moment(1_771_061_405, 1_771_061_417), "09:30:05 UTC, 12 s ago");
        assert_eq!(moment(1_771_061_405, 1_771_061_405 + 86_400), "2026-02-14 09:30:05 UTC, 1 d ago");
    }
}
