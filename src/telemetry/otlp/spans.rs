//! The spans of a request, in the format of OTLP (`opentelemetry/proto/trace/v1/trace.proto`, in its JSON form: ids in hexadecimal,
//! 64-bit numbers as texts) and, where there are any, of its semantic conventions for HTTP.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use rand::Rng as _;
use serde_json::{Value, json};

use super::super::{Finished, Phase, Phases, SpanId, Trace};
use crate::contract::Code;

// enum SpanKind
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
// enum StatusCode
const ERROR: u8 = 2;

/// A request to be exported.
pub(super) struct Record {
    trace: Trace,
    began: SystemTime,
    total: Duration,
    phases: Phases,
    operation: &'static str,
    method: &'static str,
    status: Option<u16>,
    error: Option<&'static str>,
    cancelled: bool,
    origin: &'static str,
    sent: &'static str,
    attempts: u32,
    request_bytes: u64,
    response_bytes: u64,
    request_id: String,
    credential: Option<String>,
}

impl Record {
    /// The record of a finished request; `None` if it is in no trace.
    pub(super) fn of(request: &Finished<'_>, now: SystemTime) -> Option<Self> {
        Some(Self {
            trace: request.trace?,
            began: now.checked_sub(request.total)?,
            total: request.total,
            phases: request.phases,
            operation: request.operation,
            method: known_method(request.method),
            status: request.status,
            error: request.error.map(Code::as_str),
            cancelled: request.cancelled,
            origin: request.origin,
            sent: request.sent_text(),
            attempts: request.attempts,
            request_bytes: request.request_bytes,
            response_bytes: request.response_bytes,
            request_id: request.request_id.to_owned(),
            credential: request.credential.map(str::to_owned),
        })
    }

    /// Its spans: the request's own first, then those below it.
    fn spans(&self) -> impl Iterator<Item = Value> {
        let Phases { body, sign, connect, upstream, response, .. } = self.phases;
        // One span for Wonder: the wait for the response, and the response.
        let wonder = match (upstream.took.is_zero(), response.took.is_zero()) {
            (false, false) => {
                Phase { ended: response.ended, took: (response.ended + upstream.took).saturating_sub(upstream.ended) }
            }
            _ => upstream,
        };
        // A failed attempt has no phase after the one in which it failed.
        let failed = self.error.filter(|_| self.attempts > 0);
        let below = [
            ("body", INTERNAL, body, None),
            ("sign", INTERNAL, sign, None),
            ("connect", INTERNAL, connect, failed.filter(|_| wonder.took.is_zero())),
            ("upstream", CLIENT, wonder, failed.filter(|_| !wonder.took.is_zero())),
        ];
        let below = below.into_iter().filter(|(_, _, phase, _)| !phase.took.is_zero());
        let below = below.map(|(name, kind, phase, error)| self.span_below(name, kind, phase, error));
        std::iter::once(self.own_span()).chain(below.collect::<Vec<_>>())
    }

    fn own_span(&self) -> Value {
        let own_fault = self.error.is_some() || self.status.is_none_or(|status| status >= 500);
        let error_type = self.error.map(str::to_owned).or(self.cancelled.then(|| "cancelled".to_owned()));
        let attributes = [
            ("http.request.method", Some(text(self.method))),
            ("http.response.status_code", self.status.map(number)),
            ("http.request.body.size", Some(number(self.request_bytes))),
            ("http.response.body.size", Some(number(self.response_bytes))),
            ("error.type", error_type.map(|error| text(&error))),
            ("wonder_signer.request_id", Some(text(&self.request_id))),
            ("wonder_signer.credential", self.credential.as_deref().map(text)),
            ("wonder_signer.origin", self.status.map(|_| text(self.origin))),
            ("wonder_signer.sent", Some(text(self.sent))),
            ("wonder_signer.attempts", Some(number(self.attempts))),
        ];
        let mut span =
            self.span(self.operation, SERVER, self.trace.span, self.trace.parent, Duration::ZERO, self.total);
        span["attributes"] =
            attributes.into_iter().filter_map(|(name, value)| Some(json!({ "key": name, "value": value? }))).collect();
        if own_fault {
            span["status"] = json!({ "code": ERROR });
        }
        span
    }

    fn span_below(&self, name: &str, kind: u8, phase: Phase, error: Option<&'static str>) -> Value {
        let id = SpanId(rand::thread_rng().r#gen::<u64>().max(1).to_be_bytes());
        let began = phase.ended.saturating_sub(phase.took);
        let mut span = self.span(name, kind, id, Some(self.trace.span), began, phase.ended);
        if let Some(error) = error {
            span["attributes"] = json!([{ "key": "error.type", "value": text(error) }]);
            span["status"] = json!({ "code": ERROR });
        }
        span
    }

    fn span(&self, name: &str, kind: u8, id: SpanId, parent: Option<SpanId>, from: Duration, to: Duration) -> Value {
        let nanoseconds = |after: Duration| {
            let since = self.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + after;
            since.as_nanos().to_string()
        };
        json!({
            "traceId": self.trace.id.to_string(),
            "spanId": id.to_string(),
            "parentSpanId": parent.map(|parent| parent.to_string()).unwrap_or_default(),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": nanoseconds(from),
            "endTimeUnixNano": nanoseconds(to),
        })
    }
}

/// The body of one export: `ExportTraceServiceRequest`.
pub(super) fn batch(resource: &BTreeMap<String, String>, records: &[Record]) -> Vec<u8> {
    let attributes: Value = resource.iter().map(|(name, value)| json!({ "key": name, "value": text(value) })).collect();
    let spans: Vec<Value> = records.iter().flat_map(Record::spans).collect();
    let request = json!({ "resourceSpans": [{
        "resource": { "attributes": attributes },
        "scopeSpans": [{ "scope": { "name": "wonder-signer", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
    }]});
    request.to_string().into_bytes()
}

fn text(text: &str) -> Value {
    json!({ "stringValue": text })
}

fn number(number: impl Into<u64>) -> Value {
    json!({ "intValue": number.into().to_string() })
}

/// Unknown methods are `_OTHER`, as the semantic conventions require.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}
