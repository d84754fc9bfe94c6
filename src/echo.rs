//! Sends Wonder one signed call that changes nothing, and derives from the answer whether key, AppID, clock, address and environment are
//! right. It proves a unit for `check --echo` and for a rotation.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use tokio::time::timeout_at;

use crate::{
    clock,
    config::{Environment, Origin},
    contract::Code,
    credentials::Entry,
    net::{
        respond,
        upstream::{Handover, Upstream},
    },
    signing::{Nonce, RequestTime, Stamp, signature_message, window::REQUEST_TOLERANCE_SECONDS},
};

/// Wonder's call without side effects (`deploy/docs/wonder.md` §1).
const ECHO: &str = "/svc/payment/api/v1/openapi/echo";
/// An answer is read up to this many bytes. Wonder's answer has some hundred bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// A clock that is off by this many seconds causes a warning, long before Wonder rejects requests.
const CLOCK_WARNING: u64 = 300;
/// Computes a fingerprint from the file that the user uploads to the portal.
pub(crate) const FINGERPRINT: &str = "openssl pkey -pubin -in public_key.pem -outform DER | openssl dgst -sha256";

/// The unit under test.
struct Asked<'a> {
    entry: &'a Entry,
    place: &'a Place,
    message: &'a str,
}

/// The Wonder that is called.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its environment.
    pub(crate) environment: Environment,
    /// Its origin.
    pub(crate) origin: Origin,
    /// How long to wait for its answer (`timeouts.response_head`).
    pub(crate) patience: Duration,
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

/// The answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    took: u128,
    /// This machine's clock minus Wonder's, in seconds.
    skew: Option<i64>,
}

/// Calls echo once, signed with `entry`. Returns a summary of the answer, or the likely cause of the failure.
///
/// # Errors
/// [`Unproved`], as text for a person.
pub(crate) async fn echo(place: &Place, entry: &Entry, upstream: &Upstream) -> Result<String, Unproved> {
    // Random, so that no page of a proxy contains it by chance.
    let message = format!("wonder-signer check {}", Nonce::generate(&mut rand::thread_rng()));
    let answer = call(place, entry, upstream, &message).await.map_err(Unproved::Unknown)?;
    let judged = Asked { entry, place, message: &message }.judge(&answer);
    judged.map_err(|reason| match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Unproved::Rejected(reason),
        _ => Unproved::Unknown(reason),
    })
}

async fn call(place: &Place, entry: &Entry, upstream: &Upstream, message: &str) -> Result<Answer, String> {
    let patience = place.patience;
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
    let deadline = began + patience;
    let (target, handover) = (http::uri::PathAndQuery::from_static(ECHO), Handover::default());
    let sending = async {
        let body = std::iter::once(body).collect();
        let sent = upstream.send(Method::POST, target, headers, body, deadline.into(), &handover).await;
        let (head, body) = sent.map_err(|error| unanswered(&error.into(), place.environment))?.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| format!("the answer ({}) cannot be read to its end: {error}", head.status))?;
        Ok::<_, String>((head, body.to_bytes()))
    };
    let (head, body) = timeout_at(deadline.into(), sending)
        .await
        .map_err(|_| {
            format!(
                "connection: no answer within {patience:?} (timeouts.response_head); check the network between here and upstream.origin, and \
                 whether Wonder has an outage"
            )
        })??;
    // Wonder reads its clock between sending and receiving, so the middle is compared.
    let skew = skew(&head.headers, (since_1970 + began.elapsed() / 2).as_secs());
    Ok(Answer { status: head.status, headers: head.headers, body, took: began.elapsed().as_millis(), skew })
}

