//! Reads a request body, stamps and signs the request, sends it, and returns Wonder's response.

use std::{sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, uri::PathAndQuery};
use hyper::body::Incoming;
use tokio::time::timeout_at;

use super::{
    Parts,
    exchange::{Call, Exchange},
    head,
    held::{Held, Hold},
};
use crate::{
    contract::Code,
    credentials::{Entry, NoEntry, SignError},
    net::{
        admission::body::BufferedBody,
        headers,
        respond::Failure,
        response_head,
        upstream::{RequestBody, SendError, Streamed},
    },
    policy::{Caller, Use},
    signing::{self, Nonce, Stamp, signature_message},
};

/// Request header that selects one of several credentials.
const CREDENTIAL_CHOICE: HeaderName = HeaderName::from_static("x-wonder-signer-credential");
/// The credential of a request that names none.
const DEFAULT_CREDENTIAL: &str = "default";

const CREDENTIAL: HeaderName = HeaderName::from_static("credential");
const NONCE: HeaderName = HeaderName::from_static("nonce");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");

pub(super) struct Gateway {
    parts: Parts,
}

/// A request that is ready to be stamped and sent.
struct Prepared {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    body: BufferedBody,
    deadline: Instant,
}

impl Gateway {
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    pub(super) async fn handle(self: Arc<Self>, call: Call) -> Result<Response<Held>, Failure> {
        let Call { request, deadline, exchange } = call;
        let (head, incoming) = request.into_parts();
        let target = head::check(&head, exchange.caller(), &self.parts.rules)?;
        let entry = self.credential(&head.headers, exchange.caller())?;
        exchange.signing_as(&entry);
        let body = self.read_body(incoming, &exchange).await?;
        let mut headers = head.headers;
        if let Some(required) = &self.parts.rules.required_header {
            headers.remove(&required.name);
        }
        headers::to_upstream(&mut headers, |kind| exchange.metrics().stripped(kind));
        if body.length > 0 || matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.length));
        }
        let prepared = Prepared { method: head.method, target, headers, body, deadline: deadline.at() };
        let response = match self.attempt(&prepared, &entry, &exchange).await {
            // The only second attempt: no byte was written, or the origin guarantees that it did not process the request (HTTP/2). It gets
            // a new time, nonce and signature.
            Err(FailedAttempt { again: true, .. }) => {
                exchange.metrics().connect_retried();
                self.attempt(&prepared, &entry, &exchange).await
            }
            first => first,
        };
        let (parts, body) = response.map_err(|attempt| attempt.failure)?.into_parts();
        if !response_head::has_body(&prepared.method, parts.status) {
            return Ok(Response::from_parts(parts, Held::without(body)));
        }
        // The response may need the memory.
        drop(prepared);
        let (limit, idle) = (self.parts.limits.response_held, self.parts.timeouts.response_idle);
        let body = Hold { limit, idle, budget: self.parts.admission.budget() }.read(&parts.headers, body).await?;
        Ok(Response::from_parts(parts, body))
    }

    /// The credential that the request selects. A caller that may not use it receives the same answer as for a name that is not configured.
    fn credential(&self, headers: &HeaderMap, caller: &Caller) -> Result<Arc<Entry>, Failure> {
        let mut chosen = headers.get_all(CREDENTIAL_CHOICE).iter();
        let name = match (chosen.next(), chosen.next()) {
            (None, _) => Some(DEFAULT_CREDENTIAL),
            (Some(name), None) => name.to_str().ok(),
            (Some(_), Some(_)) => None,
        };
        let (policy, credentials) = (&self.parts.policy, &self.parts.credentials);
        let found = name.map(|name| (name, credentials.get(name)));
        let Some((name, entry)) = found.filter(|(_, entry)| !matches!(entry, Err(NoEntry::Unknown))) else {
            policy.conceal(caller)?;
            return Err(Failure::new(
                Code::UnknownCredential,
                "no such credential: X-Wonder-Signer-Credential must name one that is configured, or be left out where \
                 credentials.default is",
            ));
        };
        policy.allow(&Use { caller, credential: name })?;
        entry.map_err(|_| {
            Failure::new(
                Code::NoKey,
                "the files of this credential cannot be used; the log of wonder-signer names the file and the remedy",
            )
        })
    }

    async fn read_body(&self, incoming: Incoming, exchange: &Exchange) -> Result<BufferedBody, Failure> {
        let began = Instant::now();
        let body = self.parts.admission.read_body(incoming).await?;
        exchange.body_read(body.length as u64, began);
        if signing::is_ambiguous(&body.chunks) {
            let message = "the body is only white space, which Wonder's own clients sign in different ways; send no body, or send JSON";
            return Err(Failure::new(Code::AmbiguousBody, message));
        }
        Ok(body)
    }

    /// Stamps, signs and sends `prepared` once.
    async fn attempt(
        &self,
        prepared: &Prepared,
        entry: &Entry,
        exchange: &Exchange,
    ) -> Result<Response<Streamed>, FailedAttempt> {
        let signed = self.sign(prepared, entry, exchange).await?;
        let mut headers = prepared.headers.clone();
        for (name, value) in [(CREDENTIAL, signed.credential), (NONCE, signed.nonce), (SIGNATURE, signed.signature)] {
            let mut value = HeaderValue::try_from(value)
                .map_err(|error| Failure::new(Code::SignFailed, "the signature is no header value").because(&error))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let body: RequestBody = prepared.body.chunks.iter().cloned().collect();
        let (began, handover) = exchange.attempt_started();
        let deadline = began + self.parts.timeouts.response_head;
        let (method, target, until) =
            (prepared.method.clone(), prepared.target.clone(), deadline.min(prepared.deadline).into());
        let sending = self.parts.upstreams.of(&entry.name).send(method, target, headers, body, until, handover);
        match timeout_at(deadline.into(), sending).await {
            Ok(Ok(response)) => {
                let (mut head, body) = response.into_parts();
                response_head::check(&mut head, (&self.parts.limits).into())?;
                exchange.response_head(body.connection_opened());
                entry.answered(matches!(head.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN));
                Ok(Response::from_parts(head, body))
            }
            Ok(Err(error)) => {
                exchange.attempt_failed();
                Err(error.into())
            }
            Err(_) => {
                let failure =
                    Failure::new(Code::UpstreamTimeout, "no answer from the origin in time (timeouts.response_head)");
                Err(failure.with_sent(exchange.sent()).into())
            }
        }
    }

    /// The stamp is made here, after the body was read, so that a slow upload does not age it.
    async fn sign(&self, prepared: &Prepared, entry: &Entry, exchange: &Exchange) -> Result<signing::Signed, Failure> {
        let mut began = Instant::now();
        let stamped = || {
            let stamp = Stamp { request_time: (self.parts.clock)(), nonce: Nonce::generate(&mut rand::thread_rng()) };
            began = Instant::now();
            let (method, target) = (prepared.method.as_str(), prepared.target.as_str());
            let message = signature_message(&stamp, method, target, &prepared.body.chunks);
            (stamp, message)
        };
        match entry.sign(stamped).await {
            Ok(signed) => {
                exchange.signed(began);
                Ok(signed)
            }
            Err(error @ SignError::Overloaded) => Err(Failure::new(Code::Overloaded, error.to_string())),
            Err(error @ SignError::Failed(_)) => {
                exchange.metrics().signed(false, began.elapsed().as_secs_f64());
                Err(Failure::new(Code::SignFailed, "the request could not be signed").because(&error))
            }
        }
    }
}

struct FailedAttempt {
    failure: Failure,
    again: bool,
}

impl From<Failure> for FailedAttempt {
    fn from(failure: Failure) -> Self {
        Self { failure, again: false }
    }
}

impl From<SendError> for FailedAttempt {
    fn from(error: SendError) -> Self {
        Self { again: error.may_be_tried_again(), failure: error.into() }
    }
}
