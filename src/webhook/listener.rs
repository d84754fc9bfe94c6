//! The service of the webhook listener: every webhook gets exactly one answer, one line in the log, and one count.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{sync::mpsc, time::timeout};

use super::{
    account::Account,
    answers::Verdict,
    application::{Answer, Application, NoAnswer},
    duplicates::Duplicates,
    malformed::Malformed,
    rejection::Rejection,
    verifier::{VerifiedWebhook, Verifier},
};
use crate::{
    contract::{Code, Sent},
    metrics::{WebhookOutcome, WebhookPhase, Webhooks},
    net::{
        admission::{Admission, body},
        drain::{Drain, End},
        intake::HeadError,
        respond::{Failure, REQUEST_ID},
    },
    policy::Caller,
    signing::{RequestTime, webhook},
    telemetry::Quota,
};

/// The service of one listener.
pub(super) struct Listener {
    pub(super) verifier: Verifier,
    /// By credential.
    pub(super) applications: BTreeMap<String, Arc<Application>>,
    pub(super) duplicates: Duplicates,
    pub(super) admission: Arc<Admission>,
    pub(super) tolerance: Duration,
    pub(super) forward_timeout: Duration,
    pub(super) metrics: Webhooks,
    pub(super) drain: Drain,
    pub(super) quota: Arc<Quota>,
    pub(super) clock: fn() -> RequestTime,
    /// Each webhook in flight has a clone. When all clones are dropped, none is in flight.
    pub(super) alive: mpsc::Sender<Infallible>,
}

/// The result of a webhook that the application does not get.
enum Ended {
    Rejected(Rejection),
    Failed(Failure),
}

impl From<Rejection> for Ended {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Listener {
    /// Answers one webhook.
    ///
    /// A task of its own does the work. A sender that hangs up does not end it. An application that is slower than the sender's
    /// patience therefore receives the webhook once, and the next copy gets its 200.
    pub(super) async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        let caller: Caller = request.extensions_mut().remove().unwrap_or_default();
        let account = Account::open(request.headers(), &caller);
        self.drain.opened();
        if let Some(error) = request.extensions().get::<HeadError>().copied() {
            return match Rejection::of_head(error) {
                Some(rejection) => self.reject(rejection, account),
                None => self.fail(error.into(), account),
            };
        }
        let (id, alive) = (account.id.clone(), self.alive.clone());
        let work = tokio::spawn(async move {
            let answer = self.work(request, &caller, account).await;
            drop(alive);
            answer
        });
        work.await.unwrap_or_else(|_| internal().respond(&id).map(Full::from))
    }

    async fn work(
        self: Arc<Self>,
        request: Request<Incoming>,
        caller: &Caller,
        mut account: Account,
    ) -> Response<Full<Bytes>> {
        // A fault of ours ends one webhook with an answer, not the connection without one.
        let taken = AssertUnwindSafe(self.take(request, caller, &mut account)).catch_unwind();
        let taken = tokio::select! {
            biased;
            taken = taken => taken.unwrap_or_else(|_| Err(internal().into())),
            () = self.over() => Err(Failure::draining(Sent::No).into()),
        };
        match taken {
            Err(Ended::Rejected(rejection)) => self.reject(rejection, account),
            Err(Ended::Failed(failure)) => self.fail(failure, account),
            Ok((verified, slot)) => {
                let answer = self.deliver(verified, account).await;
                drop(slot);
                answer
            }
        }
    }

    /// Admits and verifies a webhook.
    async fn take(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
        account: &mut Account,
    ) -> Result<(VerifiedWebhook, tokio::sync::OwnedSemaphorePermit), Ended> {
        let slot = match self.admission.slot().await {
            Ok(slot) => slot,
            Err(failure) => {
                let discarded = failure.code == Code::Overloaded && body::discard_small(request).await;
                return Err(if discarded { failure } else { failure.closing() }.into());
            }
        };
        // Checks of the head come before a byte of the body is read.
        let target = match self.verifier.check(&request, caller) {
            Ok(target) => target,
            Err(rejection) => {
                drop(slot);
                // With the body read, the answer is the same as to a wrong signature.
                account.body_is_read = body::discard_small(request).await;
                return Err(rejection.into());
            }
        };
        let (head, incoming) = request.into_parts();
        let body = match self.admission.read_body(incoming).await {
            Ok(body) => body,
            Err(failure) if failure.code == Code::BadRequest => {
                account.cause = failure.cause().map(str::to_owned);
                return Err(Rejection::from(Malformed::Body).into());
            }
            Err(failure) => return Err(failure.closing().into()),
        };
        account.body_bytes = Some(body.length);
        account.body_is_read = true;
        let began = Instant::now();
        let verified = self.verifier.verify(head, target, body, account);
        self.metrics.phase(WebhookPhase::Verify, began.elapsed().as_secs_f64());
        match verified {
            // It may belong to a credential with unusable files, so Wonder must send it again.
            Err(Rejection::Unverified(webhook::DeliveryError::AppIdUnknown { .. }))
                if !self.verifier.credentials.is_usable() =>
            {
                Err(Failure::new(Code::NoKey, "the files of a credential cannot be used; send the webhook again")
                    .into())
            }
            verified => Ok((verified?, slot)),
        }
    }

