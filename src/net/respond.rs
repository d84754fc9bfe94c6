//! The error contract: every answer that is not Wonder's own is made here, and says which error it is and whether the
//! request may have reached Wonder.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::metrics::Sent;

/// Response header with the code of the error, on answers that we make: `X-Wonder-Signer-Error: body_too_large`.
pub const ERROR: HeaderName = HeaderName::from_static("x-wonder-signer-error");
/// Response header that says whether Wonder may have seen the request: `X-Wonder-Signer-Sent: no`.
pub const SENT: HeaderName = HeaderName::from_static("x-wonder-signer-sent");
/// Request and response header that names one request in every log it passes.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:ident;)+) => {
        /// What went wrong, as a closed list: one row per code, with the status it is answered with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as it stands in the header, in logs and in metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The status that it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }
        }
    };
}

codes! {
    /// The request target is not a path that can be signed and forwarded.
    BadTarget = "bad_target", BAD_REQUEST;
    /// Method, framing or headers are not acceptable.
    BadRequest = "bad_request", BAD_REQUEST;
    /// The body is not empty, but only white space; Wonder's own SDKs disagree on how that is signed.
    AmbiguousBody = "ambiguous_body", BAD_REQUEST;
    /// `X-Wonder-Signer-Credential` names no configured credential.
    UnknownCredential = "unknown_credential", BAD_REQUEST;
    /// The caller is not among `listen.tls.callers`.
    PolicyDenied = "policy_denied", FORBIDDEN;
    /// The target is outside `/svc/`.
    NotWonder = "not_wonder", NOT_FOUND;
    /// The request head did not arrive in time.
    HeadTimeout = "head_timeout", REQUEST_TIMEOUT;
    /// The request body did not arrive in time.
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT;
    /// The request body is larger than `limits.body`.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE;
    /// The request head is larger than `limits.header_bytes`, or has more lines than `limits.headers`.
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE;
    /// `Host` or the target's authority names another server.
    BadHost = "bad_host", MISDIRECTED_REQUEST;
    /// The private-key operation failed.
    SignFailed = "sign_failed", INTERNAL_SERVER_ERROR;
    /// A fault of our own.
    Internal = "internal", INTERNAL_SERVER_ERROR;
    /// The name of the origin could not be resolved.
    UpstreamDns = "upstream_dns", BAD_GATEWAY;
    /// No connection to the origin.
    UpstreamConnect = "upstream_connect", BAD_GATEWAY;
    /// The TLS handshake with the origin failed.
    UpstreamTls = "upstream_tls", BAD_GATEWAY;
    /// The connection broke before or within the answer.
    UpstreamReset = "upstream_reset", BAD_GATEWAY;
    /// The answer was not HTTP.
    UpstreamBadResponse = "upstream_bad_response", BAD_GATEWAY;
    /// More requests than the limits allow.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE;
    /// Shutting down.
    Draining = "draining", SERVICE_UNAVAILABLE;
    /// No key is loaded for the credential.
    NoKey = "no_key", SERVICE_UNAVAILABLE;
    /// No answer, or not all of it, within the deadline.
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT;
}

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
        let body = Envelope {
            code: format!("SIGNER_{}", self.code.as_str().to_ascii_uppercase()),
            message: &self.message,
            request_id: request_id.to_str().unwrap_or_default(),
            sent: self.sent.as_str(),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
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

#[derive(Serialize)]
struct Envelope<'a> {
    code: String,
    message: &'a str,
    request_id: &'a str,
    sent: &'static str,
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

    #[test]
    fn spells_every_code_once_and_in_lower_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }
}
