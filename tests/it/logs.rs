//! The log lines of a request: enough to find the request, and nothing of its content.

mod levels;

use serde_json::json;

use tokio::io::AsyncWriteExt as _;

use crate::support::{
    closed::Closed,
    logged::Logged,
    sidecar::metric,
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

const CUSTOMERS: &str = "/svc/payment/api/v1/openapi/customers";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_request_line_has_the_outcome() {
    let upstream = Recorder::start().await;
    let program = Logged::before(&upstream.origin(), &[]).await;
    let headers = [("X-Request-ID", "order-7781"), ("traceparent", TRACEPARENT), ("tracestate", "a=b")];
    exchange(program.listen, &request("POST", CUSTOMERS, &headers, b"{}")).await;
    let seen = upstream.next().await;
    assert_eq!((seen.value("traceparent"), seen.value("tracestate")), (Some(TRACEPARENT), Some("a=b")));
    let mut line = program.line("request").await;
    let fields = line.as_object_mut().unwrap();
    fields.remove("timestamp");
    for duration in ["body_ms", "sign_ms", "connect_ms", "upstream_ms", "response_ms", "total_ms"] {
        assert!(fields.remove(duration).unwrap().as_f64().unwrap() > 0.0, "{duration}");
    }
    assert_eq!(
        line,
        json!({
            "level": "info", "message": "request", "target": "wonder_signer::proxy", "request_id": "order-7781",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "operation": "customers.create", "method": "POST", "status": 200,
            "origin": "upstream", "sent": "yes", "credential": "default", "attempts": 1, "request_bytes": 2,
            "response_bytes": 12,
        })
    );
}

/// A caller that sends rejected requests in a loop spends almost nothing, and must not fill a disk with log lines.
#[tokio::test]
async fn lines_of_rejected_requests_are_limited_and_the_rest_is_counted() {
    const FLOOD: u64 = 1000;
    let upstream = Recorder::start().await;
    let program = Logged::before(&upstream.origin(), &[]).await;
    let [long, short] = [60_000, 60].map(|length| request(&"M".repeat(length), "/elsewhere", &[], b""));
    let mut stream = tokio::net::TcpStream::connect(program.listen).await.unwrap();
    let began = std::time::Instant::now();
    for number in 0..FLOOD {
        stream.write_all(if number == 0 { &long } else { &short }).await.unwrap();
        assert_eq!(read_message(&mut stream, false).await.unwrap().contract().1, "not_wonder");
    }
    let seconds = began.elapsed().as_secs() + 1;
    let (mut lines, mut left_out, mut bytes) = (0, 0, 0);
    while lines + left_out < FLOOD {
        let line = program.next().await.expect("a line");
        bytes += line.to_string().len();
        match line["message"].as_str().unwrap() {
            "request" => {
                assert_eq!(line["method"], "M".repeat(32));
                lines += 1;
            }
            "lines of rejected requests are left out" => {
                assert_eq!(line["level"], "warn");
                left_out += line["lines"].as_u64().unwrap();
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(lines + left_out, FLOOD);
    assert!(left_out > 0 && lines <= 100 * (seconds + 1), "{lines} lines in {seconds} s");
    eprintln!("| {FLOOD} refusals, {lines} lines, {bytes} bytes |");
    let counted = r#"wonder_signer_proxy_errors_total{reason="not_wonder",sent="no"}"#;
    assert!((metric(program.admin, counted).await - 1000.0).abs() < f64::EPSILON);
    // Signed requests still get their lines.
    exchange(program.listen, &request("GET", "/svc/a", &[], b"")).await;
    assert_eq!(program.line("request").await["sent"], "yes");
}

#[tokio::test]
async fn no_traceparent_is_made_by_default() {
    let upstream = Recorder::start().await;
    let program = Logged::before(&upstream.origin(), &[]).await;
    for headers in [&[][..], &[("traceparent", "00-1-2-01"), ("tracestate", "a=b")]] {
        exchange(program.listen, &request("GET", "/svc/a", headers, b"")).await;
        let seen = upstream.next().await;
        let given = headers.first().map(|(_, value)| *value);
        assert_eq!((seen.value("traceparent"), seen.value("tracestate").is_some()), (given, given.is_some()));
        assert_eq!(program.line("request").await.get("trace_id"), None);
    }
}

#[tokio::test]
async fn a_traceparent_is_made_in_place_of_a_missing_or_invalid_one() {
    let upstream = Recorder::start().await;
    let program = Logged::before(&upstream.origin(), &[("WONDER_SIGNER_LOG__MAKE_TRACEPARENT", "true")]).await;
    for headers in [&[][..], &[("traceparent", "00-1-2-01"), ("tracestate", "a=b")]] {
        exchange(program.listen, &request("GET", "/svc/a", headers, b"")).await;
        let seen = upstream.next().await;
        assert_eq!(seen.value("tracestate"), None);
        let made: Vec<&str> = seen.value("traceparent").unwrap().split('-').collect();
        let line = program.line("request").await;
        assert_eq!((made.len(), made[0], made[3]), (4, "00", "00"));
        assert_eq!((line["trace_id"].as_str(), made[1].len(), made[2].len()), (Some(made[1]), 32, 16));
    }
    exchange(program.listen, &request("GET", "/svc/a", &[("traceparent", TRACEPARENT)], b"")).await;
    assert_eq!(upstream.next().await.value("traceparent"), Some(TRACEPARENT));
}

#[tokio::test]
async fn no_content_of_a_request_is_logged_at_any_level() {
    let answer = b"HTTP/1.1 400 MARKER-reason\r\nX-MARKER: MARKER\r\nContent-Length: 6\r\n\r\nMARKER";
    let upstream = Recorder::acting(|number| match number {
        0 => Act::Answer(answer.to_vec()),
        1 => Act::AnswerAndClose(b"MARKER is not HTTP\r\n\r\n".to_vec()),
        _ => Act::AnswerAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nMARKER".to_vec()),
    })
    .await;
    let program = Logged::before(&upstream.origin(), &[("WONDER_SIGNER_LOG__LEVEL", "trace")]).await;
    let headers = [
        ("Authorization", "Bearer MARKER"),
        ("X-MARKER", "MARKER"),
        ("traceparent", "MARKER-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "a=MARKER"),
        ("Cookie", "MARKER"),
        ("Signature", "MARKER"),
    ];
    let target = format!("{CUSTOMERS}/MARKER?name=MARKER&pan=4111111111111111");
    let card = br#"{"name":"MARKER","pan":"4111111111111111"}"#;
    let mut signatures = Vec::new();
    for _ in 0..3 {
        exchange_or_end(&program, &request("POST", &target, &headers, card)).await;
        let seen = upstream.next().await;
        signatures.extend(["nonce", "signature"].map(|name| seen.value(name).unwrap().to_owned()));
    }
    for refused in [
        request("POST", "/MARKER?x=MARKER", &headers, card),
        request("POST", &target, &[("X-Wonder-Signer-Credential", "MARKER")], card),
        request("GET", "http://marker.example/svc/MARKER", &headers, b""),
        b"GET /svc/MARKER HTTP/1.1\r\nHost: MARKER.example\r\n\r\n".to_vec(),
        b"GET /svc/MARKER HTTP/1.1\r\nHost: localhost\r\nMARKER\r\n\r\n".to_vec(),
        b"MARKER\r\n\r\n".to_vec(),
    ] {
        exchange_or_end(&program, &refused).await;
    }
    let log = program.stop().await;
    assert!(log.lines().count() >= 8, "{log}");
    // Enough digits of the card that no time of day, port or id contains them by chance.
    for secret in ["marker", "41111111", "bearer"] {
        assert!(!log.to_lowercase().contains(secret), "{secret} in\n{log}");
    }
    for secret in &signatures {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
}

#[tokio::test]
async fn a_request_line_has_the_response_size_and_the_sidecars_own_time() {
    let upstream = Recorder::start().await;
    let program = Logged::before(&upstream.origin(), &[]).await;
    for bytes in [request("POST", "/svc/echo", &[], b"{}"), request("GET", "/other", &[], b"")] {
        exchange(program.listen, &bytes).await;
        program.line("request").await;
    }
    let text = exchange(program.admin, &request("GET", "/metrics", &[("Connection", "close")], b"")).await.text();
    for series in ["wonder_signer_added_duration_seconds_count 1\n", "wonder_signer_response_body_bytes_count 2\n"] {
        assert!(text.contains(series), "{series} in\n{text}");
    }
}

#[tokio::test]
async fn the_cause_of_an_upstream_failure_names_origin_and_address() {
    let broken = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec(), vec![b'x'; 500_000]].concat();
    let upstream = Recorder::acting(move |number| match number {
        0 => Act::AnswerAndClose(Vec::new()),
        1 => Act::AnswerAndClose(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        2 => Act::AnswerAndClose(broken.clone()),
        _ => Act::Stall(Vec::new()),
    })
    .await;
    let by_name = format!("http://localhost:{}", upstream.address().port());
    let program = Logged::before(&by_name, &[]).await;
    let impatient = Logged::before(&by_name, &[("WONDER_SIGNER_TIMEOUTS__RESPONSE_HEAD", "1s")]).await;
    let origin = format!("(origin localhost:{} at {})", upstream.address().port(), upstream.address());
    for (program, timeout, error) in [
        (&program, "1m", "upstream_reset"),
        (&program, "1m", "upstream_bad_response"),
        (&program, "1m", "upstream_reset"),
        (&impatient, "1m", "upstream_timeout"),
        (&program, "1s", "upstream_timeout"),
    ] {
        let headers = [("X-Wonder-Signer-Timeout", timeout)];
        let mut stream = tokio::net::TcpStream::connect(program.listen).await.unwrap();
        stream.write_all(&request("POST", "/svc/a", &headers, b"{}")).await.unwrap();
        // `None` if the answer breaks off.
        read_message(&mut stream, false).await;
        let line = program.line("request").await;
        assert_eq!(line["error"], error, "{line}");
        assert!(line["cause"].as_str().unwrap().ends_with(&origin), "{origin} in {line}");
    }
    let closed = Closed::port();
    let refused = Logged::before(&closed.origin(), &[]).await;
    let address = closed.origin().replace("http://", "");
    let unknown = Logged::before("https://no-such-host.invalid", &[]).await;
    for (program, error, names) in
        [(&refused, "upstream_connect", &address[..]), (&unknown, "upstream_dns", "no-such-host.invalid")]
    {
        exchange(program.listen, &request("POST", "/svc/a", &[], b"{}")).await;
        let line = program.line("request").await;
        assert_eq!(line["error"], error);
        let cause = line["cause"].as_str().unwrap();
        assert!(cause.contains(&format!("(origin {names}")) && cause.matches(names).count() > 1, "{line}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_logged_as_a_template_with_its_sender() {
    let upstream = Recorder::start().await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("signer.sock");
    let listen = format!("127.0.0.1:0,unix:{}", socket.display());
    let program = Logged::before(&upstream.origin(), &[("WONDER_SIGNER_LISTEN__ADDRESS", &listen)]).await;
    for (bytes, path, peer) in [
        (request("GET", "/healthz?MARKER", &[], b""), Some("/healthz"), true),
        (request("GET", "/svc/MARKER/orders/4111111111111111", &[], b""), Some("/svc/{}/orders/{}"), true),
        (
            request("GET", "/svc/payment/api/v9/openapi/customers/x", &[], b""),
            Some("/svc/payment/api/v9/openapi/customers/{}"),
            true,
        ),
        (request("GET", &format!("{CUSTOMERS}/KTR-42"), &[], b""), None, false),
        // A line about the service's mistake names the sender too. A rejected head has no path.
        (request("POST", CUSTOMERS, &[], b" "), None, true),
        (b"GET /MARKER HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(), None, true),
    ] {
        let mut stream = tokio::net::TcpStream::connect(program.listen).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        read_message(&mut stream, false).await.unwrap();
        let line = program.line("request").await;
        let expected = peer.then(|| stream.local_addr().unwrap().to_string());
        assert_eq!((line["path"].as_str(), line["peer"].as_str()), (path, expected.as_deref()), "{line}");
    }
    let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    stream.write_all(&request("GET", "/metrics", &[], b"")).await.unwrap();
    read_message(&mut stream, false).await.unwrap();
    let line = program.line("request").await;
    assert_eq!((line["path"].as_str(), line["peer"].as_str()), (Some("/metrics"), Some("unix")));
    assert!(!program.stop().await.contains("MARKER"));
}

/// An answer, or `None` if the connection is cut.
async fn exchange_or_end(program: &Logged, bytes: &[u8]) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(program.listen).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut some = [0; 4096];
    let _ = stream.read(&mut some).await;
}
