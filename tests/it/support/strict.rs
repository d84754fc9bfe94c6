//! A strict request parser: bytes that two parsers could split in two ways are an error.

use super::wire::Message;

/// The result of parsing the bytes so far.
#[derive(Debug)]
pub(crate) enum Reading {
    /// The beginning of a request.
    More,
    /// A whole request, and how many bytes it took.
    Whole(Message, usize),
    /// Not a request that every parser reads alike; the reason.
    Ambiguous(String),
}

/// Reads one request from the start of `bytes`. Only `Content-Length` delimits a body, because the sidecar sends no chunks.
pub(crate) fn read(bytes: &[u8]) -> Reading {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > 1 << 20 { Reading::Ambiguous("a head without end".to_owned()) } else { Reading::More };
    };
    let length = match check_head(&bytes[..end]) {
        Ok(length) => length,
        Err(why) => return Reading::Ambiguous(format!("{why} in {:?}", String::from_utf8_lossy(&bytes[..end]))),
    };
    let used = end + 4 + length;
    if bytes.len() < used {
        return Reading::More;
    }
    let head = String::from_utf8_lossy(&bytes[..end + 4]).into_owned();
    Reading::Whole(Message { head, body: bytes[end + 4..used].to_vec() }, used)
}

/// The `X-Request-ID` of a request that may be incomplete.
pub(crate) fn request_id(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..find(bytes, b"\r\n\r\n").unwrap_or(bytes.len())];
    let name = b"\r\nx-request-id: ";
    let from = head.windows(name.len()).position(|window| window.eq_ignore_ascii_case(name))? + name.len();
    let value = &head[from..];
    let whole = find(value, b"\r\n").or((head.len() < bytes.len()).then_some(value.len()))?;
    Some(String::from_utf8_lossy(&value[..whole]).into_owned())
}

/// Returns the length of the body.
fn check_head(head: &[u8]) -> Result<usize, &'static str> {
    let lines = lines(head)?;
    let (first, rest) = lines.split_first().ok_or("nothing")?;
    check_request_line(first)?;
    let mut length = None;
    let mut hosts = 0;
    for line in rest {
        let colon = line.iter().position(|byte| *byte == b':').ok_or("a line without a colon")?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
        {
            return Err("a name that is no token");
        }
        if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err("a control character");
        }
        match &name.to_ascii_lowercase()[..] {
            b"host" => hosts += 1,
            b"transfer-encoding" => return Err("Transfer-Encoding"),
            b"content-length" if length.is_some() => return Err("two Content-Length"),
            b"content-length" => {
                if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                    return Err("a Content-Length that is no number");
                }
                let number = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                length = Some(number.ok_or("a Content-Length out of bounds")?);
            }
            _ => {}
        }
    }
    if hosts == 1 { Ok(length.unwrap_or(0)) } else { Err("not one Host") }
}

fn check_request_line(line: &[u8]) -> Result<(), &'static str> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, b"HTTP/1.1"] = words[..] else { return Err("a request line that is not three words") };
    if method.is_empty() || !method.iter().all(u8::is_ascii_graphic) {
        return Err("a method that is no token");
    }
    if !target.starts_with(b"/svc/") {
        return Err("a target outside /svc/");
    }
    if target.iter().any(|byte| byte.is_ascii_control() || *byte == b'#') {
        return Err("a control character or fragment in the target");
    }
    Ok(())
}

/// Splits at CRLF only. A lone CR or LF is an error, because other parsers may split there.
fn lines(head: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(end) = find(rest, b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    let bare = lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n'));
    let folded = lines.iter().any(|line| line.first().is_none_or(u8::is_ascii_whitespace));
    match (bare, folded) {
        (true, _) => Err("a bare CR or LF"),
        (_, true) => Err("a folded or empty line"),
        _ => Ok(lines),
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[test]
fn the_strict_parser_accepts_only_unambiguous_requests() {
    let plain = b"POST /svc/a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}GET";
    assert!(matches!(read(plain), Reading::Whole(message, 54) if message.body == b"{}"));
    assert!(matches!(read(&plain[..53]), Reading::More));
    for head in [
        "GET /svc/a HTTP/1.1\r\n\r\n",
        "GET /svc/a HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n",
        "GET /svc/a HTTP/1.1\r\nhost: h\nx: y\r\n\r\n",
        "GET /svc/a HTTP/1.1\r\nhost: h\r\n folded\r\n\r\n",
        "GET /svc/a HTTP/1.1\r\nhost: h\r\nx : y\r\n\r\n",
        "GET /svc/a HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
        "GET /svc/a HTTP/1.1\r\nhost: h\r\ncontent-length: +1\r\n\r\nx",
        "GET /svc/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /svc/a#b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /svc/a b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /other HTTP/1.1\r\nhost: h\r\n\r\n",
    ] {
        assert!(matches!(read(head.as_bytes()), Reading::Ambiguous(_)), "{head:?}");
    }
}

#[test]
fn the_id_of_an_unfinished_request_is_found() {
    let whole = b"GET /svc/a HTTP/1.1\r\nX-Request-ID: r-1\r\nhost: h\r\n\r\n";
    assert_eq!(request_id(whole).as_deref(), Some("r-1"));
    assert_eq!(request_id(&whole[..40]).as_deref(), Some("r-1"));
    assert_eq!(request_id(&whole[..37]), None);
    assert_eq!(request_id(b"GET / HTTP/1.1\r\nx-request-id: r-2\r\n\r\n").as_deref(), Some("r-2"));
}
