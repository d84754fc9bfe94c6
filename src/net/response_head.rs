//! Checks response heads of the origin before they are forwarded, and normalises their framing. Pure.
//!
//! The HTTP library has already parsed the answer. Callers parse the forwarded answer again, perhaps differently.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, response::Parts};

use super::respond::Failure;
use crate::{
    config,
    contract::{Code, Sent},
};

/// How large a response head may be, in every version of HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    /// Header lines.
    pub(crate) headers: usize,
    /// Bytes of the status line and the headers.
    pub(crate) bytes: usize,
}

impl From<&config::Limits> for HeadLimits {
    fn from(limits: &config::Limits) -> Self {
        Self { headers: limits.response_headers, bytes: limits.response_header_bytes }
    }
}

impl HeadLimits {
    /// As a limit of HTTP/2, which adds 32 bytes for each header and `:status` (RFC 9113 §6.5.2).
    pub(super) fn as_list_size(self) -> u32 {
        u32::try_from(self.bytes + 32 * (self.headers + 2)).unwrap_or(u32::MAX)
    }
}

/// Rejects a head that cannot be forwarded, and leaves at most one `Content-Length`, which is a plain number.
pub(crate) fn check(head: &mut Parts, limits: HeadLimits) -> Result<(), Failure> {
    let headers = &mut head.headers;
    if head.status.is_informational() {
        return Err(bad("the origin switched to a protocol that the request did not ask for"));
    }
    if headers.len() > limits.headers {
        return Err(bad("the origin's answer has too many header lines (limits.response_headers)"));
    }
    if size(headers) > limits.bytes {
        return Err(bad("the head of the origin's answer is too large (limits.response_header_bytes)"));
    }
    let encoded = check_transfer_encoding(headers)?;
    if encoded && headers.contains_key(header::CONTENT_LENGTH) {
        // RFC 9112 §6.3: ought to be treated as an error. Forwarded, the length would truncate the answer unnoticed.
        return Err(bad("the origin framed its answer in two ways (Transfer-Encoding and Content-Length)"));
    }
    settle_length(headers)?;
    if is_bodiless(head.status) {
        // The answer has no body.
        headers.remove(header::CONTENT_LENGTH);
    }
    Ok(())
}

/// Whether the answer to a request with `method` can have a body, independent of its headers (RFC 9112 §6.3).
#[must_use]
pub(crate) fn has_body(method: &Method, status: StatusCode) -> bool {
    method != Method::HEAD && !is_bodiless(status)
}

fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Bytes of the headers as HTTP/1.1 writes them.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

/// Whether the body is chunked. Rejects every other `Transfer-Encoding`: the HTTP library decodes only `chunked`, so another coding would stay
/// applied to the body (RFC 9112 §7) while its header is removed. The request has no `TE`, so no other coding is allowed.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<bool, Failure> {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(false),
        (Some(only), None) if only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(bad("the origin's answer has a Transfer-Encoding other than chunked")),
    }
}

/// RFC 9112 §6.3 accepts several equal lengths as one. Parsers disagree on repeated lengths, so only one is kept.
fn settle_length(headers: &mut HeaderMap) -> Result<(), Failure> {
    let mut length = None;
    for line in headers.get_all(header::CONTENT_LENGTH) {
        for text in line.as_bytes().split(|byte| *byte == b',') {
            let number = number(text.trim_ascii());
            if number.is_none() || (length.is_some() && length != number) {
                return Err(bad("the origin's answer has a Content-Length that is no number, or several that differ"));
            }
            length = number;
        }
    }
    let Some(length) = length else { return Ok(()) };
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(length);
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    if lines.next().is_none_or(|first| first != digits) || lines.next().is_some() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(())
}

/// The length of the body that a checked head declares. One too large to count is the largest there is.
#[must_use]
pub(crate) fn length(headers: &HeaderMap) -> Option<usize> {
    let length = number(headers.get(header::CONTENT_LENGTH)?.as_bytes())?;
    Some(usize::try_from(length).unwrap_or(usize::MAX))
}

/// Digits only.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| str::from_utf8(text).ok()?.parse().ok()).flatten()
}

fn bad(reason: &'static str) -> Failure {
    Failure::new(Code::UpstreamBadResponse, reason).with_sent(Sent::Maybe)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Response};

    use super::*;

    const LIMITS: HeadLimits = HeadLimits { headers: 4, bytes: 100 };

    /// The remaining headers, or the reason of the rejection.
    fn checked(status: u16, lines: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let mut head = Response::builder().status(status).body(()).unwrap().into_parts().0;
        for (name, value) in lines {
            head.headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        check(&mut head, LIMITS).map_err(|failure| {
            assert_eq!((failure.code, failure.sent), (Code::UpstreamBadResponse, Sent::Maybe));
            failure.to_string()
        })?;
        Ok(head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect())
    }

    #[test]
    fn leaves_one_length_that_is_a_number() {
        for lines in [
            &[("content-length", "8")][..],
            &[("content-length", "8, 8")],
            &[("content-length", "8,8 ,\t8")],
            &[("content-length", "8"), ("content-length", "8")],
            &[("content-length", "08")],
            &[("content-length", "8"), ("content-length", "008, 8")],
        ] {
            assert_eq!(checked(200, lines).unwrap(), ["content-length: 8"], "{lines:?}");
        }
        for lines in [
            &[("content-length", "8, 9")][..],
            &[("content-length", "8"), ("content-length", "9")],
            &[("content-length", "8,")],
            &[("content-length", "")],
            &[("content-length", "+8")],
            &[("content-length", "-8")],
            &[("content-length", "0x8")],
            &[("content-length", "8 8")],
            &[("content-length", "8;8")],
            &[("content-length", "18446744073709551616")],
        ] {
            assert!(checked(200, lines).unwrap_err().contains("Content-Length"), "{lines:?}");
        }
    }

    #[test]
    fn rejects_every_transfer_coding_but_chunked() {
        assert!(checked(200, &[("transfer-encoding", "Chunked")]).is_ok());
        for lines in [
            &[("transfer-encoding", "gzip, chunked")][..],
            &[("transfer-encoding", "gzip")],
            &[("transfer-encoding", "identity")],
            &[("transfer-encoding", "chunked, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "chunked;q=1")],
            &[("transfer-encoding", "")],
            &[("transfer-encoding", "chunked"), ("content-length", "8")],
        ] {
            assert!(checked(200, lines).unwrap_err().contains("Transfer-Encoding"), "{lines:?}");
        }
    }

    #[test]
    fn names_the_limit_that_a_head_exceeds() {
        let lines = [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("a", "5")];
        assert!(checked(200, &lines[..4]).is_ok());
        assert!(checked(200, &lines).unwrap_err().contains("limits.response_headers"));
        assert!(checked(200, &[("a", &"x".repeat(95))]).is_ok());
        assert!(checked(200, &[("a", &"x".repeat(96))]).unwrap_err().contains("limits.response_header_bytes"));
    }

    #[test]
    fn an_answer_that_has_no_body_has_no_length() {
        for status in [204, 304] {
            assert_eq!(checked(status, &[("content-length", "8"), ("etag", "x")]).unwrap(), ["etag: x"]);
        }
        assert!(checked(101, &[]).is_err());
    }
}
