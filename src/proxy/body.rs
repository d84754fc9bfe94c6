//! Takes a request body in: within its size, within its time, and in the chunks that it comes in.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{timeout, timeout_at};

use crate::net::respond::{Code, Failure};

/// How much of a body that was refused is read and thrown away, and for how long, so that a caller who is still sending
/// gets to see the answer instead of a reset.
const LINGER: (usize, Duration) = (64 << 20, Duration::from_secs(2));

/// Reads the whole body: at most `limit` bytes within `time`.
pub(super) async fn take(mut body: Incoming, limit: usize, time: Duration) -> Result<Vec<Bytes>, Failure> {
    let mut chunks = Vec::new();
    if body.is_end_stream() {
        return Ok(chunks);
    }
    let mut taken = 0;
    let deadline = tokio::time::Instant::now() + time;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => {
                return Err(Failure::new(Code::BadRequest, "the request body broke off").because(&error).closing());
            }
            Ok(None) => break,
            Err(_) => {
                return Err(Failure::new(Code::BodyTimeout, "the request body did not arrive in time (timeouts.body)")
                    .closing());
            }
        };
        // Trailers are not signed and not forwarded.
        let Ok(chunk) = frame.into_data() else { continue };
        taken += chunk.len();
        if taken > limit {
            linger(body);
            return Err(too_large(limit));
        }
        chunks.push(chunk);
    }
    if is_white_space(&chunks) {
        return Err(Failure::new(
            Code::AmbiguousBody,
            "the body is only white space, which Wonder's own clients sign in different ways; send none, or send JSON",
        ));
    }
    Ok(chunks)
}

pub(super) fn too_large(limit: usize) -> Failure {
    Failure::new(Code::BodyTooLarge, format!("the request body is larger than {limit} bytes (limits.body)")).closing()
}

/// Lets the caller finish sending what will not be used.
pub(super) fn linger(mut body: Incoming) {
    tokio::spawn(timeout(LINGER.1, async move {
        let mut left = LINGER.0;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    }));
}

/// Not empty, and nothing that any of Wonder's clients would keep when trimming: JavaScript's white space is Unicode's
/// and the byte order mark.
fn is_white_space(chunks: &[Bytes]) -> bool {
    match chunks {
        [] => false,
        [first, ..]
            if first.first().is_some_and(|byte| byte.is_ascii() && !byte.is_ascii_whitespace() && *byte != 0x0b) =>
        {
            false
        }
        _ => std::str::from_utf8(&chunks.concat())
            .is_ok_and(|text| !text.is_empty() && text.chars().all(|c| c.is_whitespace() || c == '\u{feff}')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_white_space_from_content() {
        let body =
            |parts: &[&'static str]| parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect::<Vec<_>>();
        for blank in [&[" "][..], &["\r\n"], &["\t", "\n"], &["\u{a0}"], &["\u{feff}"], &["\u{b}"], &["", " "]] {
            assert!(is_white_space(&body(blank)), "{blank:?}");
        }
        for content in [&[][..], &[""], &["{}"], &[" {}"], &[" ", "x"], &["\0"], &["\u{2003}x"]] {
            assert!(!is_white_space(&body(content)), "{content:?}");
        }
    }

    #[test]
    fn knows_white_space_across_a_split_character() {
        let halves = [Bytes::from_static(b"\xc2"), Bytes::from_static(b"\xa0")];
        assert!(is_white_space(&halves));
    }
}
