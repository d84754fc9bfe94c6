//! The gate: nothing under `/svc/` is served before its signature was verified, step by step, over the target and the
//! body exactly as they arrived (`deploy/docs/wonder.md` §2).
//!
//! `X-Skip-Signature` has no meaning here. Two targets never come this far as they were sent, because hyper reads them
//! first: one with a raw `"`, `<` or `>` in its query gets hyper's own 400 without a body, and a fragment (`#…`), which
//! no request target has (RFC 9112 §3.2), is dropped.

use std::{
    collections::HashSet,
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
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::{Clock, refusal::Refusal};
use crate::signing::{
    self, AppId, Credential, Nonce, Stamp, VerifyError, VerifyingKey,
    credential::CredentialError,
    diagnosis::{self, Claim, Mistake},
};

/// The largest body taken, in bytes.
pub(super) const BODY_LIMIT: usize = 2 * 1024 * 1024;
/// The largest body, in bytes, for which a wrong signature is explained.
const LARGEST_EXPLAINED: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How far the request time may be from ours, in seconds, either way (`deploy/docs/wonder.md` §2.2).
const WINDOW: u64 = 1800;
/// How many nonces one generation holds.
const GENERATION: usize = 1 << 20;

/// Knows the AppIDs and their public keys, the time, and which nonces were used.
pub(super) struct Gate {
    apps: Vec<(AppId, VerifyingKey)>,
    clock: Clock,
    used: Mutex<UsedNonces>,
}

impl Gate {
    pub(super) fn new(apps: Vec<(AppId, VerifyingKey)>, clock: Clock) -> Self {
        Self { apps, clock, used: Mutex::default() }
    }

    /// Verifies one request. The steps and their order are those of the refusals in the code below.
    fn verify(&self, head: &Parts, body: &Bytes) -> Result<(), Refusal> {
        let credential = only(&head.headers, "Credential")?;
        let nonce = only(&head.headers, "Nonce")?;
        let signature = only(&head.headers, "Signature")?;

        let credential = credential.ok_or(CredentialError::Parts).and_then(str::parse::<Credential>);
        let credential = credential.map_err(Refusal::Credential)?;
        let (_, key) = self.apps.iter().find(|(app_id, _)| *app_id == credential.app_id).ok_or(Refusal::UnknownApp)?;

        let now = (self.clock)().unix_seconds();
        let then = credential.request_time.unix_seconds();
        if now.saturating_sub(then) > WINDOW {
            return Err(Refusal::TooOld(now - then));
        }
        if then.saturating_sub(now) > WINDOW {
            return Err(Refusal::TooNew(then - now));
        }

        let nonce: Nonce = nonce.and_then(|nonce| nonce.parse().ok()).ok_or(Refusal::NonceFormat)?;
        if self.used.lock().unwrap_or_else(PoisonError::into_inner).contains(&nonce) {
            return Err(Refusal::NonceReplayed);
        }

        let signature = signature.filter(|text| !text.is_empty()).ok_or(Refusal::SignatureEncoding)?;
        let stamp = Stamp { request_time: credential.request_time, nonce };
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let method = head.method.as_str();
        signing::verify(key, &stamp, method, target, &[body], signature).map_err(|error| match error {
            VerifyError::Encoding => Refusal::SignatureEncoding,
            VerifyError::Mismatch => {
                let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
                let claim = Claim { credential: &credential, nonce: &nonce, method, target, body, signature, host };
                Refusal::SignatureMismatch {
                    fingerprint: key.fingerprint().to_owned(),
                    target: target.len(),
                    body: body.len(),
                    mistake: mistake(key, &claim),
                }
            }
        })?;

        // Only a request that was rightly signed uses its nonce up. Two copies at the same moment may both come this
        // far; one of them is first here.
        if self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(nonce, now) {
            Ok(())
        } else {
            Err(Refusal::NonceReplayed)
        }
    }
}

/// What explains a signature that does not match. Large bodies are not searched: it would hold up other requests.
fn mistake(key: &VerifyingKey, claim: &Claim<'_>) -> Option<Mistake> {
    if claim.body.len() > LARGEST_EXPLAINED {
        return None;
    }
    diagnosis::diagnose(key, claim).filter(|mistake| *mistake != Mistake::Unknown)
}

/// The layer: takes the body in, verifies, and hands the same bytes on.
pub(super) async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/svc/") {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    // The body comes first, although the head alone may be reason enough to refuse: an answer that overtakes the body
    // reaches many a client as a reset connection.
    let body = match collect(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    match gate.verify(&head, &body) {
        Ok(()) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(refusal) => refusal.into_response(),
    }
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

/// The value of a header that must be there exactly once; `None` when it is not ASCII text.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Refusal::HeaderMissing(name))?;
    if values.next().is_some() {
        return Err(Refusal::HeaderRepeated(name));
    }
    Ok(value.to_str().ok())
}

/// The nonces of the last hour or two, in two generations of which the older is forgotten as a whole.
///
/// A request is acceptable for at most an hour, from half an hour before its own time to half an hour after it, so a
/// generation lives that long at least. When it fills up before, it ages early: memory stays bounded (about 70 MiB),
/// and a replay from more than a million requests ago can pass.
#[derive(Default)]
struct UsedNonces {
    young: HashSet<Nonce>,
    old: HashSet<Nonce>,
    since: u64,
}

impl UsedNonces {
    fn contains(&self, nonce: &Nonce) -> bool {
        self.young.contains(nonce) || self.old.contains(nonce)
    }

    /// Says whether the nonce was new.
    fn insert(&mut self, nonce: Nonce, now: u64) -> bool {
        if now.saturating_sub(self.since) > 2 * WINDOW || self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        !self.old.contains(&nonce) && self.young.insert(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_a_nonce_for_an_hour_and_forgets_it_after_two() {
        let [first, second, third]: [Nonce; 3] =
            ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"].map(|text| text.parse().unwrap());
        let mut used = UsedNonces::default();
        let start = 1_771_061_405;
        assert!(used.insert(first, start));
        assert!(!used.insert(first, start + 3600));
        assert!(used.insert(second, start + 3601));
        assert!(!used.insert(first, start + 3601), "an hour after its generation began");
        assert!(used.insert(third, start + 7202));
        assert!(!used.contains(&first));
        assert!(used.contains(&second));
    }
}
