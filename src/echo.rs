//! Sends Wonder one signed call that changes nothing, and derives from the answer whether key, AppID, clock, address and environment are
//! right. It proves a unit for `check --echo` and for a rotation.

mod judgement;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout_at;

pub(crate) use self::judgement::FINGERPRINT;
use self::judgement::{Answer, Asked};
use crate::{
    clock,
    config::{Environment, Origin},
    contract::Code,
    credentials::Entry,
    net::{
        respond,
        upstream::{Handover, Upstream},
    },
    signing::{Nonce, RequestTime, Stamp, signature_message},
};

/// Wonder's call without side effects (`deploy/docs/wonder.md` §1).
const ECHO: &str = "/svc/payment/api/v1/openapi/echo";
/// An answer is read up to this many bytes. Wonder's answer has some hundred bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The Wonder that is called.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Its environment.
    pub(crate) environment: Environment,
    /// Its origin.
    pub(crate) origin: Origin,
    /// How long to wait for its answer (`timeouts.response_head`).
    pub(crate) timeout: Duration,
}

/// Why an echo proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproved {
    /// Wonder does not accept the unit (401, 403).
    #[error("{0}")]
    Rejected(String),
    /// Wonder did not judge it.
    #[error("{0}")]
    Unknown(String),
}

/// Calls echo once, signed with `entry`. Returns a summary of the answer, or the likely cause of the failure.
///
/// # Errors
/// [`Unproved`], as text for a person.
pub(crate) async fn echo(endpoint: &Endpoint, entry: &Entry, upstream: &Upstream) -> Result<String, Unproved> {
    // Random, so that no page of a proxy contains it by chance.
    let message = format!("wonder-signer check {}", Nonce::generate(&mut rand::thread_rng()));
    let answer = call(endpoint, entry, upstream, &message).await.map_err(Unproved::Unknown)?;
    let judged = Asked { entry, endpoint, message: &message }.judge(&answer);
    judged.map_err(|reason| match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Unproved::Rejected(reason),
        _ => Unproved::Unknown(reason),
    })
}

async fn call(endpoint: &Endpoint, entry: &Entry, upstream: &Upstream, message: &str) -> Result<Answer, String> {
    let limit = endpoint.timeout;
    let since_1970 = clock::since_1970();
    let body = Bytes::from(serde_json::json!({ "message": message }).to_string());
    let stamped = || {
        let request_time = RequestTime::from_unix_seconds(since_1970.as_secs());
        let stamp = Stamp { request_time, nonce: Nonce::generate(&mut rand::thread_rng()) };
        let message = signature_message(&stamp, "POST", ECHO, &[&body]);
        (stamp, message)
    };
    let signed = entry.sign(stamped).await.map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    // The message is shown to a person, and searched for English words.
    headers.insert("x-i18n-lang", HeaderValue::from_static("en"));
    for (name, value) in [("credential", signed.credential), ("nonce", signed.nonce), ("signature", signed.signature)] {
        headers.insert(name, HeaderValue::try_from(value).map_err(|error| error.to_string())?);
    }
    let began = Instant::now();
    let deadline = began + limit;
    let (target, handover) = (http::uri::PathAndQuery::from_static(ECHO), Handover::default());
    let sending = async {
        let body = std::iter::once(body).collect();
        let sent = upstream.send(Method::POST, target, headers, body, deadline.into(), &handover).await;
        let (head, body) = sent.map_err(|error| unanswered(&error.into(), endpoint.environment))?.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| format!("the answer ({}) cannot be read to its end: {error}", head.status))?;
        Ok::<_, String>((head, body.to_bytes()))
    };
    let (head, body) = timeout_at(deadline.into(), sending)
        .await
        .map_err(|_| {
            format!(
                "connection: no answer within {limit:?} (timeouts.response_head); check the network between here and upstream.origin, and \
                 whether Wonder has an outage"
            )
        })??;
    // Wonder reads its clock between sending and receiving, so the middle is compared.
    let skew = skew(&head.headers, (since_1970 + began.elapsed() / 2).as_secs());
    Ok(Answer { status: head.status, headers: head.headers, body, took: began.elapsed().as_millis(), skew })
}

/// Why there is no answer: the part to check first, the cause and the remedy.
fn unanswered(failure: &respond::Failure, environment: Environment) -> String {
    let text = match failure.cause().and_then(details) {
        Some(details) => format!("{failure}: {details}"),
        None => failure.to_string(),
    };
    let (subject, remedy) = match failure.code {
        // The text names the step of a connection through the egress proxy.
        Code::UpstreamDns | Code::UpstreamConnect if text.contains("egress proxy") => (
            "egress proxy",
            "; check upstream.proxy: the proxy must be reachable, accept its user and password, and allow a tunnel to the origin",
        ),
        Code::UpstreamDns if environment != Environment::Custom => {
            ("DNS", "; check this machine's resolver (in a pod: dnsPolicy, and a network policy that allows port 53)")
        }
        Code::UpstreamDns => (
            "DNS",
            "; check the name in upstream.origin and this machine's resolver (in a pod: dnsPolicy, and a network policy that allows port 53)",
        ),
        Code::UpstreamConnect => (
            "connection",
            "; check upstream.origin and the egress of this machine: firewall, network policy, or an egress proxy (upstream.proxy)",
        ),
        // The text already contains the remedy.
        Code::UpstreamTls => ("TLS", ""),
        _ => ("connection", "; try again, and check the network between here and upstream.origin"),
    };
    format!("{subject}: {text}{remedy}")
}

/// The cause without the steps that the failure already names in other words.
fn details(cause: &str) -> Option<&str> {
    const NO_CONNECTION: &str = "no connection: ";
    let (_, details) = cause.strip_prefix(NO_CONNECTION).unwrap_or(cause).split_once(": ")?;
    Some(details)
}

/// This machine's clock minus Wonder's, in seconds. `None` if the answer is from a cache (`Age`), because its time is older.
fn skew(headers: &HeaderMap, ours: u64) -> Option<i64> {
    if headers.contains_key(header::AGE) {
        return None;
    }
    let theirs = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let theirs = theirs.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(ours).ok()? - i64::try_from(theirs).ok()?)
}
