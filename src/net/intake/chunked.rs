//! Follows a chunked body to its end by the grammar of RFC 9112 §7.1, and changes nothing in it. Pure.
//!
//! The white space that a recipient may accept around extensions (BWS) is rejected, because readers disagree on it and no known client
//! writes it.

use super::head::is_token;

/// The position in a chunked body after the bytes so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkedBody {
    position: Position,
    /// Missing bytes of the current chunk's data; while its size is read, the size so far.
    size: u64,
    /// Bytes of extensions and trailers so far. They have a limit of their own, because they are not data.
    lines: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before the first digit of a size.
    #[default]
    Size,
    Digits,
    /// After the `;` before an extension.
    Extension,
    ExtensionName,
    /// After the `=` before its value.
    ExtensionValue,
    Token,
    Quoted,
    /// After a `\` in a quoted string.
    QuotedPair,
    QuotedEnd,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    /// At the start of a line after the last chunk.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    Ended,
    Broken,
}

/// Bytes of extensions and trailers that a body may have for the number of its chunks.
const MAX_LINES: usize = 16 * 1024;

impl ChunkedBody {
    /// Follows `bytes` up to the body's end, and returns how many of them belong to it.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.ended() && !self.broken() {
            if self.position == Position::Data {
                let taken = usize::try_from(self.size).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                self.size -= taken as u64;
                at += taken;
                if self.size == 0 {
                    self.position = Position::DataReturn;
                }
            } else {
                self.position = self.next(bytes[at]);
                at += 1;
            }
        }
        at
    }

    /// The last byte was the body's last.
    pub(super) fn ended(&self) -> bool {
        self.position == Position::Ended
    }

    /// The bytes are not a chunked body.
    pub(super) fn broken(&self) -> bool {
        self.position == Position::Broken
    }

    fn next(&mut self, byte: u8) -> Position {
        match (self.position, byte) {
            (Position::Size | Position::Digits, digit) if digit.is_ascii_hexdigit() => {
                // 15 digits exceed every body limit, and cannot overflow a 64-bit count.
                if self.size >> 56 != 0 {
                    return Position::Broken;
                }
                self.size = self.size * 16 + char::from(digit).to_digit(16).map_or(0, u64::from);
                Position::Digits
            }
            (Position::Digits | Position::ExtensionName | Position::Token | Position::QuotedEnd, b'\r') => {
                Position::SizeLineFeed
            }
            (Position::Digits | Position::ExtensionName | Position::Token | Position::QuotedEnd, b';') => {
                self.line(Position::Extension)
            }
            (Position::Extension | Position::ExtensionName, name) if is_token(name) => {
                self.line(Position::ExtensionName)
            }
            (Position::ExtensionName, b'=') => self.line(Position::ExtensionValue),
            (Position::ExtensionValue | Position::Token, value) if is_token(value) => self.line(Position::Token),
            (Position::Quoted, b'"') => self.line(Position::QuotedEnd),
            (Position::Quoted, b'\\') => self.line(Position::QuotedPair),
            (Position::ExtensionValue, b'"')
            | (Position::Quoted | Position::QuotedPair, b'\t' | b' '..=b'~' | 0x80..) => self.line(Position::Quoted),
            (Position::SizeLineFeed, b'\n') if self.size == 0 => Position::Trailer,
            (Position::SizeLineFeed, b'\n') => Position::Data,
            (Position::DataReturn, b'\r') => Position::DataLineFeed,
            (Position::DataLineFeed, b'\n') => Position::Size,
            (Position::Trailer, b'\r') => Position::LastLineFeed,
            (Position::LastLineFeed, b'\n') => Position::Ended,
            (Position::Trailer | Position::TrailerName, name) if is_token(name) => self.line(Position::TrailerName),
            (Position::TrailerName, b':') | (Position::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => {
                self.line(Position::TrailerValue)
            }
            (Position::TrailerValue, b'\r') => Position::TrailerLineFeed,
            (Position::TrailerLineFeed, b'\n') => Position::Trailer,
            _ => Position::Broken,
        }
    }

    fn line(&mut self, position: Position) -> Position {
        self.lines += 1;
        if self.lines > MAX_LINES { Position::Broken } else { position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(body: &[u8]) -> (usize, bool, bool) {
        let mut chunks = ChunkedBody::default();
        let passed = chunks.pass(body);
        // Every split gives the same result.
        let mut piecewise = ChunkedBody::default();
        assert_eq!(body.iter().map(|byte| piecewise.pass(&[*byte])).sum::<usize>(), passed);
        assert_eq!((piecewise.ended(), piecewise.broken()), (chunks.ended(), chunks.broken()));
        (passed, chunks.ended(), chunks.broken())
    }

    #[test]
    fn ends_where_the_body_ends() {
        for body in [
            &b"0\r\n\r\n"[..],
            b"5\r\nhello\r\n0\r\n\r\n",
            b"00005\r\nhello\r\n000\r\n\r\n",
            b"a;x=y\r\n0123456789\r\n0;z\r\n\r\n",
            b"1;a;b=c;d=\"e;\\\"f\\\\\xc3\xa9 =\";g\r\nx\r\n0;end=\"\"\r\n\r\n",
            b"1\r\n\n\r\n0\r\nX-T: 1\r\nX-U:\r\n\r\n",
        ] {
            let followed = [body, b"GET /"].concat();
            assert_eq!(pass(&followed), (body.len(), true, false), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn breaks_where_it_is_not_a_chunked_body() {
        for body in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b" 1\r\n",
            b"0x1\r\n",
            b"1\n",
            b"1\r\nab",
            b"1\r\na\n",
            b"1\r\na\rx",
            b"0\r\nX-T: 1\n",
            b"1;\0\r\n",
            b"1 \r\n",
            b"1\t\r\n",
            b"0 \r\n",
            b"1;\r\n",
            b"0;\r\n",
            b"1;;a\r\n",
            b"1;a;\r\n",
            b"1 ;a\r\n",
            b"1; a\r\n",
            b"1;a \r\n",
            b"1;a =b\r\n",
            b"1;a= b\r\n",
            b"1;=b\r\n",
            b"1;a=\r\n",
            b"1;a=b=c\r\n",
            b"1;bad[=x\r\n",
            b"1;a=b[\r\n",
            b"1;a=\"b\r\n",
            b"1;a=\"b\"c\r\n",
            b"1;a=\"b\\\r\n",
            b"1;a=\"b\n\"\r\n",
            b"1;a=\"\x7f\"\r\n",
            b"1;\xc3\xa9\r\n",
            b"1;a\n",
            b"0\r\n X-T: 1\r\n",
            b"0\r\nX-T\r\n",
            b"0\r\nX-T : 1\r\n",
            b"0\r\n: 1\r\n",
            b"0\r\nX-T: \x7f\r\n",
            b"fffffffffffffffff\r\n",
            b"10000000000000000\r\n",
        ] {
            let (_, ended, broken) = pass(body);
            assert!(broken && !ended, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn does_not_take_extensions_and_trailers_without_end() {
        let extension = [b"1;".as_slice(), &vec![b'x'; MAX_LINES + 1]].concat();
        assert!(pass(&extension).2);
        let trailer = [b"0\r\nx:".as_slice(), &vec![b'x'; MAX_LINES + 1]].concat();
        assert!(pass(&trailer).2);
    }
}
