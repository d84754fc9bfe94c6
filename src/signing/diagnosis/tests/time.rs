//! Request times: stale, local, and of a 12-hour clock.

use super::*;

#[test]
fn a_stale_time_is_distinguished_from_local_time() {
    let now: RequestTime = TIME.parse().unwrap();
    for (time, expected) in [
        ("20240501120123", Clock::Right),
        ("20240501123123", Clock::Right),
        ("20240501113123", Clock::Right),
        ("20240501123223", Clock::Off(31 * 60)),
        ("20240501124623", Clock::Off(45 * 60)),
        ("20240501130123", Clock::LocalTime(Offset(60))),
        ("20240501200123", Clock::LocalTime(Offset(8 * 60))),
        ("20240501200200", Clock::LocalTime(Offset(8 * 60))),
        ("20240501173123", Clock::LocalTime(Offset(5 * 60 + 30))),
        ("20240501174623", Clock::LocalTime(Offset(5 * 60 + 45))),
        ("20240501050000", Clock::LocalTime(Offset(-7 * 60))),
        ("20240502020123", Clock::LocalTime(Offset(14 * 60))),
        ("20240501000123", Clock::LocalTime(Offset(-12 * 60))),
        ("20240502030123", Clock::Off(15 * 3600)),
        ("20240430230123", Clock::Off(-13 * 3600)),
        ("20240501200623", Clock::Off(8 * 3600 + 300)),
        ("20230501120123", Clock::Off(-366 * 86_400)),
        ("99991231235959", Clock::Off(253_402_300_799 - 1_714_564_883)),
    ] {
        assert_eq!(Clock::judge(time.parse().unwrap(), now), expected, "{time}");
    }
    assert_eq!(
        Clock::LocalTime(Offset(-210)).to_string(),
        "the request time looks like local time (UTC-03:30) in place of UTC; Wonder rejects it"
    );
    assert_eq!(Clock::Off(-5000).to_string(), "the request time is 5000 s behind; Wonder rejects it beyond 1800 s");
}

/// With `hh` in place of `HH` in a time format, the clock is half a day behind in the afternoon, and half a day ahead in the hour after
/// midnight.
#[test]
fn a_12_hour_clock_is_distinguished_from_local_time() {
    for (time, now, expected) in [
        ("20240501010123", "20240501130200", Clock::TwelveHours),
        ("20240501110123", "20240501230123", Clock::TwelveHours),
        ("20240501120123", "20240501000123", Clock::TwelveHours),
        ("20240501130123", "20240501010123", Clock::LocalTime(Offset(12 * 60))),
        ("20240430130123", "20240501010123", Clock::LocalTime(Offset(-12 * 60))),
        ("20240501010623", "20240501130123", Clock::Off(-43_200 + 300)),
    ] {
        assert_eq!(Clock::judge(time.parse().unwrap(), now.parse().unwrap()), expected, "{time} at {now}");
    }
}
