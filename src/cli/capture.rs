//! Parses a captured request: the bytes of HTTP/1.1, or header lines only.

use anyhow::{Result, anyhow, bail};

use super::target::{Method, Target};

/// Method and target.
pub(super) type Line = (Method, Target);

/// A captured request. Only its form is checked here; `verify` checks the signature.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// Method and target from the request line, or from `:method` and `:path` of HTTP/2.
    pub(super) line: Option<Line>,
    /// Names in lower case, values without surrounding white space.
    headers: Vec<(String, String)>,
    /// The body; none for header lines only.
    pub(super) body: Option<Vec<u8>>,
}

impl Capture {
    /// Parses a whole request: head, empty line, body. `Content-Length` or the chunks give the body's length; without them, the rest is the body.
    pub(super) fn request(bytes: &[u8]) -> Result<Self> {
        let (head, rest) = split_head(after_curls_own(bytes));
        let mut capture = Self::headers(head)?;
        if capture.line.is_none() {
            bail!("does not begin with a request line such as POST /svc/... HTTP/1.1");
        }
        // The output of curl -v has the head only. The lines after it are curl's own and those of the response.
        if head.starts_with(b"> ") && [&b"* "[..], b"< ", b"{ ", b"} "].iter().any(|mark| rest.starts_with(mark)) {
            return Ok(capture);
        }
        let chunked = capture.header("transfer-encoding")?.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let length = capture.header("content-length")?.map(str::parse::<usize>).transpose();
        let body = match length.map_err(|_| anyhow!("its Content-Length is not a number"))? {
            _ if chunked => dechunked(rest)?,
            None => rest.to_vec(),
            Some(length) => match rest.get(..length) {
                Some(body) => body.to_vec(),
                None => bail!(
                    "has {} bytes of body, but Content-Length is {length}: the capture is cut, or its line ends were changed",
                    rest.len()
                ),
            },
        };
        capture.body = Some(body);
        Ok(capture)
    }

    /// Parses header lines, with or without a request line before them, and removes the `> ` that curl writes before each.
    pub(super) fn headers(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(split_head(after_curls_own(bytes)).0)
            .map_err(|_| anyhow!("has bytes in its head that are not UTF-8"))?;
        let mut capture = Self::default();
        let mut pseudo = (None, None);
        for (number, line) in text.lines().enumerate() {
            let line = line.strip_prefix("> ").unwrap_or(line).trim_end();
            if line.is_empty() || line == ">" {
                continue;
            }
            if number == 0
                && let Some((line, host)) = request_line(line)?
            {
                capture.line = Some(line);
                capture.headers.extend(host.map(|host| ("host".to_owned(), host)));
                continue;
            }
            // The names of HTTP/2's pseudo-header fields begin with a colon (RFC 9113 §8.3).
            let colon = line.get(1..).and_then(|rest| rest.find(':')).map(|at| at + 1);
            let Some((name, value)) = colon.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?))) else {
                bail!("line {} is not \"Name: value\"", number + 1);
            };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
            match &name[..] {
                ":method" => pseudo.0 = Some(value),
                ":path" => pseudo.1 = Some(value),
                ":authority" => capture.headers.push(("host".to_owned(), value)),
                _ => capture.headers.push((name, value)),
            }
        }
        if let (Some(method), Some(path)) = pseudo {
            capture.line = Some((method.parse()?, path.parse()?));
        }
        Ok(capture)
    }

    /// Whether the head announces a body.
    pub(super) fn announces_body(&self) -> bool {
        let has = |name: &str| self.headers.iter().any(|(other, value)| other == name && value != "0");
        has("content-length") || has("transfer-encoding")
    }

    /// Every header, its name in lower case.
    pub(super) fn headers_as_sent(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// The value of a header; none if the header is absent, an error if it occurs more than once.
    pub(super) fn header(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => bail!("the request has more than one {name} header"),
            (value, None) => Ok(value),
        }
    }
}

/// Method and target of a request line, and the host of a target in absolute form; none if the line is not a request line.
fn request_line(line: &str) -> Result<Option<(Line, Option<String>)>> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    if !version.starts_with("HTTP/") {
        return Ok(None);
    }
    let (host, target) =
        match target.split_once("://").map(|(_, rest)| rest.split_at(rest.find('/').unwrap_or(rest.len()))) {
            Some((host, path)) => (Some(host.to_owned()), if path.is_empty() { "/" } else { path }),
            None => (None, target),
        };
    let method = method.parse().map_err(|reason| anyhow!("its method {reason}"))?;
    let target = target.parse().map_err(|reason| anyhow!("its target {reason}"))?;
    Ok(Some(((method, target), host)))
}

/// The bytes from the request on, without the lines of its own that curl -v prints before it.
fn after_curls_own(bytes: &[u8]) -> &[u8] {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let is_own = |line: &&[u8]| [&b"* "[..], b"{ ", b"} "].iter().any(|mark| line.starts_with(mark));
    let own: usize = lines.by_ref().take_while(is_own).map(<[u8]>::len).sum();
    &bytes[own..]
}

