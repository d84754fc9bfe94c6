//! The table of error codes: the status of each, whether the request may have been sent, and the level of the log line.

use http::StatusCode;

use super::Sent;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $($status:ident $sent:ident),+;)+) => {
        /// The kind of failure, from a closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as in the header, in logs and in metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The possible responses, the default first.
            #[must_use]
            pub const fn rows(self) -> &'static [Row] {
                match self {
                    $(Self::$name => const { &[$(Row { status: StatusCode::$status, sent: Sent::$sent },)+] },)+
                }
            }
        }
    };
}

// One line for each code: its text, then each status with its `sent`. The first pair is the default, for a request whose `sent` is
// not known.
codes! {
    /// The request target is not a path that can be signed and forwarded.
    BadTarget = "bad_target", BAD_REQUEST No;
    /// Method, framing or headers are not acceptable.
    BadRequest = "bad_request", BAD_REQUEST No;
    /// The body is only white space. Wonder's own SDKs disagree on how it is signed.
    AmbiguousBody = "ambiguous_body", BAD_REQUEST No;
    /// `X-Wonder-Signer-Credential` names no configured credential.
    UnknownCredential = "unknown_credential", BAD_REQUEST No;
    /// A webhook was not proved to be Wonder's. Only the webhook listener uses this code.
    WebhookRejected = "webhook_rejected", UNAUTHORIZED No;
    /// The caller is not among `listen.tls.callers`, or the request lacks `listen.required_header`.
    PolicyDenied = "policy_denied", FORBIDDEN No;
    /// A web page made the request (`listen.browser_guard`).
    BrowserDenied = "browser_denied", FORBIDDEN No;
    /// Some program resolves the target to a path outside `/svc/`, or in `/svc/payment/public/`.
    NotWonder = "not_wonder", NOT_FOUND No;
    /// The request head did not arrive in time.
    HeadTimeout = "head_timeout", REQUEST_TIMEOUT No;
    /// The request body did not arrive in time.
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT No;
    /// The request body is larger than `limits.body`.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE No;
    /// The request head is larger than `limits.header_bytes`, or has more lines than `limits.headers`.
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE No;
    /// `Host` or the target's authority names another server.
    BadHost = "bad_host", MISDIRECTED_REQUEST No;
    /// The private-key operation failed.
    SignFailed = "sign_failed", INTERNAL_SERVER_ERROR No;
    /// A fault of the sidecar.
    Internal = "internal", INTERNAL_SERVER_ERROR Maybe, INTERNAL_SERVER_ERROR No;
    /// The name of the origin could not be resolved.
    UpstreamDns = "upstream_dns", BAD_GATEWAY No;
    /// No connection to the origin.
    UpstreamConnect = "upstream_connect", BAD_GATEWAY No;
    /// The TLS handshake with the origin failed. In TLS 1.3 the origin may reject the client certificate after the request was written.
    UpstreamTls = "upstream_tls", BAD_GATEWAY Maybe, BAD_GATEWAY No;
    /// The connection broke before or during the response.
    UpstreamReset = "upstream_reset", BAD_GATEWAY Maybe;
    /// The response was not valid HTTP.
    UpstreamBadResponse = "upstream_bad_response", BAD_GATEWAY Maybe;
    /// The limits admit no further request.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE No;
    /// The files of the credential could not be used since the start.
    NoKey = "no_key", SERVICE_UNAVAILABLE No;
    /// The application did not acknowledge a webhook. Only the webhook listener uses this code.
    ApplicationFailed = "application_failed", SERVICE_UNAVAILABLE No;
    /// The sidecar shuts down before the request was sent, or before its response arrived.
    Draining = "draining", SERVICE_UNAVAILABLE No, GATEWAY_TIMEOUT Maybe;
    /// The response did not arrive whole within the deadline.
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT Maybe, GATEWAY_TIMEOUT No;
}

impl Code {
    /// The response for a request of which `sent` is known.
    #[must_use]
    pub(crate) fn row(self, sent: Sent) -> Row {
        let rows = self.rows();
        rows.iter().find(|row| row.sent == sent).copied().unwrap_or(Row { sent, ..rows[0] })
    }
}

/// One possible response of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The status.
    pub status: StatusCode,
    /// Whether the request may have reached Wonder.
    pub sent: Sent,
}

impl Row {
    /// The level of the request's log line. An unknown outcome is an error, because a person has to resolve it.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self.sent {
            Sent::Maybe => Severity::Error,
            Sent::No if self.status.is_server_error() => Severity::Warn,
            Sent::No => Severity::Info,
        }
    }

    /// Whether the response has `Retry-After`. It never has with [`Sent::Maybe`], because a client that obeys it could pay twice.
    #[must_use]
    pub fn retry_after(self) -> bool {
        self.sent == Sent::No && self.status == StatusCode::SERVICE_UNAVAILABLE
    }
}

/// The level of a request's log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Neither the sidecar nor Wonder failed.
    Info,
    /// A request failed and was certainly not sent.
    Warn,
    /// The outcome of the request is unknown.
    Error,
}

impl Severity {
    /// The level as in a log line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_written_once_and_in_lower_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }

    #[test]
    fn an_unknown_outcome_is_an_error_without_retry_after_whatever_the_code() {
        for code in Code::ALL {
            let row = code.row(Sent::Maybe);
            assert_eq!(
                (row.sent, row.severity(), row.retry_after()),
                (Sent::Maybe, Severity::Error, false),
                "{code:?}"
            );
        }
    }

    #[test]
    fn an_unsent_request_is_a_warning_if_the_sidecar_failed_and_info_if_the_caller_was_wrong() {
        for code in Code::ALL {
            let row = code.row(Sent::No);
            let expected = if row.status.as_u16() >= 500 { Severity::Warn } else { Severity::Info };
            assert_eq!((row.sent, row.severity()), (Sent::No, expected), "{code:?}");
            assert_eq!(row.retry_after(), row.status == 503, "{code:?}");
        }
    }

    #[test]
    fn where_both_are_possible_the_default_is_maybe_unless_the_status_differs() {
        for code in Code::ALL {
            let rows = code.rows();
            if rows.len() > 1 && rows.iter().all(|row| row.status == rows[0].status) {
                assert_eq!(rows[0].sent, Sent::Maybe, "{code:?}");
            }
        }
        assert_eq!(Code::Draining.row(Sent::No).status, 503);
        assert_eq!(Code::Draining.row(Sent::Maybe).status, 504);
    }
}
