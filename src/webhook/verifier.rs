//! Verifies a webhook: checks on its head, then on its signature, and the request for the application that results.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, header, request::Parts as Head, uri::PathAndQuery};

use super::{
    account::Account, application::Forwarded, paid::Paid, rejection::Rejection, source::SourceAddresses, target,
};
use crate::{
    config::{OriginalTarget, PathPrefix},
    credentials::{Entry, Store},
    metrics::Webhooks,
    net::{admission::body::BufferedBody, headers, respond::REQUEST_ID},
    policy::Caller,
    signing::{
        RequestTime,
        webhook::{self, Accepted, Delivery},
        window::Window,
    },
};

const VERIFIED: HeaderName = HeaderName::from_static("x-wonder-signer-verified");
const APP_ID: HeaderName = HeaderName::from_static("x-wonder-signer-app-id");
const WEBHOOK_TIME: HeaderName = HeaderName::from_static("x-wonder-signer-webhook-time");
const PAID: HeaderName = HeaderName::from_static("x-wonder-signer-paid");

/// The rules that a webhook is verified by.
pub(super) struct Verifier {
    pub(super) credentials: Arc<Store>,
    pub(super) sources: SourceAddresses,
    pub(super) original_target: Option<OriginalTarget>,
    pub(super) path_prefixes: Vec<PathPrefix>,
    pub(super) window: Window,
    pub(super) metrics: Webhooks,
    pub(super) clock: fn() -> RequestTime,
}

/// A verified webhook.
pub(super) struct VerifiedWebhook {
    pub(super) entry: Arc<Entry>,
    pub(super) identity: [u8; 32],
    pub(super) time: RequestTime,
    pub(super) webhook: Forwarded,
    pub(super) _memory: BufferedBody,
}

impl Verifier {
    /// Checks the head alone, and returns the target that Wonder signed.
    pub(super) fn check<B>(&self, request: &Request<B>, caller: &Caller) -> Result<PathAndQuery, Rejection> {
        let headers = request.headers();
        self.sources.check(caller, headers)?;
        let received = request.uri().path_and_query().ok_or(Rejection::Unverified(webhook::DeliveryError::Target))?;
        let target = target::restored(received, headers, self.original_target.as_ref())?;
        target::check(&target, &self.path_prefixes)?;
        Ok(target)
    }

    /// Verifies the signature.
    pub(super) fn verify(
        &self,
        head: Head,
        target: PathAndQuery,
        body: BufferedBody,
        account: &mut Account,
    ) -> Result<VerifiedWebhook, Rejection> {
        let now = (self.clock)();
        let entries = self.credentials.all_units();
        let accepted = entries.iter().filter_map(|entry| {
            entry.webhook_key.as_ref().map(|key| Accepted { name: &entry.name, app_id: &entry.app_id, key })
        });
        let delivery = Delivery {
            method: head.method.as_str(),
            target: target.as_str().as_bytes(),
            headers: (&head.headers).into(),
            body: &body.chunks,
        };
        let verified = webhook::verify(&delivery, accepted, now, self.window).map_err(Rejection::Unverified)?;
        let (identity, time) = (verified.identity(), verified.request_time());
        // During a rotation several units have the credential's name.
        let is_verifying =
            |entry: &&Arc<Entry>| entry.name == verified.credential_name() && &entry.app_id == verified.app_id();
        let entry = entries.iter().find(is_verifying).map(Arc::clone);
        let entry = entry.ok_or(Rejection::Unverified(webhook::DeliveryError::AppIdUnknown { only_case: false }))?;
        account.credential = Some(entry.name.as_str().into());
        let age = now.unix_seconds().saturating_sub(time.unix_seconds());
        account.age = Some(age);
        self.metrics.age(age);
        account.paid = match &body.chunks[..] {
            [whole] => Paid::of(whole),
            chunks => Paid::of(&chunks.concat()),
        };
        let headers = self.headers(head.headers, &entry, time, account, body.length);
        let webhook = Forwarded { target, headers, body: body.chunks.iter().cloned().collect() };
        Ok(VerifiedWebhook { entry, identity, time, webhook, _memory: body })
    }

    /// The headers for the application.
    fn headers(
        &self,
        mut headers: HeaderMap,
        entry: &Entry,
        time: RequestTime,
        account: &Account,
        length: usize,
    ) -> HeaderMap {
        headers::to_application(&mut headers);
        if let Some(OriginalTarget::Header(name)) = &self.original_target {
            headers.remove(name);
        }
        let mut ours = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        ours(VERIFIED, &entry.name);
        ours(APP_ID, entry.app_id.as_str());
        ours(WEBHOOK_TIME, &time.to_rfc3339());
        if let Some(paid) = account.paid {
            ours(PAID, paid.as_str());
        }
        headers.insert(REQUEST_ID, account.id.clone());
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers
    }
}
