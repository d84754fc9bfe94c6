//! The error contract: makes every answer that is not Wonder's own, with the code of the error and whether the request may have reached
//! Wonder.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};

use crate::{
    contract::{Code, ERROR, Envelope, Row, SENT, Sent},
    policy::Denial,
};

/// Request and response header with the id of the request in every log.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One failure: the answer that the caller receives, and the cause for the log.
#[derive(Debug)]
pub struct Failure {
    /// Which error.
    pub code: Code,
    /// Whether any byte of the request may have been written to a connection.
    pub sent: Sent,
    message: Cow<'static, str>,
    cause: Option<String>,
    closes: bool,
    evicts: bool,
}

/// Extension of an answer whose connection closes soon, because its place and its buffers are needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evicts;

impl Failure {
    /// A failure with the `sent` that the code has by default; `message` is one sentence for the caller, without anything secret.
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, sent: code.rows()[0].sent, message: message.into(), cause: None, closes: false, evicts: false }
    }

    /// The failure of a request that the end of a drain cuts. No more bytes are read from its connection.
    #[must_use]
    pub(crate) fn draining(sent: Sent) -> Self {
        let message = match sent {
            Sent::No => "shutting down; send it to another instance, or again after the restart",
            Sent::Maybe => "shutting down before the origin answered (shutdown.grace); ask Wonder what became of it",
        };
        Self::new(Code::Draining, message).with_sent(sent).closing()
    }

    /// The same failure with another `sent`.
    #[must_use]
    pub(crate) fn with_sent(mut self, sent: Sent) -> Self {
        self.sent = sent;
        self
    }

    /// Adds the cause for the log, with its sources.
    #[must_use]
    pub(crate) fn because(mut self, cause: &dyn std::error::Error) -> Self {
        self.cause = Some(chain(cause));
        self
    }

    /// Closes the connection after the answer, because the rest of the request is unread or cannot be separated from the next request.
    #[must_use]
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Closes the connection soon after the answer, because its place is needed.
    #[must_use]
    pub(super) fn evicting(mut self) -> Self {
        (self.closes, self.evicts) = (true, true);
        self
    }

    /// The response of the code.
    #[must_use]
    pub(crate) fn row(&self) -> Row {
        self.code.row(self.sent)
    }

    /// The cause, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The answer, in the shape of Wonder's envelope (`deploy/docs/wonder.md` §4) with `code` a string.
    #[must_use]
    pub fn respond(&self, request_id: &HeaderValue) -> Response<Bytes> {
        let envelope = Envelope::new(self.code, self.sent, &self.message, request_id.to_str().unwrap_or_default());
        let row = self.row();
        let mut response = Response::new(Bytes::from(envelope.to_json()));
        *response.status_mut() = row.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ERROR, HeaderValue::from_static(self.code.as_str()));
        headers.insert(SENT, HeaderValue::from_static(self.sent.as_str()));
        headers.insert(REQUEST_ID, request_id.clone());
        if row.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.evicts {
            response.extensions_mut().insert(Evicts);
        }
        response
    }
}

/// A request that the policy denies has not been sent.
impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::new(Code::PolicyDenied, denial.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The text of an error and of its sources.
#[must_use]
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        // hyper and rustls repeat their source's text in their own.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = cause.source();
    }
    text
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
    fn answers_as_each_row_of_the_table_defines() {
        for (code, row) in Code::ALL.iter().flat_map(|code| code.rows().iter().map(move |row| (*code, *row))) {
            let response = Failure::new(code, "x").with_sent(row.sent).respond(&HeaderValue::from_static("r"));
            assert_eq!(response.status(), row.status, "{code:?}");
            assert_eq!(response.headers()["x-wonder-signer-sent"], row.sent.as_str(), "{code:?}");
            assert_eq!(response.headers().contains_key("retry-after"), row.retry_after(), "{code:?}");
        }
    }

    #[test]
    fn an_answer_has_no_retry_after_where_the_request_may_have_been_sent() {
        for code in Code::ALL {
            let failure = Failure::new(*code, "x").with_sent(Sent::Maybe);
            assert!(!failure.respond(&HeaderValue::from_static("r")).headers().contains_key("retry-after"), "{code:?}");
        }
    }
}
