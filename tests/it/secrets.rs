//! Each test puts markers in the place of secrets, runs the built binary at log level `trace`, and searches for the markers in
//! standard output, standard error, and each page of the admin listener.
//!
//! The tests also assert that each request has a log line, because a search in an empty log proves nothing.

mod commands;
mod key_files;
mod webhooks;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    closed::Closed,
    program::{Ended, Running},
    sidecar::{KEY_PEM, assert_signed},
    upstream::{Act, Recorder},
    wire::{exchange, read_message, request},
};

const CARD: &str = "4929770000031337";
const NAME: &str = "Mei-Marker Tanaka 標記";
const QUERY: &str = "query-marker-7a31";
const PATH: &str = "path-marker-7a32";
const HEADER: &str = "header-marker-7a33";
const COOKIE: &str = "cookie-marker-7a34";
const AUTHORIZATION: &str = "authorization-marker-7a35";
const EGRESS: &str = "egress-marker-7a36";
const HOST: &str = "host-marker-7a37";
const ANSWER: &str = "answer-marker-7a38";
const FORGED: &str = "forged-marker-7a39";

/// Texts that must not appear in any output.
struct Markers(Vec<String>);

impl Markers {
    fn new() -> Self {
        let fixed = [CARD, NAME, QUERY, PATH, HEADER, COOKIE, AUTHORIZATION, EGRESS, HOST, ANSWER, FORGED];
        let mut all = Self(Vec::new());
        for text in fixed {
            all.add(text);
        }
        // Every line of the key except the first, which is the same for every key of its size, and the short last one.
        for line in KEY_PEM.lines().filter(|line| line.len() == 64).skip(1) {
            all.add(line);
        }
        all
    }

    /// Adds a text in every encoding in which it could appear in the output.
    fn add(&mut self, text: &str) {
        let bytes = |form: fn(u8) -> String| text.bytes().map(form).collect::<String>();
        let percent = bytes(|byte| format!("%{byte:02X}"));
        let partly = bytes(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        });
        let hex = bytes(|byte| format!("{byte:02x}"));
        let base64 = BASE64_STANDARD.encode(text).trim_end_matches('=').to_owned();
        let json = serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
        let escaped = text.escape_unicode().to_string();
        let debug = text.escape_default().to_string();
        self.0.extend([text.to_owned(), percent, partly, hex, base64, json, escaped, debug]);
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, text: &str) {
        let (lower, ignoring_case) = (text.to_lowercase(), |marker: &str| marker.to_lowercase());
        for marker in &self.0 {
            if let Some(at) = lower.find(&ignoring_case(marker)) {
                let (from, to) =
                    (lower.floor_char_boundary(at.saturating_sub(200)), lower.ceil_char_boundary(at + 200));
                panic!("{marker} in {place}: ...{}...", &lower[from..to]);
            }
        }
    }
}

/// A running sidecar whose whole output is searched at the end.
struct Watched {
    running: Running,
    markers: Markers,
    requests: usize,
}

impl Watched {
    fn before(origin: &str, format: &str, more: &[(&str, &str)]) -> Self {
        let proxy = format!("http://user:{EGRESS}@127.0.0.1:1");
        let environment = [
            &[("WONDER_SIGNER_LOG__LEVEL", "trace"), ("WONDER_SIGNER_LOG__FORMAT", format)][..],
            &[("HTTPS_PROXY", proxy.as_str()), ("HTTP_PROXY", &proxy), ("https_proxy", &proxy), ("http_proxy", &proxy)],
            more,
        ]
        .concat();
        Self { running: Running::before(origin, &environment), markers: Markers::new(), requests: 0 }
    }

    /// With the level that `variables` set, before nothing.
    fn at_any_level(format: &str, variables: &[(&str, &str)]) -> Self {
        let environment = [&[("WONDER_SIGNER_LOG__FORMAT", format)][..], variables].concat();
        let running = Running::before_ready_file("http://127.0.0.1:9", &environment);
        Self { running, markers: Markers::new(), requests: 0 }
    }

    fn id(&mut self) -> String {
        self.requests += 1;
        format!("request-{}", self.requests)
    }

