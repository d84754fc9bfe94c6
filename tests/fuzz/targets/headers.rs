//! The header filter in both directions: forbidden headers never pass, whatever `Connection` nominates, and the filter is idempotent.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use wonder_signer::net::headers::{to_downstream, to_upstream};

/// The filter must remove each of these if a caller sends it.
const NEVER: &[&str] = &[
    "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "http2-settings", "host", "content-length",
    "expect", "credential", "nonce", "signature", "x-skip-signature", "forwarded", "x-real-ip", "cookie",
    "x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override",
];

fuzz_target!(|lines: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) else { continue };
        headers.append(name, value);
    }
    let nominated: Vec<HeaderName> = headers
        .get_all("connection")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // `Connection` must not remove these.
        .filter(|name| !["close", "keep-alive", "host", "x-request-id", "traceparent", "tracestate"].contains(&name.as_str()))
        .filter(|name| !name.as_str().starts_with("content-"))
        .collect();

    let mut up = headers.clone();
    to_upstream(&mut up, |_| ());
    for name in up.keys() {
        let text = name.as_str();
        assert!(!NEVER.contains(&text), "{text}");
        assert!(!["x-forwarded-", "proxy-", "x-wonder-signer-"].iter().any(|start| text.starts_with(start)), "{text}");
        assert!(!nominated.contains(name), "{text} was nominated");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{text}");
    }
    assert!(up.contains_key("content-type"));
    let mut again = up.clone();
    to_upstream(&mut again, |kind| panic!("{kind:?} was left"));
    assert_eq!(again, up);

    let mut down = headers;
    to_downstream(&mut down);
    for name in down.keys() {
        let text = name.as_str();
        assert!(!["connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"].contains(&text), "{text}");
        assert!(!text.starts_with("x-wonder-signer-"), "{text}");
        assert!(!nominated.contains(name), "{text} was nominated");
    }
});
