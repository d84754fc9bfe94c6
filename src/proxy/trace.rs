//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): reads and writes `traceparent`. Pure.
//!
//! Of a caller's header only the two ids and one flag are used, and only if all of it is valid.

use std::fmt;

use http::{HeaderMap, HeaderName};
use rand::Rng;

use crate::telemetry::{Requests, SpanId, Trace, TraceId};

/// Names the trace of a request, and the caller's span in it.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Data of other tracing systems; without its `traceparent` it has no meaning.
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The content of a `traceparent`: `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traceparent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    /// Whether the sender may have recorded its span.
    pub(super) sampled: bool,
}

impl Traceparent {
    /// The one valid `traceparent`, if there is one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        match (given.next(), given.next()) {
            (Some(value), None) => Self::parse(value.as_bytes()),
            _ => None,
        }
    }

    /// §3.2.2: version, 16 bytes of trace, 8 bytes of parent, flags, in lower-case hexadecimal; no id is all zeros. A version after
    /// 00 may continue after a dash; version ff is forbidden.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(55)?;
        if known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
            return None;
        }
        let [version] = bytes(&known[..2])?;
        let well_ended = rest.is_empty() || (version > 0 && rest[0] == b'-');
        let [flags] = bytes(&known[53..])?;
        let (trace, span) = (bytes(&known[3..35])?, bytes(&known[36..52])?);
        if version == 0xff || !well_ended || trace == [0; 16] || span == [0; 8] {
            return None;
        }
        Some(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }
}

/// As the header's value, in version 00.
impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// The position of a request in a trace: in its caller's, or in a new one if it is recorded or forwarded.
pub(super) fn position(caller: Option<Traceparent>, requests: &Requests, rng: &mut impl Rng) -> Option<Trace> {
    if caller.is_none() && !requests.makes_traceparent() && !requests.has_recorder() {
        return None;
    }
    // An id of zeros is invalid (W3C Trace Context §3.2.2.3).
    let mut random = || rng.r#gen::<u64>().max(1).to_be_bytes();
    let span = SpanId(random());
    let (id, parent) = if let Some(Traceparent { trace, span, .. }) = caller {
        (trace, Some(span))
    } else {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&random());
        id[8..].copy_from_slice(&random());
        (TraceId(id), None)
    };
    Some(Trace { id, span, parent, recorded: requests.wants(id, caller.map(|caller| caller.sampled)) })
}

fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_and_writes_the_example_of_the_specification() {
        let parent = Traceparent::parse(VALID.as_bytes()).unwrap();
        assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span.to_string(), "00f067aa0ba902b7");
        assert!(parent.sampled);
        assert_eq!(parent.to_string(), VALID);
    }

    #[test]
    fn reads_only_the_lowest_flag() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true), ("fe", false)] {
            let text = VALID.replace("-01", &format!("-{flags}"));
            assert_eq!(Traceparent::parse(text.as_bytes()).unwrap().sampled, sampled, "{flags}");
        }
    }

    #[test]
    fn reads_the_known_part_of_later_versions() {
        for valid in [VALID.replacen("00", "01", 1), VALID.replacen("00", "fe", 1) + "-what-comes-later"] {
            assert_eq!(Traceparent::parse(valid.as_bytes()), Traceparent::parse(VALID.as_bytes()), "{valid}");
        }
    }

    #[test]
    fn ignores_an_invalid_header() {
        for invalid in [
            "",
            "00-1-2-01",
            &VALID[..54],
            &format!("{VALID}-more"),
            &format!("{VALID} "),
            &format!(" {}", &VALID[..54]),
            &VALID.replacen("00", "ff", 1),
            &(VALID.replacen("00", "01", 1) + "more"),
            &VALID.to_uppercase(),
            &VALID.replace("4bf9", "4bg9"),
            &VALID.replace("-01", "_01"),
            &VALID.replace("-01", "-0x"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é1",
        ] {
            assert_eq!(Traceparent::parse(invalid.as_bytes()), None, "{invalid}");
        }
    }

    #[test]
    fn ignores_two_headers() {
        let mut headers = HeaderMap::new();
        assert_eq!(Traceparent::of(&headers), None);
        headers.append(TRACEPARENT, VALID.parse().unwrap());
        assert!(Traceparent::of(&headers).is_some());
        headers.append(TRACEPARENT, VALID.parse().unwrap());
        assert_eq!(Traceparent::of(&headers), None);
    }
}
