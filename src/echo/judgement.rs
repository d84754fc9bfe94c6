//! What an answer of echo shows about key, AppID, clock, address and environment; pure.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::Endpoint;
use crate::{credentials::Entry, signing::window::REQUEST_TOLERANCE_SECONDS};

/// A clock that is off by this many seconds causes a warning, long before Wonder rejects requests.
const CLOCK_WARNING: u64 = 300;
/// Computes a fingerprint from the file that the user uploads to the portal.
pub(crate) const FINGERPRINT: &str = "openssl pkey -pubin -in public_key.pem -outform DER | openssl dgst -sha256";

/// The unit under test.
pub(super) struct Asked<'a> {
    pub(super) entry: &'a Entry,
    pub(super) endpoint: &'a Endpoint,
    /// The message that was sent.
    pub(super) message: &'a str,
}

/// The answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// In milliseconds.
    pub(super) took: u128,
    /// This machine's clock minus Wonder's, in seconds.
    pub(super) skew: Option<i64>,
}

impl Asked<'_> {
    /// `Ok` only if the answer contains the message that was sent, because any server between here and Wonder can answer 200.
    pub(super) fn judge(&self, answer: &Answer) -> Result<String, String> {
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
                self.endpoint.origin
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
            self.endpoint.origin
        )
    }

    /// Wonder rejected the request. Returns the cause that the answer names, or else all possible causes, the likeliest first.
    fn rejected(&self, answer: &Answer, said: &Said) -> String {
        let (app_id, environment) = (&self.entry.app_id, self.endpoint.environment);
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
