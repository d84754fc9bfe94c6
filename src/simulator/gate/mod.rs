//! The gate: no request under `/svc/` is served before its signature is verified, step by step, over the target and the
//! body exactly as they arrived (`deploy/docs/wonder.md` §2).
//!
//! `X-Skip-Signature` has no meaning here. hyper reads a target first and does not forward two kinds unchanged. A target with a raw
//! `"`, `<` or `>` in its query gets hyper's own 400 without a body. A fragment (`#…`), which no request target has (RFC 9112
//! §3.2), is dropped.

mod apps;
mod nonces;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

pub use self::apps::Apps;
use self::nonces::UsedNonces;
use super::{Clock, console::Received, faults::Picked, refusal::Refusal};
use crate::signing::{
    self, AppId, Credential, Nonce, RequestTime, Stamp, VerifyError, VerifyingKey,
    credential::CredentialError,
    diagnosis::{self, Claim, Mistake},
    headers::{Fault, Header, HeaderError, Headers},
    window::{OutsideWindow, Window},
};

/// The largest accepted body, in bytes.
pub(super) const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// The largest body, in bytes, for which a wrong signature is explained.
const LARGEST_EXPLAINED: usize = 64 * 1024;
/// The time limit for the arrival of a body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Holds the AppIDs and their public keys, the clock, and the used nonces.
pub(super) struct Gate {
    apps: Apps,
    clock: Clock,
    used: Mutex<UsedNonces>,
}

impl Gate {
    pub(super) fn new(apps: Apps, clock: Clock) -> Self {
        Self { apps, clock, used: Mutex::default() }
    }

    /// The time, shifted by the fault of this request if it has one.
    fn now(&self, head: &Parts) -> RequestTime {
        let now = (self.clock)();
        match head.extensions.get().and_then(Picked::ahead) {
            Some(ahead) => RequestTime::from_unix_seconds(now.unix_seconds().saturating_add_signed(ahead)),
            None => now,
        }
    }

    /// Verifies one request and returns its AppID. The steps run in the order of the refusals below.
    fn verify(&self, head: &Parts, body: &Bytes) -> Result<AppId, Refusal> {
        let headers = Headers::from(&head.headers);
        let [credential, nonce, signature] =
            [Header::Credential, Header::Nonce, Header::Signature].map(|header| headers.one(header));
        let credential: Credential = credential?.parse().map_err(Refusal::Credential)?;
        let (nonce, signature) = (nonce?, signature?);
        let key = self.apps.key(&credential.app_id).ok_or(Refusal::UnknownApp)?;

        let now = self.now(head);
        Window::REQUEST.check(credential.request_time, now).map_err(|outside| match outside {
            OutsideWindow::TooOld(seconds) => Refusal::TooOld(seconds),
            OutsideWindow::InFuture(seconds) => Refusal::TooNew(seconds),
        })?;

        let nonce: Nonce = nonce.parse().map_err(|_| Refusal::NonceFormat)?;
        if self.used.lock().unwrap_or_else(PoisonError::into_inner).contains(&nonce) {
            return Err(Refusal::NonceReplayed);
        }

        let stamp = Stamp { request_time: credential.request_time, nonce };
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let method = head.method.as_str();
        signing::verify(&key, &stamp, method, target, &[body], signature).map_err(|error| match error {
            VerifyError::Encoding => Refusal::SignatureEncoding,
            VerifyError::Mismatch => {
                let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
                let claim = Claim { credential: &credential, nonce: &nonce, method, target, body, signature, host };
                let (mistake, parts_at) = mistake(&key, &claim).unzip();
                Refusal::SignatureMismatch {
                    fingerprint: key.fingerprint().to_owned(),
                    target: target.len(),
                    body: body.len(),
                    mistake,
                    parts_at: parts_at.flatten(),
                }
            }
        })?;

        // Only a correctly signed request uses up its nonce. Of two concurrent copies that reach this line, the second is a replay.
        if self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(nonce, now.unix_seconds()) {
            Ok(credential.app_id)
        } else {
            Err(Refusal::NonceReplayed)
        }
    }
}

/// The cause of a signature mismatch, and the position at which the pre-sign strings differ. Large bodies are not searched, because the
/// search would delay other requests.
fn mistake(key: &VerifyingKey, claim: &Claim<'_>) -> Option<(Mistake, Option<usize>)> {
    if claim.body.len() > LARGEST_EXPLAINED {
        return None;
    }
    diagnosis::diagnose_with_place(key, claim).filter(|(mistake, _)| *mistake != Mistake::Unknown)
}

/// The layer: reads the body, verifies a signed call, and forwards the same bytes with the AppID as an extension. A body that is too
/// large, too slow or cut is refused on every path.
pub(super) async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    // The body is read first, even if the head alone would be rejected, because many clients report an answer before the end of
    // their body as a reset connection.
    let body = match collect(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    if !head.uri.path().starts_with("/svc/") {
        return next.run(Request::from_parts(head, Body::from(body))).await;
    }
    let received = Received(body.clone());
    let mut response = match gate.verify(&head, &body) {
        Ok(app_id) => {
            head.extensions.insert(app_id);
            next.run(Request::from_parts(head, Body::from(body))).await
        }
        Err(refusal) => refusal.into_response(),
    };
    response.extensions_mut().insert(received);
    response
}

async fn collect(body: Body) -> Result<Bytes, Refusal> {
    use hyper::body::Body as _;

    let declared = body.size_hint().lower();
    if declared > BODY_LIMIT as u64 {
        return Err(Refusal::BodyTooLarge(BODY_LIMIT));
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge(BODY_LIMIT)),
        Ok(Err(_)) => Err(Refusal::BodyCut),
        Err(_) => Err(Refusal::BodyTimeout),
    }
}

/// A header that occurs once and is empty, too long or not ASCII counts as malformed.
impl From<HeaderError> for Refusal {
    fn from(HeaderError { header, fault }: HeaderError) -> Self {
        match (fault, header) {
            (Fault::Missing, _) => Self::HeaderMissing(header.name()),
            (Fault::Repeated, _) => Self::HeaderRepeated(header.name()),
            (_, Header::Nonce) => Self::NonceFormat,
            (_, Header::Signature) => Self::SignatureEncoding,
            (_, Header::Credential | Header::Action) => Self::Credential(CredentialError::Parts),
        }
    }
}
