//! Requests that are not HTTP/1.1 in the one form that all programs read alike. Nothing in them can be a webhook of Wonder's. Pure.

use crate::net::intake::HeadError;

/// What is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    LineEnd,
    RequestLine,
    Version,
    HeaderLine,
    FoldedHeader,
    TwoHosts,
    ContentLength,
    TransferEncoding,
    LengthAndEncoding,
    TooManyHeaders,
    HeadTooLarge,
    /// The body ends before its length or its last chunk, or a chunk is malformed.
    Body,
}

impl Malformed {
    pub(super) const ALL: [Self; 12] = [
        Self::LineEnd,
        Self::RequestLine,
        Self::Version,
        Self::HeaderLine,
        Self::FoldedHeader,
        Self::TwoHosts,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::LengthAndEncoding,
        Self::TooManyHeaders,
        Self::HeadTooLarge,
        Self::Body,
    ];

    /// The fault of a head; `None` if it lies in the time or in this listener, or in the target, which has a name at the verifier.
    pub(super) fn of(error: HeadError) -> Option<Self> {
        match error {
            HeadError::BareLineEnd => Some(Self::LineEnd),
            HeadError::RequestLine => Some(Self::RequestLine),
            HeadError::Version => Some(Self::Version),
            HeadError::LongName | HeadError::HeaderLine => Some(Self::HeaderLine),
            HeadError::FoldedHeader => Some(Self::FoldedHeader),
            HeadError::TwoHosts => Some(Self::TwoHosts),
            HeadError::ContentLength => Some(Self::ContentLength),
            HeadError::TransferEncoding => Some(Self::TransferEncoding),
            HeadError::LengthAndEncoding => Some(Self::LengthAndEncoding),
            HeadError::TooManyHeaders => Some(Self::TooManyHeaders),
            HeadError::HeadTooLarge => Some(Self::HeadTooLarge),
            HeadError::Target
            | HeadError::LongTarget
            | HeadError::Fragment
            | HeadError::HeadTimeout
            | HeadError::Draining
            | HeadError::Evicted => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LineEnd => "line_end",
            Self::RequestLine => "request_line",
            Self::Version => "http_version",
            Self::HeaderLine => "header_line",
            Self::FoldedHeader => "header_folded",
            Self::TwoHosts => "host_repeated",
            Self::ContentLength => "content_length",
            Self::TransferEncoding => "transfer_encoding",
            Self::LengthAndEncoding => "length_and_encoding",
            Self::TooManyHeaders => "too_many_headers",
            Self::HeadTooLarge => "head_too_large",
            Self::Body => "body_broken",
        }
    }

    pub(super) fn likely_cause(self) -> &'static str {
        match self {
            Self::LineEnd | Self::RequestLine | Self::HeaderLine | Self::FoldedHeader => {
                "another program than Wonder sent this: its head is not valid HTTP/1.1"
            }
            Self::Version => {
                "the sender uses another version of HTTP; have the reverse proxy forward webhooks over HTTP/1.1"
            }
            Self::TwoHosts | Self::ContentLength | Self::TransferEncoding | Self::LengthAndEncoding => {
                "programs read this head in different ways, as in request smuggling; no proxy should forward it"
            }
            Self::TooManyHeaders => {
                "another program than Wonder sent this, or proxies add headers; then raise limits.headers"
            }
            Self::HeadTooLarge => {
                "another program than Wonder sent this, or proxies add headers; then raise limits.header_bytes"
            }
            Self::Body => {
                "the sender or a proxy closed the connection within the body, or another program than Wonder wrote a malformed chunk"
            }
        }
    }
}