impl Asked<'_> {
    /// `Ok` only if the answer contains the message that was sent, because any server between here and Wonder can answer 200.
    fn judge(&self, answer: &Answer) -> Result<String, String> {
        let status = answer.status;
        let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let said = json.as_ref().map(Said::of).unwrap_or_default();
        let (clock, off) = clock(answer.skew);
        let fails = |reason: &str| Err(format!("{off}{status}{said}, {clock}: {reason}"));
        match (status, &json) {
            (_, None) => fails(&self.not_json(answer)),
            (status, Some(json)) if status.is_success() => match (has(json, self.message), said.is_failure()) {
                (true, false) => Ok(format!("{status} in {} ms, Wonder returned the message, {clock}", answer.took)),
                (_, true) => fails(&self.rejected(answer, &said)),
                (false, false) => {
                    fails("the answer does not have the message that was sent, so it is not that of Wonder's echo")
                }
            },
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST, Some(_)) => {
                fails(&self.rejected(answer, &said))
            }
            (StatusCode::NOT_FOUND, Some(_)) => fails(&format!(
                "environment: there is no echo at {}; check upstream.environment and upstream.origin",
                self.place.origin
            )),
            (status, Some(_)) if status.is_server_error() => fails(
                "a fault at Wonder or at a proxy in front of it, which does not show whether key and AppID are accepted; try again later",
            ),
            _ => fails("not an answer of Wonder's echo; it does not show whether key and AppID are accepted"),
        }
    }

    fn not_json(&self, answer: &Answer) -> String {
        let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let kind = match text(header::CONTENT_TYPE) {
            _ if answer.body.is_empty() => "no body".to_owned(),
            Some(kind) if kind.contains("json") => "a text that no JSON parser reads".to_owned(),
            Some(kind) => shortened(kind),
            None => "a body of no known type".to_owned(),
        };
        let to = match text(header::LOCATION) {
            Some(location) => {
                format!(", and redirects to {}", shortened(location.split('?').next().unwrap_or_default()))
            }
            None => String::new(),
        };
        format!(
            "the answer is not Wonder's JSON but {kind}{to}; another server answers in its place (captive portal, proxy, load balancer), or {} is \
             not Wonder",
            self.place.origin
        )
    }

    /// Wonder rejected the request. Returns the cause that the answer names, or else all possible causes, the likeliest first.
    fn rejected(&self, answer: &Answer, said: &Said) -> String {
        let (app_id, environment) = (&self.entry.app_id, self.place.environment);
        let fingerprint = self.entry.verifying_key.fingerprint();
        let key = format!(
            "key: the public key in Wonder's portal for this AppID must have the fingerprint {fingerprint} (first 8 digits of: \
             {FINGERPRINT})"
        );
        let app = format!(
            "AppID and environment: AppID {app_id} must be active in {environment}; each environment has its own AppIDs, and this one may exist only in the other"
        );
        let address =
            "IP restriction: the AppID's list must contain the public IPv4 address of this machine's egress".to_owned();
        match said.subject() {
            Some(Subject::Clock) => {
                "clock: Wonder rejects the request time; compare this machine's clock with UTC".to_owned()
            }
            Some(Subject::Address) => address,
            Some(Subject::Key) => key,
            Some(Subject::App) => app,
            None => {
                let order =
                    if answer.status == StatusCode::FORBIDDEN { [address, app, key] } else { [app, key, address] };
                format!("the answer gives no reason; check in this order: {}", order.join("; "))
            }
        }
    }
}

/// Code and message of Wonder's envelope, under any of its names.
#[derive(Debug, Default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
}

/// The cause of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Clock,
    Address,
    Key,
    App,
}

impl Said {
    fn of(json: &Value) -> Self {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| match json.get(name)? {
                Value::String(text) if !text.is_empty() => Some(shortened(text)),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
        };
        Self {
            code: first(&["error_code", "code"]),
            message: first(&["error_message", "message", "error_msg", "error"]),
        }
    }

    /// Wonder's business errors have HTTP 200 and an error code.
    fn is_failure(&self) -> bool {
        self.code.as_deref().is_some_and(|code| !matches!(code, "200" | "201" | "0"))
    }

    /// Guesses the cause from words that are usual in such messages, because Wonder does not document its own.
    fn subject(&self) -> Option<Subject> {
        let text = self.message.as_deref()?.to_ascii_lowercase();
        let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let has = |wanted: &[&str]| wanted.iter().any(|wanted| text.contains(wanted));
        if has(&["request time", "timestamp", "expired", "clock"]) {
            Some(Subject::Clock)
        } else if words.contains(&"ip") || has(&["whitelist", "white list", "allowlist", "ipv4"]) {
            Some(Subject::Address)
        } else if has(&["signature", "public key"]) {
            Some(Subject::Key)
        } else if has(&["appid", "app id", "app_id", "application", "credential"]) {
            Some(Subject::App)
        } else {
            None
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, ", code {code}, {message:?}"),
            (Some(code), None) => write!(f, ", code {code}"),
            (None, Some(message)) => write!(f, ", {message:?}"),
            (None, None) => Ok(()),
        }
    }
}

/// The clock as text, and the prefix of every message when the clock is wrong.
fn clock(skew: Option<i64>) -> (String, String) {
    let Some(skew) = skew else {
        return ("no Date header to compare the clock with".to_owned(), String::new());
    };
    let off = skew.unsigned_abs();
    let side = if skew < 0 { "behind" } else { "ahead of" };
    if off > REQUEST_TOLERANCE_SECONDS {
        let first = format!(
            "clock: the clock of this machine is {off} s {side} Wonder's, and Wonder rejects more than {REQUEST_TOLERANCE_SECONDS} s: correct it first; "
        );
        (format!("clock {skew:+} s against Wonder's"), first)
    } else if off >= CLOCK_WARNING {
        (
            format!(
                "clock {skew:+} s against Wonder's; correct it, because Wonder rejects more than {REQUEST_TOLERANCE_SECONDS} s"
            ),
            String::new(),
        )
    } else {
        (format!("clock {skew:+} s against Wonder's"), String::new())
    }
}

/// Whether any text in `json` contains `message`. The envelope of echo is not documented.
fn has(json: &Value, message: &str) -> bool {
    match json {
        Value::String(text) => text.contains(message),
        Value::Array(items) => items.iter().any(|item| has(item, message)),
        Value::Object(fields) => fields.values().any(|field| has(field, message)),
        _ => false,
    }
}

/// A text from the answer, shortened for one line.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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
