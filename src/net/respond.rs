//! The error contract: every answer that is not Wonder's own is made here, and says which error it is and whether the
//! request may have reached Wonder.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

pub use crate::contract::Code;
use crate::contract::{ERROR, Envelope, SENT, Sent};

/// Request and response header that names one request in every log it passes.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One failure: what the caller is told, and what only the log hears.
#[derive(Debug)]
pub struct Failure {
    /// Which error.
    pub code: Code,
    /// Whether any byte of the request may have been handed to a connection.
    pub sent: Sent,
    message: Cow<'static, str>,
    cause: Option<String>,
    closes: bool,
}

impl Failure {
    /// A failure before anything was sent; `message` is one sentence for the caller, without anything secret.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, sent: Sent::No, message: message.into(), cause: None, closes: false }
    }

    /// The same, after the request may have been sent.
    #[must_use]
    pub fn with_sent(mut self, sent: Sent) -> Self {
        self.sent = sent;
        self
    }

    /// Adds what the log is to say, the sources of `cause` included.
    #[must_use]
    pub fn because(mut self, cause: &dyn std::error::Error) -> Self {
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(cause) = source {
            let next = cause.to_string();
            // hyper and rustls repeat their source's text in their own.
            if !text.ends_with(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            source = cause.source();
        }
        self.cause = Some(text);
        self
    }

    /// Ends the connection after the answer: the rest of the request is unread or cannot be told from the next one.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// The cause, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The answer, in the shape of Wonder's envelope (`wonder-api.md` §4) with `code` a string.
    #[must_use]
    pub fn respond(&self, request_id: &HeaderValue) -> Response<Bytes> {
        let envelope = Envelope::new(self.code, self.sent, &self.message, request_id.to_str().unwrap_or_default());
        let mut response = Response::new(Bytes::from(envelope.to_json()));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ERROR, HeaderValue::from_static(self.code.as_str()));
        headers.insert(SENT, HeaderValue::from_static(self.sent.as_str()));
        headers.insert(REQUEST_ID, request_id.clone());
        if self.code.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_wonders_envelope_with_the_code_in_header_and_body() {
        let failure = Failure::new(Code::BodyTooLarge, "too big").closing();
        let response = failure.respond(&HeaderValue::from_static("r-1"));
        assert_eq!(response.status(), 413);
        assert_eq!(response.headers()["x-wonder-signer-error"], "body_too_large");
        assert_eq!(response.headers()["x-wonder-signer-sent"], "no");
        assert_eq!(response.headers()["x-request-id"], "r-1");
        assert_eq!(response.headers()["connection"], "close");
        assert_eq!(
            response.body(),
            r#"{"code":"SIGNER_BODY_TOO_LARGE","message":"too big","request_id":"r-1","sent":"no"}"#
        );
    }

    #[test]
    fn tells_when_to_come_back_where_that_helps() {
        for code in Code::ALL {
            let response = Failure::new(*code, "x").respond(&HeaderValue::from_static("r"));
            let waits = matches!(code, Code::Overloaded | Code::Draining | Code::NoKey);
            assert_eq!(response.headers().contains_key("retry-after"), waits, "{code:?}");
        }
    }
}
