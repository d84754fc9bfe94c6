//! The answer to Wonder for each answer of the application. Pure.
//!
//! Three versions of Wonder's documentation disagree on retries (`deploy/docs/wonder.md` §3.5). In all of them exactly 200 is an
//! acknowledgement, and a 5xx leads to a retry. In the oldest a 4xx is final.

use http::StatusCode;

use crate::metrics::WebhookOutcome;

/// The meaning of the application's answer for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Acknowledged: Wonder gets 200.
    Acknowledged,
    /// Rejected for good: Wonder gets this status, and counts it as an error.
    Refused(StatusCode),
    /// Possible later: Wonder gets 503 and sends it again.
    Failed,
}

impl Verdict {
    /// Of the application's `status`.
    ///
    /// A redirect, or a 4xx during a rollout or an overload of the application, must not lose an event.
    pub(super) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Acknowledged,
            404 | 408 | 425 | 429 => Self::Failed,
            400..=499 => Self::Refused(status),
            _ => Self::Failed,
        }
    }

    /// The status for Wonder.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Acknowledged => StatusCode::OK,
            Self::Refused(status) => status,
            Self::Failed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn outcome(self) -> WebhookOutcome {
        match self {
            Self::Acknowledged => WebhookOutcome::Acknowledged,
            Self::Refused(_) => WebhookOutcome::Refused,
            Self::Failed => WebhookOutcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_an_application_has_its_answer() {
        let expected = |status: u16| match status {
            200..300 => 200,
            404 | 408 | 425 | 429 => 503,
            400..500 => status,
            _ => 503,
        };
        for status in 100..1000 {
            let verdict = Verdict::of(StatusCode::from_u16(status).unwrap());
            assert_eq!(verdict.status().as_u16(), expected(status), "{status}");
        }
    }

    #[test]
    fn wonder_gets_exactly_200_for_every_acknowledgement_and_a_5xx_for_every_passing_fault() {
        let answers = |statuses: &[u16]| -> Vec<(u16, &str)> {
            let verdicts = statuses.iter().map(|status| Verdict::of(StatusCode::from_u16(*status).unwrap()));
            verdicts.map(|verdict| (verdict.status().as_u16(), verdict.outcome().as_str())).collect()
        };
        assert_eq!(answers(&[200, 201, 202, 204, 226]), [(200, "acknowledged"); 5]);
        assert_eq!(answers(&[301, 302, 304, 307, 308]), [(503, "failed"); 5]);
        assert_eq!(answers(&[404, 408, 425, 429]), [(503, "failed"); 4]);
        assert_eq!(answers(&[500, 501, 502, 503, 504, 599]), [(503, "failed"); 6]);
        assert_eq!(answers(&[101, 600, 999]), [(503, "failed"); 3]);
        assert_eq!(answers(&[400, 401, 403, 410, 422]), [400, 401, 403, 410, 422].map(|status| (status, "refused")));
    }
}
