//! The known facts of one webhook, reported to metrics and log once, when its answer is decided.

use std::{sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue, StatusCode};
use rand::Rng as _;

use super::{paid::Paid, rejection::Rejection};
use crate::{
    metrics::{WebhookAction, WebhookOutcome, WebhookPhase, Webhooks},
    policy::Caller,
    telemetry::Quota,
};

/// Filled in during the processing. Of path, headers and body it has only a known `X-Action`.
pub(super) struct Account {
    pub(super) id: HeaderValue,
    pub(super) credential: Option<Arc<str>>,
    pub(super) rejection: Option<Rejection>,
    /// The error code, if a limit or a fault of this program decided the answer.
    pub(super) code: Option<&'static str>,
    pub(super) cause: Option<String>,
    pub(super) body_bytes: Option<usize>,
    /// Whether the next bytes on the connection are those of another request.
    pub(super) body_is_read: bool,
    pub(super) age: Option<u64>,
    pub(super) paid: Option<Paid>,
    pub(super) application_status: Option<StatusCode>,
    action: WebhookAction,
    peer: Option<String>,
    started: Instant,
}

impl Account {
    /// Of a webhook whose head has been read. It gets a request id of our own, because nothing has verified the sender's.
    pub(super) fn open(headers: &HeaderMap, caller: &Caller) -> Self {
        let id = uuid::Builder::from_random_bytes(rand::thread_rng().r#gen()).into_uuid();
        let mut text = uuid::Uuid::encode_buffer();
        let id = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text));
        Self {
            id: id.unwrap_or(HeaderValue::from_static("-")),
            credential: None,
            rejection: None,
            code: None,
            cause: None,
            body_bytes: None,
            body_is_read: false,
            age: None,
            paid: None,
            application_status: None,
            action: headers.get("x-action").map_or(WebhookAction::Other, |action| WebhookAction::of(action.as_bytes())),
            peer: match caller {
                Caller::Tcp(address) | Caller::Certificate { address, .. } => Some(address.ip().to_string()),
                Caller::UnixSocket => Some("unix".to_owned()),
                Caller::Unknown => None,
            },
            started: Instant::now(),
        }
    }

    /// Counts and logs the webhook, which is answered with `status`.
    pub(super) fn close(self, outcome: WebhookOutcome, status: StatusCode, metrics: &Webhooks, quota: &Arc<Quota>) {
        let credential = self.credential.as_deref();
        let duration = self.started.elapsed();
        metrics.answered(credential, self.action, outcome);
        metrics.phase(WebhookPhase::Total, duration.as_secs_f64());
        let reason = self.rejection.map(Rejection::name).or(self.code);
        if let Some(reason) = reason {
            metrics.not_forwarded(reason);
        }
        let is_costly = !matches!(outcome, WebhookOutcome::Rejected | WebhookOutcome::Error);
        // A rejection costs its sender almost nothing.
        if !is_costly && !quota.admits(Instant::now()) {
            return;
        }
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = self.id.to_str().unwrap_or_default(),
                    credential,
                    action = self.action.as_str(),
                    outcome = outcome.as_str(),
                    reason,
                    likely_cause = self.rejection.map(Rejection::likely_cause),
                    cause = self.cause,
                    status = status.as_u16(),
                    application_status = self.application_status.map(|status| status.as_u16()),
                    paid = self.paid.map(Paid::as_str),
                    body_bytes = self.body_bytes,
                    age_seconds = self.age,
                    peer = self.peer,
                    duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                    "webhook"
                )
            };
        }
        match outcome {
            WebhookOutcome::Acknowledged | WebhookOutcome::Duplicate => line!(info),
            // As in the table of error codes: a mistake of the sender is no fault of this program.
            WebhookOutcome::Rejected | WebhookOutcome::Error if status.is_client_error() => line!(info),
            _ => line!(warn),
        }
    }
}
