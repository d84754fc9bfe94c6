//! Parses an HTTP/1 request head as strictly as RFC 9112 allows a server. Pure.

use http::Uri;
use memchr::memchr;

use crate::{contract::Code, contract::Sent, net::respond::Failure};

/// Why a head is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// A line that ends in LF alone, or a CR that no LF follows.
    BareLineEnd,
    /// Not `method SP target SP HTTP/1.x`.
    RequestLine,
    /// HTTP/2, or another version that is not HTTP/1.0 or HTTP/1.1.
    Version,
    /// A byte in the target that must be percent-encoded.
    Target,
    /// A target longer than `LONGEST_TARGET`.
    LongTarget,
    /// A header name longer than `LONGEST_NAME`.
    LongName,
    /// A `#` in the target.
    Fragment,
    /// A line that continues the one before.
    FoldedHeader,
    /// Not `name: value`, a space before the colon, or an invalid byte.
    HeaderLine,
    /// More than one `Host`.
    TwoHosts,
    /// More than one `Content-Length`, or one that is not a number, or too large to count.
    ContentLength,
    /// A `Transfer-Encoding` other than `chunked`, or one in HTTP/1.0.
    TransferEncoding,
    /// `Content-Length` and `Transfer-Encoding`.
    LengthAndEncoding,
    /// More header lines than allowed.
    TooManyHeaders,
    /// More bytes than allowed.
    HeadTooLarge,
    /// It did not arrive in time.
    HeadTimeout,
    /// It was not complete at the end of a drain.
    Draining,
    /// It was not complete when another connection needed the place.
    Evicted,
}

impl From<HeadError> for Failure {
    fn from(refusal: HeadError) -> Self {
        let (code, message) = match refusal {
            HeadError::Draining => return Self::draining(Sent::No),
            HeadError::BareLineEnd => (Code::BadRequest, "a line of the request head does not end in CR LF"),
            HeadError::RequestLine => (Code::BadRequest, "the request line is not of the form METHOD target HTTP/1.1"),
            HeadError::Version => {
                (Code::BadRequest, "this listener accepts only HTTP/1.1; switch the client to HTTP/1.1")
            }
            HeadError::Target => (
                Code::BadTarget,
                "the request target is no path, or has a byte that must be percent-encoded, such as a back slash or a control",
            ),
            HeadError::LongTarget => (Code::HeadersTooLarge, "the request target is longer than 65534 bytes"),
            HeadError::LongName => (Code::HeadersTooLarge, "a header name is longer than 65535 bytes"),
            HeadError::Fragment => (Code::BadTarget, "the request target contains \"#\"; write %23 for a literal one"),
            HeadError::FoldedHeader => (Code::BadRequest, "a header is folded over two lines"),
            HeadError::HeaderLine => (Code::BadRequest, "a header line is not of the form name: value"),
            HeadError::TwoHosts => (Code::BadRequest, "more than one Host header"),
            HeadError::ContentLength => {
                (Code::BadRequest, "Content-Length is repeated, not a number, or too large a number")
            }
            HeadError::TransferEncoding => {
                (Code::BadRequest, "Transfer-Encoding is other than chunked, or in HTTP/1.0")
            }
            HeadError::LengthAndEncoding => (Code::BadRequest, "both Content-Length and Transfer-Encoding"),
            HeadError::TooManyHeaders => (Code::HeadersTooLarge, "too many header lines (limits.headers)"),
            HeadError::HeadTooLarge => (Code::HeadersTooLarge, "the request head is too large (limits.header_bytes)"),
            HeadError::Evicted => {
                (Code::Overloaded, "too many connections (limits.connections), and this request head was not complete")
            }
            HeadError::HeadTimeout => {
                (Code::HeadTimeout, "the request head did not arrive in time (timeouts.request_head)")
            }
        };
        Self::new(code, message).closing()
    }
}

/// hyper rejects a longer target, without the error contract.
const LONGEST_TARGET: usize = 65_534;
/// The same for a header name.
const LONGEST_NAME: usize = 65_535;
/// The HTTP library reserves the two numbers above.
const LARGEST_LENGTH: u64 = u64::MAX - 2;

/// The body that follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// The end of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    Partial,
    /// Its length, including the empty line.
    Whole(usize),
    /// It is invalid, with any continuation.
    Wrong(HeadError),
}

/// How far a head that arrives in several reads has been searched for its end, so that no byte is searched twice.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Search {
    /// The start of the current line.
    line: usize,
    /// The searched length without an end.
    seen: usize,
    /// Whether the request line is one of HTTP/1.0.
    old: bool,
}

