//! Traces as a collector receives them from the built program, over a socket.

use serde_json::Value;

use crate::support::{
    closed::Closed,
    logged::Logged,
    upstream::{Act, Recorder},
    wire::{Message, exchange, request},
};

const CUSTOMERS: &str = "/svc/payment/api/v1/openapi/customers";
/// So long that only the stop of the program exports.
const NEVER: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "3600000");
const AT_ONCE: (&str, &str) = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1");

fn body(export: &Message) -> Value {
    serde_json::from_slice(&export.body).unwrap()
}

fn spans(export: &Message) -> Vec<Value> {
    body(export)["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans.iter().map(|span| span["name"].as_str().unwrap()).collect()
}

fn attribute<'a>(attributes: &'a Value, name: &str) -> &'a str {
    let found = attributes.as_array().unwrap().iter().find(|attribute| attribute["key"] == name).unwrap();
    found["value"].as_object().unwrap().values().next().unwrap().as_str().unwrap()
}

#[tokio::test]
async fn a_request_is_a_span_in_the_callers_trace_with_spans_below_it() {
    let (upstream, collector) = (Recorder::start().await, Recorder::start().await);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.origin()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret"),
        ("OTEL_SERVICE_NAME", "tea-room"),
        AT_ONCE,
    ];
    let program = Logged::before(&upstream.origin(), &variables).await;
    let headers = [
        ("X-Request-ID", "order-7781"),
        ("X-Any", "MARKER"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let create = request("POST", &format!("{CUSTOMERS}?x=MARKER"), &headers, b"{\"a\":\"MARKER\"}");
    assert_eq!(exchange(program.listen, &create).await.status(), 200);

    let export = collector.next().await;
    assert_eq!(export.start_line(), "POST /v1/traces HTTP/1.1");
    assert_eq!(export.value("content-type"), Some("application/json"));
    assert_eq!(export.value("authorization"), Some("Bearer s3cret"));
    assert!(!String::from_utf8_lossy(&export.body).contains("MARKER"));
    assert_eq!(attribute(&body(&export)["resourceSpans"][0]["resource"]["attributes"], "service.name"), "tea-room");
    let first = spans(&export);
    assert_eq!(names(&first), ["customers.create", "body", "sign", "connect", "upstream"]);
    let own = &first[0];
    assert_eq!(own["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(attribute(&own["attributes"], "wonder_signer.request_id"), "order-7781");
    assert_eq!(attribute(&own["attributes"], "http.response.status_code"), "200");
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    let mut before = time(own, "startTimeUnixNano");
    for span in &first[1..] {
        assert_eq!((&span["traceId"], &span["parentSpanId"]), (&own["traceId"], &own["spanId"]));
        assert!(before <= time(span, "startTimeUnixNano"), "{span}");
        before = time(span, "endTimeUnixNano");
        assert!(time(span, "startTimeUnixNano") < before, "{span}");
    }
    assert!(before <= time(own, "endTimeUnixNano"));
    assert_eq!(own["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(!program.stop().await.contains("s3cret"));
}

#[tokio::test]
async fn queued_spans_are_exported_at_the_end_and_unsampled_ones_are_not() {
    let (upstream, collector) = (Recorder::start().await, Recorder::start().await);
    let program =
        Logged::before(&upstream.origin(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.origin()), NEVER]).await;
    let unsampled = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")];
    exchange(program.listen, &request("GET", "/svc/a", &unsampled, b"")).await;
    exchange(program.listen, &request("GET", CUSTOMERS, &[], b"")).await;
    exchange(program.listen, &request("GET", "/elsewhere", &[], b"")).await;
    let log = program.stop().await;
    let spans = spans(&collector.next().await);
    let own: Vec<&Value> = spans.iter().filter(|span| span["kind"] == 2).collect();
    assert_eq!(own.len(), 2, "{spans:?}");
    for span in own {
        assert_eq!(span["parentSpanId"], "");
        assert!(log.contains(&format!(r#""trace_id":"{}""#, span["traceId"].as_str().unwrap())), "{log}");
    }
    assert_eq!(collector.waiting(), 0);
}

#[tokio::test]
async fn a_failing_collector_costs_traces_and_one_warning() {
    let upstream = Recorder::start().await;
    let collector = Recorder::acting(|_| {
        Act::AnswerAndClose(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec())
    })
    .await;
    let program =
        Logged::before(&upstream.origin(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.origin()), AT_ONCE]).await;
    for _ in 0..3 {
        assert_eq!(exchange(program.listen, &request("POST", CUSTOMERS, &[], b"{}")).await.status(), 200);
        collector.next().await;
    }
    let log = program.stop().await;
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains(r#""level":"warn""#)).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains(r#""lost":1,"cause":"the collector answered with status 503"#), "{}", warnings[0]);
}

#[tokio::test]
async fn an_unreachable_collector_does_not_affect_requests() {
    let upstream = Recorder::start().await;
    let closed = Closed::port();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*closed.origin());
    let program = Logged::before(&upstream.origin(), &[endpoint, AT_ONCE]).await;
    assert_eq!(exchange(program.listen, &request("POST", CUSTOMERS, &[], b"{}")).await.status(), 200);
    let warning = program.line("traces of requests were not exported").await;
    assert!(warning["cause"].as_str().unwrap().starts_with("no connection to the collector: "), "{warning}");
    assert_eq!(exchange(program.listen, &request("POST", CUSTOMERS, &[], b"{}")).await.status(), 200);
}

#[tokio::test]
async fn an_invalid_otel_variable_disables_traces_and_the_sidecar_starts() {
    let upstream = Recorder::start().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret")];
    let program = Logged::before(&upstream.origin(), &variables).await;
    assert_eq!(exchange(program.listen, &request("POST", CUSTOMERS, &[], b"{}")).await.status(), 200);
    let log = program.stop().await;
    assert!(log.contains(r#""message":"no traces are exported""#), "{log}");
    assert!(log.contains(r#""variable":"OTEL_EXPORTER_OTLP_HEADERS""#) && !log.contains("s3cret"), "{log}");
}