    /// Forwards a verified webhook unless it was acknowledged before.
    async fn deliver(&self, verified: VerifiedWebhook, mut account: Account) -> Response<Full<Bytes>> {
        let VerifiedWebhook { entry, identity, time, webhook, _memory } = verified;
        let limit = self.forward_timeout;
        let claim = tokio::select! {
            biased;
            claim = timeout(limit, self.duplicates.claim(identity)) => claim,
            () = self.over() => return self.fail(Failure::draining(Sent::No), account),
        };
        let claim = match claim {
            Ok(Some(claim)) => claim,
            Ok(None) => return self.close(WebhookOutcome::Duplicate, StatusCode::OK, account, None),
            Err(_) => {
                account.cause =
                    Some("another copy of it was being forwarded all the time (webhook.forward_timeout)".to_owned());
                return self.not_acknowledged(WebhookOutcome::Timeout, account);
            }
        };
        let Some(application) = self.applications.get(&entry.name) else {
            return self.fail(internal(), account);
        };
        let began = Instant::now();
        let answer = tokio::select! {
            biased;
            answer = application.forward(webhook, limit) => answer,
            () = self.over() => {
                self.duplicates.release(claim).await;
                return self.fail(Failure::draining(Sent::No), account);
            }
        };
        self.metrics.phase(WebhookPhase::Forward, began.elapsed().as_secs_f64());
        let verdict = match &answer {
            Ok(answer) => Verdict::of(answer.status),
            Err(_) => Verdict::Failed,
        };
        if verdict == Verdict::Acknowledged {
            let now = (self.clock)().unix_seconds();
            let until = time.unix_seconds().max(now) + self.tolerance.as_secs() + 1;
            self.duplicates.acknowledge(claim, until, now).await;
        } else {
            self.duplicates.release(claim).await;
        }
        match answer {
            Ok(Answer { status, content_type, body }) => {
                account.application_status = Some(status);
                match verdict {
                    Verdict::Failed => self.not_acknowledged(verdict.outcome(), account),
                    Verdict::Acknowledged => self.close(verdict.outcome(), verdict.status(), account, None),
                    Verdict::Refused(_) => {
                        self.close(verdict.outcome(), verdict.status(), account, Some((content_type, body)))
                    }
                }
            }
            Err(error) => {
                account.cause = Some(format!("the application {error}"));
                let outcome = match error {
                    NoAnswer::Late(_) => WebhookOutcome::Timeout,
                    NoAnswer::Connect(_) | NoAnswer::Broken(_) => WebhookOutcome::Unreachable,
                };
                self.not_acknowledged(outcome, account)
            }
        }
    }

    /// Completes at the end of the grace period.
    fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        self.drain.cutting()
    }

    /// Wonder sends it again.
    fn not_acknowledged(&self, outcome: WebhookOutcome, account: Account) -> Response<Full<Bytes>> {
        let failure =
            Failure::new(Code::ApplicationFailed, "the application did not acknowledge the webhook; send it again");
        let response = failure.respond(&account.id).map(Full::from);
        self.end(account, outcome, response.status());
        response
    }

    fn close(
        &self,
        outcome: WebhookOutcome,
        status: StatusCode,
        account: Account,
        body: Option<(Option<HeaderValue>, Bytes)>,
    ) -> Response<Full<Bytes>> {
        let (content_type, body) = body.unwrap_or_default();
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(REQUEST_ID, account.id.clone());
        if let Some(content_type) = content_type {
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        self.end(account, outcome, status);
        response
    }

    /// Counts and logs a webhook, which is answered with `status`.
    fn end(&self, account: Account, outcome: WebhookOutcome, status: StatusCode) {
        let is_cut = account.code == Some(Code::Draining.as_str());
        let end = if is_cut { End::Cut(Sent::No) } else { End::Answered };
        self.drain.closed(account.id.to_str().unwrap_or_default(), end);
        account.close(outcome, status, &self.metrics, &self.quota);
    }

    /// Every rejection has the same answer, so that a sender learns nothing from it.
    fn reject(&self, rejection: Rejection, mut account: Account) -> Response<Full<Bytes>> {
        let failure = Failure::new(Code::WebhookRejected, "the webhook was not accepted");
        // The rest of the body cannot be distinguished from the next request.
        let failure = if account.body_is_read { failure } else { failure.closing() };
        let response = failure.respond(&account.id).map(Full::from);
        account.rejection = Some(rejection);
        self.end(account, WebhookOutcome::Rejected, response.status());
        response
    }

    fn fail(&self, failure: Failure, mut account: Account) -> Response<Full<Bytes>> {
        let failure = failure.with_sent(Sent::No);
        let response = failure.respond(&account.id).map(Full::from);
        account.code = Some(failure.code.as_str());
        account.cause = failure.cause().map(str::to_owned);
        self.end(account, WebhookOutcome::Error, response.status());
        response
    }
}

/// The panic hook logs the place and the reason.
fn internal() -> Failure {
    Failure::new(Code::Internal, "a fault inside wonder-signer").with_sent(Sent::No).closing()
}
