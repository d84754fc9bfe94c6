//! Groups errors by the party that has to act. A person on call needs this first: a DNS failure, a wrong key and a malformed request
//! are all errors, but each has another party to fix it.

use crate::metrics::{LastAnswer, Snapshot};

/// The party that caused an error, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The service: a request that was rejected here, or by Wonder with 4xx.
    Service,
    /// Key, AppID, clock or egress address: Wonder answered 401 or 403, or there is no key to sign with.
    Credentials,
    /// The network: no connection, because of name, TCP or TLS.
    Network,
    /// Wonder: 5xx, or an answer that was late, invalid HTTP or incomplete.
    Wonder,
    /// More requests than the limits allow, or the shutdown.
    Load,
    /// This program.
    Signer,
}

impl Cause {
    pub(super) const ALL: [Self; 6] =
        [Self::Service, Self::Credentials, Self::Network, Self::Wonder, Self::Load, Self::Signer];

    /// The cause of an error code. An unlisted code counts as a fault of this program, because it should be listed.
    pub(super) fn of_code(code: &str) -> Self {
        match code {
            "bad_target" | "bad_request" | "ambiguous_body" | "unknown_credential" | "policy_denied"
            | "browser_denied" | "not_wonder" | "head_timeout" | "body_timeout" | "body_too_large"
            | "headers_too_large" | "bad_host" | "application_failed" | "webhook_rejected" => Self::Service,
            "upstream_dns" | "upstream_connect" | "upstream_tls" => Self::Network,
            "upstream_reset" | "upstream_bad_response" | "upstream_timeout" => Self::Wonder,
            "no_key" => Self::Credentials,
            "overloaded" | "draining" => Self::Load,
            _ => Self::Signer,
        }
    }

    pub(super) fn of(answer: LastAnswer) -> Self {
        match answer {
            LastAnswer::Signer(code, _) => Self::of_code(code),
            LastAnswer::Upstream(401 | 403) => Self::Credentials,
            LastAnswer::Upstream(status) if status < 500 => Self::Service,
            LastAnswer::Upstream(_) => Self::Wonder,
        }
    }

    /// The name on the page.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Service => "the service's request",
            Self::Credentials => "key, AppID, clock or address",
            Self::Network => "network",
            Self::Wonder => "Wonder",
            Self::Load => "load or shutdown",
            Self::Signer => "wonder-signer",
        }
    }

    /// The index in [`Self::ALL`].
    pub(super) fn place(self) -> usize {
        self as usize
    }
}

/// The number of errors of each of [`Cause::ALL`].
pub(super) fn errors_by_cause(snapshot: &Snapshot) -> [u64; 6] {
    let mut counts = [0; 6];
    let [_, _, refused, failed] = snapshot.upstream;
    counts[Cause::Service.place()] += refused.saturating_sub(snapshot.rejected);
    counts[Cause::Credentials.place()] += snapshot.rejected;
    counts[Cause::Wonder.place()] += failed;
    for (code, [not_sent, maybe_sent]) in &snapshot.errors {
        counts[Cause::of_code(code).place()] += not_sent + maybe_sent;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Code;

    #[test]
    fn only_faults_of_this_program_are_its_own() {
        let own: Vec<_> =
            Code::ALL.iter().map(|code| code.as_str()).filter(|code| Cause::of_code(code) == Cause::Signer).collect();
        assert_eq!(own, ["sign_failed", "internal"]);
    }

    #[test]
    fn every_answer_counts_once_and_under_its_cause() {
        let snapshot = Snapshot {
            upstream: [50, 1, 9, 3],
            rejected: 4,
            errors: vec![
                ("upstream_dns", [2, 0]),
                ("upstream_timeout", [0, 6]),
                ("overloaded", [7, 0]),
                ("other", [1, 0]),
            ],
            ..Snapshot::default()
        };
        assert_eq!(errors_by_cause(&snapshot), [5, 4, 2, 9, 7, 1]);
        assert_eq!(Cause::of(LastAnswer::Upstream(403)), Cause::Credentials);
        assert_eq!(Cause::of(LastAnswer::Upstream(404)), Cause::Service);
        assert_eq!(Cause::of(LastAnswer::Upstream(500)), Cause::Wonder);
    }
}
