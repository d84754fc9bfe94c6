//! Random requests: each one that the listener accepts arrives with a valid signature and with the caller's target and body, byte
//! for byte. A request that the listener rejects does not reach the upstream.
//!
//! `PROPTEST_CASES` sets how many requests are tried.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::support::{
    caller::{Outcome, ask},
    faults::Upstream,
    sidecar::{Sidecar, assert_signed},
};

/// A request as its caller means it, and its form on the wire.
#[derive(Debug, Clone)]
struct Sent {
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    /// Where the body is cut into chunks; `None` to send it with its length.
    cuts: Option<Vec<usize>>,
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\nHost: localhost\r\n"].concat();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let Some(cuts) = &self.cuts else {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).into_bytes());
            bytes.extend(&self.body);
            return bytes;
        };
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        let mut rest = &self.body[..];
        for cut in cuts.iter().copied().chain([usize::MAX]) {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            if !chunk.is_empty() {
                bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
            }
            rest = after;
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let method = prop_oneof![
        6 => proptest::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]).prop_map(str::to_owned),
        1 => "[A-Za-z!#$%&'*+.^_`|~-]{1,12}",
    ];
    // No space, because it ends the target. No `#`: fragments have tests of their own.
    let usual = proptest::sample::select(b"abcXYZ019-._~/%:@!$&'()*+,;=?[]".to_vec());
    let odd = (0x21..=0xff_u8).prop_filter("a fragment", |byte| *byte != b'#');
    let target = prop_oneof![
        8 => vec(usual.clone(), 0..60).prop_map(|rest| [b"/svc/x", &rest[..]].concat()),
        2 => vec(prop_oneof![8 => usual.clone(), 1 => odd], 0..30).prop_map(|rest| [b"/svc/", &rest[..]].concat()),
        1 => vec(usual, 0..60).prop_map(|rest| [b"/", &rest[..]].concat()),
    ];
    let name = prop_oneof![
        4 => "[a-zA-Z][a-zA-Z0-9-]{0,20}",
        2 => proptest::sample::select(vec![
            "Credential", "Nonce", "Signature", "X-Skip-Signature", "Connection", "Cookie", "Forwarded", "TE",
            "X-Forwarded-For", "X-Request-ID", "Content-Type", "Content-Encoding", "Upgrade",
            "Trailer", "Keep-Alive", "Proxy-Authorization", "HTTP2-Settings",
        ]).prop_map(str::to_owned),
    ]
    .prop_filter("framing headers have tests of their own", |name| {
        !["host", "content-length", "transfer-encoding"].contains(&&*name.to_lowercase())
    });
    let value = prop_oneof![
        4 => "[ -~]{0,30}".prop_map(String::into_bytes),
        1 => vec(prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8], 0..30),
        1 => proptest::sample::select(vec![
            "close", "signature", "content-length, host", "credential,nonce,signature", "default", "chunked",
        ]).prop_map(|value| value.as_bytes().to_vec()),
    ];
    let body = prop_oneof![
        2 => Just(Vec::new()),
        4 => vec(any::<u8>(), 1..200),
        2 => "[ \t\r\n]{1,5}".prop_map(String::into_bytes),
        1 => (1..300_000_usize, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ];
    let cuts = proptest::option::of(vec(1..100_usize, 0..6));
    (method, target, vec((name, value), 0..8), body, cuts).prop_map(|(method, target, headers, body, cuts)| Sent {
        method,
        target,
        headers,
        body,
        cuts,
    })
}

#[test]
fn accepted_requests_are_signed_and_sent_byte_for_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (upstream, sidecar) = runtime.block_on(async {
        let upstream = Upstream::builder().start().await;
        let sidecar = Sidecar::before(&upstream.origin()).await;
        (upstream, sidecar)
    });
    let (accepted, tried) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let config = Config { failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&sent(), |sent| {
        let outcome = runtime.block_on(ask(sidecar.listen, &sent.bytes()));
        let reached = upstream.take();
        tried.set(tried.get() + 1);
        prop_assert_eq!(upstream.ambiguous(), [""; 0]);
        match (&outcome, &reached[..]) {
            // The answer is the upstream's, so exactly this request has reached it.
            (Outcome::Forwarded { status: 200, whole: true, .. }, [message]) => {
                assert_signed(message);
                let line = [sent.method.as_bytes(), b" ", &sent.target, b" HTTP/1.1"].concat();
                prop_assert_eq!(message.start_line().as_bytes(), line);
                prop_assert_eq!(&message.body, &sent.body);
                accepted.set(accepted.get() + 1);
            }
            // A rejection, so nothing has reached the upstream.
            (Outcome::Rejected { sent, .. }, []) if sent == "no" => {}
            (Outcome::Bare { status: 400..=499 } | Outcome::Closed, []) => {}
            _ => prop_assert!(false, "{} and {} arrivals", outcome.text(), reached.len()),
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    eprintln!("{} requests, {} of them accepted", tried.get(), accepted.get());
    assert!(accepted.get() * 4 > tried.get(), "too few requests are accepted for a meaningful test");
}