    /// Sends a request full of markers, waits for its log line, and returns the code of the sidecar's own answer.
    async fn send(&mut self, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<String> {
        let id = self.id();
        let message = full_of_markers(head, &id, headers, body);
        let answer = exchange(self.running.listen, &message).await;
        self.running.program.line_with(&id);
        answer.value("x-wonder-signer-error").map(str::to_owned)
    }

    /// Sends bytes whose answer is not one whole message, and reads to the end.
    async fn send_and_read_to_the_end(&mut self, message: &[u8]) {
        let mut stream = TcpStream::connect(self.running.listen).await.unwrap();
        stream.write_all(message).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
    }

    /// Searches the admin pages, drains the sidecar, and searches its output.
    async fn search(self) -> Ended {
        let requests = self.requests;
        let ended = self.search_without_ids().await;
        assert!(requests > 0 && (1..=requests).all(|id| ended.err.contains(&format!("request-{id}"))));
        ended
    }

    /// The same, where no line is expected for each request.
    async fn search_without_ids(self) -> Ended {
        for page in ["/metrics", "/config", "/status.json", "/", "/readyz", &format!("/{QUERY}?{QUERY}")] {
            let answer = exchange(self.running.admin, &request("GET", page, &[("X-Marker", HEADER)], b"")).await;
            self.markers.assert_absent(page, &format!("{}{}", answer.head, answer.text()));
        }
        let ended = self.running.terminate();
        self.markers.assert_absent("standard output", &ended.out);
        self.markers.assert_absent("standard error", &ended.err);
        ended
    }
}

/// `head` is method and target.
fn full_of_markers(head: &str, id: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let usual = [
        ("X-Request-ID", id),
        ("X-Marker", HEADER),
        ("Cookie", COOKIE),
        ("Authorization", AUTHORIZATION),
        ("Proxy-Authorization", EGRESS),
        ("Credential", FORGED),
        ("Nonce", FORGED),
        ("Signature", FORGED),
        ("User-Agent", HEADER),
        ("X-Forwarded-For", HEADER),
    ];
    let (method, target) = head.split_once(' ').unwrap();
    request(method, target, &[&usual[..], headers].concat(), body)
}

fn target() -> String {
    format!("POST /svc/payment/api/v1/openapi/customers/{PATH}?name={QUERY}&card={CARD}")
}

fn body() -> Vec<u8> {
    format!("{{\"card\":{{\"number\":\"{CARD}\",\"holder_name\":\"{NAME}\"}}}}").into_bytes()
}

/// An answer that echoes the request in its status line, headers and body.
fn echoing(status: &str) -> Act {
    let body = String::from_utf8(body()).unwrap() + ANSWER;
    let head = format!(
        "HTTP/1.1 {status} {ANSWER}\r\nContent-Length: {}\r\nLocation: https://x.example/?{ANSWER}\r\nSet-Cookie: {ANSWER}\r\n\
         WWW-Authenticate: {ANSWER}\r\nDate: {ANSWER}\r\nX-Wonder-Signer-Error: {ANSWER}\r\n\r\n",
        body.len()
    );
    Act::Answer([head.as_bytes(), body.as_bytes()].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_when_wonder_answers() {
    for format in ["json", "text"] {
        let upstream =
            Recorder::acting(|number| echoing(["200", "401", "403", "404", "500", "503", "302"][number])).await;
        let mut watched = Watched::before(&upstream.origin(), format, &[]);
        for _ in 0..7 {
            assert_eq!(watched.send(&target(), &[], &body()).await, None);
            let seen = upstream.next().await;
            assert_signed(&seen);
            watched.markers.add(seen.value("nonce").unwrap());
            watched.markers.add(seen.value("signature").unwrap());
            watched.markers.add(seen.value("credential").unwrap());
        }
        watched.search().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_when_a_request_is_rejected() {
    for format in ["json", "text"] {
        let upstream = Recorder::start().await;
        let limits = [("WONDER_SIGNER_LIMITS__BODY", "1KiB"), ("WONDER_SIGNER_TIMEOUTS__BODY", "100ms")];
        let mut watched = Watched::before(&upstream.origin(), format, &limits);
        let elsewhere = format!("GET http://{HOST}.example/svc/{PATH}?{QUERY}");
        let long = vec![b'x'; 2000];
        let long_body = [&body()[..], &long].concat();
        for (head, headers, body, code) in [
            (format!("GET /{PATH}?{QUERY}"), &[][..], vec![], "not_wonder"),
            (format!("GET /svc/../{PATH}?{QUERY}"), &[], vec![], "not_wonder"),
            (format!("TRACE /svc/{PATH}?{QUERY}"), &[], vec![], "bad_request"),
            (format!("CONNECT {HOST}.example:443"), &[], vec![], "bad_target"),
            (elsewhere, &[], vec![], "bad_host"),
            (target(), &[], b" \r\n\t ".to_vec(), "ambiguous_body"),
            (target(), &[("X-Wonder-Signer-Credential", HEADER)], body(), "unknown_credential"),
            (target(), &[], long_body, "body_too_large"),
            (target(), &[("Content-Length", "500")], vec![], "body_timeout"),
        ] {
            assert_eq!(watched.send(&head, headers, &body).await.as_deref(), Some(code), "{head}");
        }
        let other_host = format!("GET /svc/{PATH}?{QUERY} HTTP/1.1\r\nHost: {HOST}.example\r\nX-Request-ID: ");
        let id = watched.id();
        let answer = exchange(watched.running.listen, format!("{other_host}{id}\r\n\r\n").as_bytes()).await;
        assert_eq!(answer.contract().1, "bad_host");
        watched.running.program.line_with(&id);

        // Bytes that are no HTTP request, and so have no id.
        for bytes in [
            format!("{HEADER} {PATH}\r\n\r\n"),
            format!("GET /svc/{PATH}?{QUERY} {HEADER}/1.1\r\n\r\n"),
            format!("GET /svc/{PATH}?{QUERY} HTTP/1.1\r\nHost: localhost\r\nbad header: {HEADER}\r\n\r\n"),
            format!("GET /svc/{PATH}?{QUERY} HTTP/1.1\r\nHost: localhost\r\n{HEADER}\r\n\r\n"),
            format!("GET /svc/{PATH}?{QUERY} HTTP/1.1\r\nHost: localhost\r\nX-Marker: \x01{HEADER}\r\n\r\n"),
            format!("POST /svc/{PATH}?{QUERY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {HEADER}\r\n\r\n{NAME}"),
            format!(
                "POST /svc/{PATH}?{QUERY} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{HEADER}\r\n{NAME}"
            ),
            format!("GET /svc/{PATH}?{NAME} HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", HEADER.repeat(10_000)),
            format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{HEADER}{NAME}{CARD}"),
        ] {
            watched.send_and_read_to_the_end(bytes.as_bytes()).await;
        }
        assert_eq!(upstream.connections(), 0);
        watched.search().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_when_an_answer_breaks() {
    let answers = [
        (Act::AnswerAndClose(Vec::new()), Some("upstream_reset")),
        (Act::AnswerAndClose(format!("{ANSWER}-2.0 {CARD}\r\n\r\n").into_bytes()), Some("upstream_bad_response")),
        (Act::AnswerAndClose(format!("HTTP/1.1 {ANSWER}\r\n\r\n").into_bytes()), Some("upstream_bad_response")),
        (
            Act::AnswerAndClose(format!("HTTP/1.1 200 OK\r\nContent-Length: {ANSWER}\r\n\r\n{CARD}").into_bytes()),
            Some("upstream_bad_response"),
        ),
        (
            Act::AnswerAndClose(format!("HTTP/1.1 200 OK\r\n{ANSWER} {CARD}\r\n\r\n").into_bytes()),
            Some("upstream_bad_response"),
        ),
        (Act::Stall(Vec::new()), Some("upstream_timeout")),
    ];
    let cut = [
        Act::AnswerAndClose(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{ANSWER}{CARD}").into_bytes()),
        Act::AnswerAndClose(
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{ANSWER}\r\n{CARD}").into_bytes(),
        ),
        Act::Stall(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{ANSWER}{CARD}").into_bytes()),
    ];
    for format in ["json", "text"] {
        // Each case twice: streamed and held.
        let script: Vec<Act> = answers.iter().map(|(act, _)| act.clone()).chain(cut.clone()).collect();
        let script = [&script[..], &script].concat();
        let upstream = Recorder::acting(move |number| script[number].clone()).await;
        for held in ["0B", "64KiB"] {
            let limits = [
                ("WONDER_SIGNER_TIMEOUTS__RESPONSE_HEAD", "2s"),
                ("WONDER_SIGNER_TIMEOUTS__RESPONSE_IDLE", "200ms"),
                ("WONDER_SIGNER_LIMITS__RESPONSE_HELD", held),
            ];
            let mut watched = Watched::before(&upstream.origin(), format, &limits);
            for (act, code) in &answers {
                assert_eq!(watched.send(&target(), &[], &body()).await.as_deref(), *code, "{act:?}");
            }
            for act in &cut {
                if held == "0B" {
                    let id = watched.id();
                    watched.send_and_read_to_the_end(&full_of_markers(&target(), &id, &[], &body())).await;
                    watched.running.program.line_with(&id);
                } else {
                    assert!(watched.send(&target(), &[], &body()).await.is_some(), "{act:?}");
                }
            }
            while upstream.waiting() > 0 {
                let seen = upstream.next().await;
                watched.markers.add(seen.value("nonce").unwrap());
                watched.markers.add(seen.value("signature").unwrap());
            }
            let ended = watched.search().await;
            for code in ["upstream_reset", "upstream_bad_response", "upstream_timeout"] {
                assert!(ended.err.contains(code), "{code} was not reached: {}", ended.err);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_when_the_connection_fails() {
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let garbage_origin = format!("https://{}", garbage.local_addr().unwrap());
    let garbage = tokio::spawn(async move {
        loop {
            let (mut stream, _) = garbage.accept().await.unwrap();
            let _ = stream.write_all(format!("HTTP/1.1 400 {ANSWER}\r\n\r\n").as_bytes()).await;
        }
    });
    let closed = Closed::port();
    let closed_origin = closed.origin();
    let proxy = garbage_origin.replace("https://", &format!("http://user:{EGRESS}@"));
    for format in ["json", "text"] {
        for (origin, more, code) in [
            (closed_origin.as_str(), &[][..], "upstream_connect"),
            (&garbage_origin, &[("NO_PROXY", "127.0.0.1")], "upstream_tls"),
            ("https://no-such-host.invalid", &[("NO_PROXY", "no-such-host.invalid")], "upstream_dns"),
            // Through a proxy that does not listen, and through one that rejects CONNECT.
            ("https://no-such-host.invalid", &[], "upstream_connect"),
            ("https://no-such-host.invalid", &[("HTTPS_PROXY", proxy.as_str())], "upstream_connect"),
        ] {
            let mut watched = Watched::before(origin, format, more);
            assert_eq!(watched.send(&target(), &[], &body()).await.as_deref(), Some(code), "{origin} {more:?}");
            watched.search().await;
        }
    }
    garbage.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_when_requests_are_shed_cancelled_or_cut() {
    for format in ["json", "text"] {
        let upstream = Recorder::acting(|_| Act::Stall(Vec::new())).await;
        let limits = [
            ("WONDER_SIGNER_LIMITS__REQUESTS_IN_FLIGHT", "1"),
            ("WONDER_SIGNER_TIMEOUTS__QUEUE", "0s"),
            ("WONDER_SIGNER_SHUTDOWN__GRACE", "20ms"),
        ];
        let mut watched = Watched::before(&upstream.origin(), format, &limits);
        let mut stuck = TcpStream::connect(watched.running.listen).await.unwrap();
        let cancelled = watched.id();
        stuck.write_all(&full_of_markers(&target(), &cancelled, &[], &body())).await.unwrap();
        upstream.next().await;
        assert_eq!(watched.send(&target(), &[], &body()).await.as_deref(), Some("overloaded"));
        // A FIN so early could also come from a caller that only closes its side for sending.
        stuck.set_zero_linger().unwrap();
        drop(stuck);
        let line = watched.running.program.line_with(&cancelled);
        assert!(line.contains("cancelled"), "{line}");

        // Half a body, then silence.
        let id = watched.id();
        let half = full_of_markers(&target(), &id, &[("Content-Length", "500")], b"");
        let mut stream = TcpStream::connect(watched.running.listen).await.unwrap();
        stream.write_all(&[half, body()].concat()).await.unwrap();
        drop(stream);
        watched.running.program.line_with(&id);

        // Still in flight when the grace period ends.
        let mut stream = TcpStream::connect(watched.running.listen).await.unwrap();
        let id = watched.id();
        stream.write_all(&full_of_markers(&target(), &id, &[], &body())).await.unwrap();
        upstream.next().await;
        assert_eq!(watched.search().await.code(), Some(1));
        let answer = read_message(&mut stream, false).await.unwrap();
        assert_eq!(answer.contract(), (504, "draining".to_owned(), "maybe".to_owned()));
        assert!(!format!("{answer:?}").contains("marker"), "{answer:?}");
    }
}
