//! The deadline for the response head: `timeouts.request` after the request head, or earlier if the caller asks for it.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};

use crate::{config::duration_of, contract::Code, net::respond::Failure};

/// Request header by which a caller shortens its own deadline: `X-Wonder-Signer-Timeout: 10s`. It is not forwarded.
const TIMEOUT: HeaderName = HeaderName::from_static("x-wonder-signer-timeout");

/// A point in time, and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    at: Instant,
    by_caller: bool,
}

impl Deadline {
    /// For a request whose head arrived at `started`. A caller cannot have more time than is `configured`.
    pub(super) fn of(headers: &HeaderMap, started: Instant, configured: Duration) -> Result<Self, Failure> {
        let mut given = headers.get_all(TIMEOUT).iter();
        let own = match (given.next(), given.next()) {
            (None, _) => None,
            (Some(value), None) => Some(duration_of(value.to_str().unwrap_or_default()).map_err(refused)?),
            (Some(_), Some(_)) => return Err(refused("occurs more than once")),
        };
        if own.is_some_and(|own| own.is_zero()) {
            return Err(refused("must be longer than zero"));
        }
        Ok(match own.filter(|own| *own < configured) {
            Some(own) => Self { at: started + own, by_caller: true },
            None => Self { at: started + configured, by_caller: false },
        })
    }

    pub(super) fn at(self) -> Instant {
        self.at
    }

    /// The failure of a request without a response head in time.
    pub(super) fn missed(self) -> Failure {
        let by = if self.by_caller { "X-Wonder-Signer-Timeout" } else { "timeouts.request" };
        Failure::new(Code::UpstreamTimeout, format!("no answer in time ({by})"))
    }
}

fn refused(why: impl std::fmt::Display) -> Failure {
    Failure::new(Code::BadRequest, format!("X-Wonder-Signer-Timeout: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Duration = Duration::from_secs(28);

    fn given(values: &[&[u8]]) -> Result<(Duration, bool), String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TIMEOUT, http::HeaderValue::from_bytes(value).unwrap());
        }
        let started = Instant::now();
        Deadline::of(&headers, started, CONFIGURED)
            .map(|deadline| (deadline.at() - started, deadline.by_caller))
            .map_err(|failure| format!("{} {failure}", failure.code.as_str()))
    }

    #[test]
    fn a_caller_may_shorten_its_deadline_and_not_lengthen_it() {
        let ms = Duration::from_millis;
        for (value, expected) in [
            ("10s", (ms(10_000), true)),
            ("250ms", (ms(250), true)),
            ("1s 500ms", (ms(1_500), true)),
            (" 2s ", (ms(2_000), true)),
            ("28s", (CONFIGURED, false)),
            ("29s", (CONFIGURED, false)),
            ("500years", (CONFIGURED, false)),
        ] {
            assert_eq!(given(&[value.as_bytes()]), Ok(expected), "{value}");
        }
        assert_eq!(given(&[]), Ok((CONFIGURED, false)));
    }

    #[test]
    fn refuses_what_is_no_duration_and_repeats_nothing_of_it() {
        let wrong: &[&[&[u8]]] = &[
            &[b""],
            &[b"10"],
            &[b"0"],
            &[b"0s"],
            &[b"0ms 0s"],
            &[b"-1s"],
            &[b"1.5.5s"],
            &[b"MARKER"],
            &[b"10 MARKER"],
            &[b"10s, 20s"],
            &[b"10s", b"10s"],
            &[b"10s", b"20s"],
            &[b"\xff"],
            &[b"99999999999999999999s"],
        ];
        for values in wrong {
            let error = given(values).unwrap_err();
            assert!(error.starts_with("bad_request X-Wonder-Signer-Timeout: "), "{error}");
            assert!(!error.contains("MARKER"), "{error}");
        }
    }
}