/// Searches for the empty line, from where `search` ended before. Each head has a new `search`.
pub(super) fn scan(bytes: &[u8], search: &mut Search) -> Scan {
    if bytes.first().is_some_and(|first| !is_token(*first)) {
        return Scan::Wrong(HeadError::RequestLine);
    }
    // An HTTP/2 client waits for our preface once it has sent its own (RFC 9113 §3.4). No HTTP/1 request begins like that.
    if bytes.starts_with(b"PRI *") {
        return Scan::Wrong(HeadError::Version);
    }
    while let Some(length) = memchr(b'\n', &bytes[search.seen..]) {
        let end = search.seen + length;
        let Some(line) = bytes[search.line..end].strip_suffix(b"\r") else {
            return Scan::Wrong(HeadError::BareLineEnd);
        };
        if line.is_empty() {
            return Scan::Whole(end + 1);
        }
        if search.line == 0 {
            match check_request_line(line) {
                Ok(old) => search.old = old,
                Err(refusal) => return Scan::Wrong(refusal),
            }
        }
        (search.line, search.seen) = (end + 1, end + 1);
    }
    search.seen = bytes.len();
    Scan::Partial
}

/// Checks the headers of a complete head whose end `search` has found, and returns what follows it.
pub(super) fn check(head: &[u8], search: Search, max_headers: usize) -> Result<Framing, HeadError> {
    let (mut length, mut chunked, mut hosts, mut headers) = (None, false, 0, 0);
    let mut rest = memchr(b'\n', head).map_or(&[][..], |end| &head[end + 1..]);
    while let Some(end) = memchr(b'\n', rest) {
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
        headers += 1;
        if headers > max_headers {
            return Err(HeadError::TooManyHeaders);
        }
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.is_some() {
                return Err(HeadError::ContentLength);
            }
            length = Some(number(value).ok_or(HeadError::ContentLength)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || search.old || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::TransferEncoding);
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        }
    }
    match (length, chunked) {
        _ if hosts > 1 => Err(HeadError::TwoHosts),
        (Some(_), true) => Err(HeadError::LengthAndEncoding),
        (Some(0) | None, false) => Ok(Framing::None),
        (Some(length), false) => Ok(Framing::Length(length)),
        (None, true) => Ok(Framing::Chunked),
    }
}

/// Whether it is HTTP/1.0.
fn check_request_line(line: &[u8]) -> Result<bool, HeadError> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::RequestLine);
    };
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', ..] if !version.ends_with(b"\r") => return Err(HeadError::Version),
        _ => return Err(HeadError::RequestLine),
    };
    if method.is_empty() || !method.iter().copied().all(is_token) || target.is_empty() {
        return Err(HeadError::RequestLine);
    }
    if memchr(b'#', target).is_some() {
        return Err(HeadError::Fragment);
    }
    if target.len() > LONGEST_TARGET {
        return Err(HeadError::LongTarget);
    }
    // A target of plain bytes is not parsed twice. The parser accepts a back slash, which some programs read as a slash.
    let plain = target.starts_with(b"/") && target.iter().copied().all(is_plain);
    if !plain && (memchr(b'\\', target).is_some() || Uri::try_from(target).is_err()) {
        return Err(HeadError::Target);
    }
    Ok(old)
}

fn header(line: &[u8]) -> Result<(&[u8], &[u8]), HeadError> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(HeadError::FoldedHeader);
    }
    let colon = memchr(b':', line).ok_or(HeadError::HeaderLine)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let named = !name.is_empty() && name.iter().copied().all(is_token);
    // Without an early return the compiler checks many bytes at a time.
    let valued = value.iter().fold(true, |all, byte| all & matches!(byte, b'\t' | 0x20..=0x7e | 0x80..));
    if name.len() > LONGEST_NAME {
        Err(HeadError::LongName)
    } else if named && valued {
        Ok((name, value.trim_ascii()))
    } else if value.contains(&b'\r') || name.contains(&b'\r') {
        Err(HeadError::BareLineEnd)
    } else {
        Err(HeadError::HeaderLine)
    }
}

/// Digits only, because parsers disagree on a sign, a list or inner white space.
fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number =
        value.iter().try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    number.filter(|number| *number <= LARGEST_LENGTH)
}

/// Letters, digits and `others`, as a table, because every byte of a head is looked up.
const fn letters_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut place = 0;
    while place < others.len() {
        table[others[place] as usize] = true;
        place += 1;
    }
    table
}

/// `tchar` of RFC 9110 §5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    static TOKEN: [bool; 256] = letters_and(b"!#$%&'*+-.^_`|~");
    TOKEN[usize::from(byte)]
}

fn is_plain(byte: u8) -> bool {
    static PLAIN: [bool; 256] = letters_and(b"/?&=%-._~+,:@;!$'()*[]");
    PLAIN[usize::from(byte)]
}

#[cfg(test)]
mod tests;
