use std::{ffi::OsString, sync::atomic::Ordering, time::UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    super::{Finished, Phase, Phases, SpanId, Trace, TraceId, request::tests::success},
    spans::batch,
    *,
};
use crate::contract::{Code, Sent};

fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
    Settings::read(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")];
    read(&[&endpoint, variables].concat()).unwrap().unwrap()
}

fn refusal(variable: &str, value: &str) -> String {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let text = read(&[endpoint, (variable, value)]).unwrap_err().to_string();
    assert!(!text.contains(value), "{text}");
    text
}

#[test]
fn is_off_unless_an_endpoint_is_named() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    assert!(read(&[]).unwrap().is_none());
    assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
    assert!(read(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "always_on")]).unwrap().is_none());
    assert!(read(&[endpoint, ("OTEL_SDK_DISABLED", "True")]).unwrap().is_none());
    assert!(read(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_none());
    assert!(read(&[endpoint, ("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")]).unwrap().is_some());
}

#[test]
fn the_endpoint_for_traces_is_used_as_it_is() {
    assert_eq!(settings(&[]).endpoint, "http://collector:4318/v1/traces");
    assert_eq!(settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp/")]).endpoint, "https://c/otlp/v1/traces");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/in?x=1");
    assert_eq!(settings(&[own]).endpoint, "http://127.0.0.1:9/in?x=1");
}

#[test]
fn names_the_invalid_variable_without_its_value() {
    for (variable, value, reason) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "gathering:4318", "must be a URL such as http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:p@c", "must be a URL such as http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://c", "must be a URL such as http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "must be name=value, separated by commas, the values percent-encoded"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%0a", "must be header=value, separated by commas"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%+f", "must be name=value, separated by commas, the values percent-encoded"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=100%", "must be name=value, separated by commas, the values percent-encoded"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%ff", "must be name=value, separated by commas, the values percent-encoded"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "must be a whole number from 1 to 3600000"),
        (
            "OTEL_TRACES_SAMPLER",
            "jaeger_remote",
            "must be always_on, always_off or traceidratio, or one of these after parentbased_",
        ),
        ("OTEL_TRACES_EXPORTER", "console", "must be otlp or none"),
    ] {
        assert_eq!(refusal(variable, value), format!("{variable}: {reason}"));
    }
    assert!(refusal("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").starts_with("OTEL_EXPORTER_OTLP_PROTOCOL: only http/json"));
    let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")];
    let error = read(&[&endpoint[..], &ratio].concat()).unwrap_err();
    assert_eq!(error.to_string(), "OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1");
}

#[test]
fn the_service_has_a_name_that_can_be_changed() {
    let resource = settings(&[]).resource;
    assert_eq!(
        (&*resource["service.name"], &*resource["service.version"]),
        ("wonder-signer", env!("CARGO_PKG_VERSION"))
    );
    let given = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment=tea%20room%2C1");
    let resource = settings(&[given]).resource;
    assert_eq!((&*resource["service.name"], &*resource["deployment.environment"]), ("a", "tea room,1"));
    assert_eq!(settings(&[given, ("OTEL_SERVICE_NAME", "b")]).resource["service.name"], "b");
}

#[test]
fn headers_are_decoded_and_hidden() {
    let settings = settings(&[("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret, x-tenant=7")]);
    assert_eq!(settings.headers["authorization"], "Bearer s3cret");
    assert_eq!(settings.headers["x-tenant"], "7");
    assert!(!format!("{settings:?}").contains("s3cret"));
}

