//! The attempts of one delivery: sign, send, judge, and retry after a delay.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::Webhooks;
use crate::{
    signing::{self, AppId, Signed, Stamp},
    simulator::{
        faults::WebhookFault,
        webhooks::{
            Callback, RetryCredential, headers,
            history::{Attempt, Delivery, Outcome, Pending},
            schedule::Verdict,
        },
    },
};

impl Webhooks {
    /// Attempts a delivery until it is finished.
    pub(super) async fn attempt_until_done(&self, to: &Callback, id: u64) {
        let mut forgotten = self.forgotten.subscribe();
        // A restart interrupted the delay before the next attempt. The clock may have been set back since.
        let Some(delivery) = self.history.pending(id) else { return };
        let due_at = delivery.pending.and_then(|pending| pending.due_at);
        let mut delay = due_at.map_or(Duration::ZERO, |due_at| {
            let left = Duration::from_secs(due_at.saturating_sub((self.clock)().unix_seconds()));
            left.min(self.settings.time_scale.delay(delivery.attempts.len()).unwrap_or_default())
        });
        loop {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = forgotten.changed() => return,
            }
            match self.attempt(to, id).await {
                Some(next) => delay = next,
                None => return,
            }
        }
    }

    /// Attempts a delivery once, and returns the delay before the next attempt; `None` for a finished delivery.
    async fn attempt(&self, to: &Callback, id: u64) -> Option<Duration> {
        let delivery = self.history.pending(id)?;
        let (action, attempts) = (delivery.action, delivery.attempts.len() + 1);
        let is_first = delivery.pending.as_ref().is_some_and(|pending| !pending.again);
        let is_repeated = delivery.fault == Some(WebhookFault::Duplicate) && is_first;
        let Some((headers, body)) = self.signed(to, delivery).await else {
            self.history.change(id, |delivery| delivery.outcome = Outcome::Failed);
            return None;
        };
        // Waits for the state file: a crash must not undo a change whose webhook was sent, nor the headers that a retry repeats.
        if let Some(journal) = &self.journal {
            journal.settled_at_last().await;
        }
        let at = (self.clock)();
        let answer = {
            let _permit = self.at_once.acquire().await;
            self.client.post(&self.way_to(to), headers, body).await
        };
        let verdict = match &answer {
            Ok(reply) => self.settings.retry_on.judge(reply.status.as_u16()),
            Err(_) => Verdict::Retry,
        };
        let again = is_repeated && verdict == Verdict::Acknowledged;
        let delay = match verdict {
            _ if again => Some(Duration::ZERO),
            Verdict::Retry => self.settings.time_scale.delay(attempts),
            Verdict::Acknowledged | Verdict::Final => None,
        };
        let (status, error) = match answer {
            Ok(reply) => (Some(reply.status.as_u16()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let outcome = match (verdict, delay) {
            (Verdict::Acknowledged, None) => Outcome::Acknowledged,
            (_, Some(_)) => Outcome::Waiting,
            (Verdict::Retry, None) | (Verdict::Final, _) => Outcome::Failed,
        };
        tracing::info!(url = %to, action, attempts, status, error, ?outcome, ?delay, "webhook");
        let due_at = delay.map(|delay| (self.clock)().unix_seconds().saturating_add(delay.as_secs()));
        self.history.change(id, |delivery| {
            delivery.attempts.push(Attempt { at: at.to_string(), status, error });
            delivery.outcome = outcome;
            delivery.next_attempt_in = delay.map(|delay| delay.as_secs_f64());
            if let Some(pending) = &mut delivery.pending {
                pending.due_at = due_at;
                pending.again |= again;
            }
        });
        delay
    }

    /// Headers and body of the next attempt.
    async fn signed(&self, to: &Callback, delivery: Delivery) -> Option<(HeaderMap, Bytes)> {
        let Delivery { id, action, attempts, pending, app_id, fault, .. } = delivery;
        let Pending { body, signed, again, .. } = pending?;
        // A duplicate is the same request again.
        let keeps =
            self.settings.retry_credential == RetryCredential::First || again || fault == Some(WebhookFault::Duplicate);
        let signed = match signed.filter(|_| keeps) {
            Some([credential, nonce, signature]) => Signed { credential, nonce, signature },
            None => self.sign(to, id, &app_id, attempts.len(), &body).await?,
        };
        if keeps && attempts.is_empty() {
            let kept = [&signed.credential, &signed.nonce, &signed.signature].map(ToString::to_string);
            self.history.change(id, |delivery| {
                if let Some(pending) = &mut delivery.pending {
                    pending.signed = Some(kept);
                }
            });
        }
        let headers = headers(&signed, Some(action), body.len()).ok()?;
        Some((headers, Bytes::copy_from_slice(body.as_bytes())))
    }

    async fn sign(&self, to: &Callback, id: u64, app_id: &str, attempt: usize, body: &str) -> Option<Signed> {
        let app_id: AppId = app_id.parse().ok()?;
        let key = self.keys.of(&app_id).await;
        let key = key.inspect_err(|error| tracing::error!(%error, "no webhook key")).ok()?;
        let stamp = Stamp { request_time: (self.clock)(), nonce: self.ids.nonce(id, attempt) };
        signing::webhook::sign(&key, &app_id, &stamp, &to.target, &[body.as_bytes()]).ok()
    }
}
