//! Makes a [`Call`] of the console from a finished call. It never waits or fails, because the console must not change an answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, request::Parts};
use serde_json::Value;

use super::calls::{Call, Text, Verdict};
use crate::{
    operations,
    signing::{Credential, Nonce, Stamp, message::Chain},
    simulator::{
        faults::{Fault, Picked},
        mask::{masked, shown},
        refusal::Refusal,
    },
};

/// The headers that are shown with their values. No other value is kept, because it could be a key.
const SHOWN: [&str; 7] =
    ["Credential", "Nonce", "Content-Type", "X-Request-ID", "x-i18n-lang", "User-Agent", "X-Simulator-Fault"];

/// The most characters of a value that are kept. It is cut after its card numbers are masked, because a part of one would not be found.
const LONGEST_VALUE: usize = 200;

/// The body of a request as it arrived: a response extension of the gate, which reads it.
#[derive(Clone)]
pub(crate) struct Received(pub(crate) Bytes);

/// The data of a request before it is handled.
pub(crate) struct Begun {
    method: String,
    target: String,
    path: usize,
    headers: Vec<(&'static str, String)>,
    fault: Option<Fault>,
}

impl Begun {
    pub(crate) fn of(head: &Parts) -> Self {
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        Self {
            method: head.method.as_str().to_owned(),
            target: target.to_owned(),
            path: head.uri.path().len(),
            headers: listed(&head.headers),
            fault: head.extensions.get::<Picked>().map(|Picked(fault)| *fault),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| &value[..])
    }

    /// The call with its answer.
    pub(super) fn ended(self, ended: &Ended<'_>) -> Call {
        let body = ended.received.map_or(&[][..], |Received(body)| body);
        let credential: Option<Credential> = self.header("Credential").and_then(|text| text.parse().ok());
        let nonce: Option<Nonce> = self.header("Nonce").and_then(|text| text.parse().ok());
        let chain = credential.as_ref().zip(nonce).map(|(credential, nonce)| {
            let stamp = Stamp { request_time: credential.request_time, nonce };
            Chain::of(&stamp, &self.method, &self.target, &[body])
        });
        // A value in the form of a credential or a nonce contains no card number, although a request time could look like one.
        let is_formed = [("Credential", credential.is_some()), ("Nonce", chain.is_some())];
        let mut headers = self.headers;
        for (_, value) in headers.iter_mut().filter(|(name, _)| !is_formed.contains(&(*name, true))) {
            *value = shown(value);
            if let Some((end, _)) = value.char_indices().nth(LONGEST_VALUE) {
                value.truncate(end);
            }
        }
        let operation = operations::find(&self.method, self.target.get(..self.path).unwrap_or_default()).name();
        Call {
            id: 0,
            at: ended.at,
            took: ended.took,
            operation,
            app_id: credential.map(|credential| credential.app_id.as_str().to_owned()),
            status: ended.status.as_u16(),
            error: ended.error.map(|envelope| (text(&envelope["code"]), shown(&text(&envelope["message"])))),
            verdict: ended.refusal.map_or(Verdict::Right, Verdict::of),
            request: Text::of(body),
            answer: Text::of(ended.answer),
            chain,
            fault: self.fault.map(|fault| fault.to_string()),
            target: masked(self.target.as_bytes()).unwrap_or_default(),
            method: shown(&self.method),
            headers: headers.into(),
        }
    }
}

/// The data of the answer.
pub(crate) struct Ended<'a> {
    /// In seconds since 1970.
    pub(crate) at: u64,
    pub(crate) took: Duration,
    pub(crate) status: StatusCode,
    pub(crate) refusal: Option<&'a Refusal>,
    /// The envelope, if it is an error.
    pub(crate) error: Option<&'a Value>,
    pub(crate) received: Option<&'a Received>,
    pub(crate) answer: &'a [u8],
}

impl Verdict {
    fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::SignatureMismatch { parts_at, .. } => Self::Wrong { step: refusal.step(), parts_at: *parts_at },
            Refusal::Fault(_) => Self::Unsigned,
            _ if refusal.status() == StatusCode::UNAUTHORIZED => Self::Wrong { step: refusal.step(), parts_at: None },
            Refusal::BodyTimeout | Refusal::BodyCut | Refusal::BodyTooLarge(_) | Refusal::NoTls => Self::Unsigned,
            _ => Self::Right,
        }
    }
}

/// A code is a number in business errors, and a text in all others.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn listed(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let found = |name: &'static str| Some((name, String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned()));
    SHOWN.into_iter().filter_map(found).collect()
}