/// The bytes before and after the first empty line.
fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let next = from + line.len();
        if from > 0 && matches!(line, b"\n" | b"\r\n" | b"> \n" | b"> \r\n" | b">\n" | b">\r\n") {
            return (&bytes[..from], &bytes[next..]);
        }
        from = next;
    }
    (bytes, &[])
}

/// The content of a chunked body (RFC 9112 §7.1).
fn dechunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let line_end = |rest: &[u8]| [&b"\r\n"[..], b"\n"].into_iter().find(|end| rest.starts_with(end)).map(<[u8]>::len);
    let broken = || anyhow!("has a chunked body that is cut or damaged");
    let mut body = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(broken)?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| broken())?;
        // Without a sign, which the language would accept.
        let size = Some(line.split(';').next().unwrap_or_default().trim()).filter(|size| !size.starts_with('+'));
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).ok_or_else(broken)?;
        rest = &rest[end + 1..];
        if size == 0 {
            return Ok(body);
        }
        let chunk = rest.get(..size).ok_or_else(broken)?;
        body.extend_from_slice(chunk);
        let after = &rest[size..];
        rest = &after[line_end(after).ok_or_else(broken)?..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: &[u8]) -> Result<Vec<u8>> {
        Capture::request(bytes).map(|capture| capture.body.unwrap())
    }

    #[test]
    fn the_head_gives_the_length_of_the_body() {
        let head = "POST /svc/x?a=1 HTTP/1.1\r\nHost: a\r\n";
        for (more, expected) in [
            ("\r\n{}", Ok("{}")),
            ("Content-Length: 2\r\n\r\n{}\n", Ok("{}")),
            ("Content-Length: 0\r\n\r\n\n", Ok("")),
            ("Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n", Ok("{}")),
            (
                "Content-Length: 9\r\n\r\n{}",
                Err("has 2 bytes of body, but Content-Length is 9: the capture is cut, or its line ends were changed"),
            ),
            ("Content-Length: x\r\n\r\n", Err("its Content-Length is not a number")),
            ("Transfer-Encoding: chunked\n\n5\n{\"a\":\n2;x\n1}\n0\n\n", Ok("{\"a\":1}")),
            ("Transfer-Encoding: chunked\r\n\r\n5\r\n{\r\n", Err("has a chunked body that is cut or damaged")),
            (
                "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
                Err("has a chunked body that is cut or damaged"),
            ),
            (
                "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
                Err("the request has more than one content-length header"),
            ),
        ] {
            let found = body(format!("{head}{more}").as_bytes()).map_err(|reason| reason.to_string());
            assert_eq!(found, expected.map(|body| body.as_bytes().to_vec()).map_err(str::to_owned), "{more:?}");
        }
    }

    #[test]
    fn parses_captures_of_common_tools() {
        for text in [
            "POST /svc/x?a=1 HTTP/1.1\r\nNonce: n\r\nHost: a:1\r\n\r\n",
            "POST /svc/x?a=1 HTTP/1.1\nHost:a:1\nnonce:  n \n\n",
            "> POST /svc/x?a=1 HTTP/1.1\n> Host: a:1\n> NONCE: n\n> \n",
            "POST http://a:1/svc/x?a=1 HTTP/1.1\r\nNonce: n\r\n\r\n",
            "*   Trying 127.0.0.1:80...\n* Connected\n> POST /svc/x?a=1 HTTP/1.1\n> Host: a:1\n> Nonce: n\n> \n* sent\n< HTTP/1.1 200 OK\n",
            ":method: POST\n:path: /svc/x?a=1\n:authority: a:1\n:scheme: https\nnonce: n\n",
        ] {
            let capture = Capture::request(text.as_bytes()).unwrap();
            let (method, target) = capture.line.as_ref().unwrap();
            assert_eq!((method.as_str(), target.as_str()), ("POST", "/svc/x?a=1"), "{text:?}");
            assert_eq!(capture.header("nonce").unwrap(), Some("n"), "{text:?}");
            assert_eq!(capture.header("host").unwrap(), Some("a:1"), "{text:?}");
        }
    }

    #[test]
    fn the_output_of_curl_has_no_body() {
        let printed = |length: &str| {
            let text = format!(
                "* Trying\n> POST /svc/x HTTP/1.1\n> Content-Length: {length}\n> \n}} [5 bytes data]\n< HTTP/1.1 200\n"
            );
            let capture = Capture::request(text.as_bytes()).unwrap();
            (capture.body.is_some(), capture.announces_body())
        };
        assert_eq!(printed("5"), (false, true));
        assert_eq!(printed("0"), (false, false));
    }

    #[test]
    fn an_error_names_what_is_wrong_with_the_capture() {
        for (text, expected) in [
            (&b"Nonce: n\r\n\r\n"[..], "does not begin with a request line such as POST /svc/... HTTP/1.1"),
            (b"", "does not begin with a request line such as POST /svc/... HTTP/1.1"),
            (b"POST /svc/x HTTP/1.1\r\nno header\r\n\r\n", "line 2 is not \"Name: value\""),
            (
                b"POST svc HTTP/1.1\r\n\r\n",
                "its target must start with /: write path and query without scheme and host",
            ),
            (b"P\xff /", "has bytes in its head that are not UTF-8"),
        ] {
            assert_eq!(Capture::request(text).unwrap_err().to_string(), expected);
        }
    }
}
