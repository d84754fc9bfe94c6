//! The table of error codes.

use http::StatusCode;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_every_code_once_and_in_lower_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }
}