#[test]
fn samples_as_the_variables_require() {
    let low = TraceId([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let high = TraceId([0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]);
    let decisions = |sampler: &str, argument: &str| {
        let settings = settings(&[("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        [(low, None), (high, None), (high, Some(true)), (low, Some(false))]
            .map(|(trace, parent)| settings.sampler.wants(trace, parent))
    };
    assert_eq!(decisions("", ""), [true, true, true, false]);
    assert_eq!(decisions("always_on", ""), [true; 4]);
    assert_eq!(decisions("always_off", ""), [false; 4]);
    assert_eq!(decisions("traceidratio", "0.25"), [true, false, false, true]);
    assert_eq!(decisions("parentbased_always_off", ""), [false, false, true, false]);
    assert_eq!(decisions("parentbased_traceidratio", "0.25"), [true, false, true, false]);
}

fn request() -> Finished<'static> {
    let trace = Trace { id: TraceId([0xab; 16]), span: SpanId([1; 8]), parent: Some(SpanId([2; 8])), recorded: true };
    Finished { trace: Some(trace), ..success() }
}

/// The spans of a request that ended 1 s after 1970 began.
fn spans(request: &Finished<'_>) -> Vec<Value> {
    let record = Record::of(request, UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    let body: Value = serde_json::from_slice(&batch(&settings(&[]).resource, &[record])).unwrap();
    body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
}

#[test]
fn a_request_is_a_span_with_child_spans() {
    let spans = spans(&request());
    assert_eq!(
        spans[0],
        json!({
            "traceId": "abababababababababababababababab", "spanId": "0101010101010101", "parentSpanId": "0202020202020202",
            "name": "customers.create", "kind": 2,
            "startTimeUnixNano": "969000000", "endTimeUnixNano": "1000000000",
            "attributes": [
                { "key": "http.request.method", "value": { "stringValue": "POST" } },
                { "key": "http.response.status_code", "value": { "intValue": "200" } },
                { "key": "http.request.body.size", "value": { "intValue": "2" } },
                { "key": "http.response.body.size", "value": { "intValue": "12" } },
                { "key": "wonder_signer.request_id", "value": { "stringValue": "r-1" } },
                { "key": "wonder_signer.credential", "value": { "stringValue": "default" } },
                { "key": "wonder_signer.origin", "value": { "stringValue": "upstream" } },
                { "key": "wonder_signer.sent", "value": { "stringValue": "yes" } },
                { "key": "wonder_signer.attempts", "value": { "intValue": "1" } },
            ],
        })
    );
    let below: Vec<_> = spans[1..]
        .iter()
        .map(|span| {
            assert_eq!(span["parentSpanId"], "0101010101010101");
            ["name", "startTimeUnixNano", "endTimeUnixNano"].map(|key| span[key].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        below,
        [
            ["body", "969000000", "970000000"],
            ["sign", "970765433", "971000000"],
            ["connect", "971000000", "976000000"],
            ["upstream", "976000000", "999000000"],
        ]
    );
}

#[test]
fn an_error_marks_the_span_in_which_it_happened() {
    let marked = |request: &Finished<'_>| -> Vec<String> {
        let spans = spans(request);
        let failed = spans.iter().filter(|span| span["status"]["code"] == 2);
        failed.map(|span| span["name"].as_str().unwrap().to_owned()).collect()
    };
    let phases = request().phases;
    let failed = Finished {
        status: Some(502),
        error: Some(Code::UpstreamDns),
        origin: "signer",
        sent: Some(Sent::No),
        ..request()
    };
    let unconnected = Phases { upstream: Phase::default(), response: Phase::default(), ..phases };
    assert_eq!(marked(&Finished { phases: unconnected, ..failed.clone() }), ["customers.create", "connect"]);
    let unanswered = Phases { response: Phase::default(), ..phases };
    assert_eq!(marked(&Finished { phases: unanswered, ..failed.clone() }), ["customers.create", "upstream"]);
    let refused = Finished { attempts: 0, phases: Phases::default(), ..failed };
    assert_eq!(marked(&refused), ["customers.create"]);
    assert_eq!(marked(&Finished { status: Some(404), ..request() }), [""; 0]);
}

#[test]
fn a_full_queue_loses_records_and_delays_no_request() {
    let (queue, mut records) = mpsc::channel(2);
    let lost = Arc::new(AtomicU64::new(0));
    let traces = Traces { queue, sampler: settings(&[]).sampler, lost: Arc::clone(&lost) };
    (0..5).for_each(|_| traces.record(&request()));
    assert_eq!((records.len(), lost.load(Ordering::Relaxed)), (2, 3));
    assert!(records.try_recv().is_ok());
    traces.record(&request());
    assert_eq!((records.len(), lost.load(Ordering::Relaxed)), (2, 3));
}
