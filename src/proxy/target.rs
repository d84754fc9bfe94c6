//! Whether a request target stays under `/svc/` for every program that receives it after us. Pure.
//!
//! The target is signed and sent as received, so other programs resolve it, and programs differ. Each known difference is one
//! property of a [`Reading`]. A target is forwarded only if it stays among Wonder's signed operations in every reading.

use http::uri::PathAndQuery;

use crate::{contract::Code, net::respond::Failure};

/// The path of everything that Wonder serves (`deploy/docs/wonder.md` §5.4).
const ROOT: &str = "/svc/";
/// Below [`ROOT`], the family of operations that RSA does not sign (`deploy/docs/wonder.md` §5.4).
const PUBLIC: [&[u8]; 2] = [b"payment", b"public"];

/// Rejects a target that is outside [`ROOT`], or in [`PUBLIC`], in any reading. The query is ignored.
pub(super) fn check(target: &PathAndQuery) -> Result<(), Failure> {
    let Some(path) = target.path().strip_prefix(ROOT) else {
        return Err(Failure::new(Code::NotWonder, "the request target is not under /svc/; nothing else is forwarded"));
    };
    match resolve(path) {
        Resolution::Inside => Ok(()),
        Resolution::Outside => Err(Failure::new(
            Code::NotWonder,
            "the request target leads out of /svc/ for a reader that resolves its dot segments; nothing else is forwarded",
        )),
        Resolution::Unclear => Err(Failure::new(
            Code::BadTarget,
            "the request target has a \"..\" segment and also an encoded slash or back slash, which programs resolve differently, \
             or more than 4096 bytes; send the resolved path",
        )),
        Resolution::Public => Err(Failure::new(
            Code::NotWonder,
            "the request target is under /svc/payment/public/, whose operations have no RSA signature; call Wonder directly",
        )),
    }
}

/// The longest path with a ".." for which every reading is tried, because each takes time and no service has a longer path.
const LONGEST_DOTTED: usize = 4096;

/// The place to which a path resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    /// Under [`ROOT`], in every reading.
    Inside,
    /// Out of [`ROOT`], in some reading.
    Outside,
    /// A dot segment, and a byte that is a separator in some readings only; or a dot segment in a path that is too long to try.
    Unclear,
    /// In [`PUBLIC`] at some point, in some reading.
    Public,
}

fn resolve(path: &str) -> Resolution {
    let plain = || path.bytes().map(|byte| Symbol { byte, encoded: false });
    // Without a ".." the most lenient readings include all others.
    let undotted = |public: bool| if public { Resolution::Public } else { Resolution::Inside };
    if path.is_ascii() && !path.contains('%') && !path.contains("..") {
        return undotted(Walk::along(plain(), Reading::LENIENT).public);
    }
    let last = folded(&decoded_to_the_end(plain()));
    let lenient = [Reading::LENIENT, Reading { parameters: false, ..Reading::LENIENT }]
        .map(|reading| Walk::along(last.iter().copied(), reading));
    if !is_dotted(&last) {
        return undotted(lenient.iter().any(|walk| walk.public));
    }
    if path.len() > LONGEST_DOTTED {
        return if lenient.iter().any(|walk| walk.outside) { Resolution::Outside } else { Resolution::Unclear };
    }
    let separators = last.iter().any(|symbol| symbol.encoded && matches!(symbol.byte, b'/' | b'\\'));
    let once = decoded(plain().collect());
    let twice = decoded(once.clone());
    let mut levels = vec![plain().collect(), once, twice, last];
    levels.dedup();
    let (mut outside, mut public, mut dots) = (false, false, false);
    for (symbols, reading) in levels.iter().flat_map(|symbols| Reading::all().map(|reading| (symbols, reading))) {
        let walk = Walk::along(symbols.iter().copied(), reading);
        outside |= walk.outside;
        public |= walk.public;
        dots |= walk.dots;
    }
    match (outside, dots && separators, public) {
        (true, ..) => Resolution::Outside,
        (_, true, _) => Resolution::Unclear,
        (.., true) => Resolution::Public,
        _ => Resolution::Inside,
    }
}

/// Whether a program that removes white space and controls first finds a "..".
fn is_dotted(symbols: &[Symbol]) -> bool {
    let mut before = 0;
    symbols.iter().filter(|symbol| !is_removed(symbol.byte)).any(|symbol| {
        let dotted = before == b'.' && symbol.byte == b'.';
        before = symbol.byte;
        dotted
    })
}

/// Some programs remove white space and controls before they look for dots.
fn is_removed(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | 0x7f)
}

/// A byte of a path, and whether it was percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Symbol {
    byte: u8,
    encoded: bool,
}

/// The byte of two hexadecimal digits.
fn byte(high: Symbol, low: Symbol) -> Option<u8> {
    let digit = |symbol: Symbol| char::from(symbol.byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low)
}

/// Percent-decodes once (RFC 3986 §2.1); a `%` without two digits stays. Own code, because each byte must keep whether it was encoded.
fn decoded(mut symbols: Vec<Symbol>) -> Vec<Symbol> {
    let (mut read, mut written) = (0, 0);
    while let Some(first) = symbols.get(read).copied() {
        let octet = match symbols[read..] {
            [Symbol { byte: b'%', .. }, high, low, ..] => byte(high, low),
            _ => None,
        };
        (symbols[written], read) = match octet {
            Some(byte) => (Symbol { byte, encoded: true }, read + 3),
            None => (first, read + 1),
        };
        written += 1;
    }
    symbols.truncate(written);
    symbols
}

/// Percent-decodes until nothing is left to decode, in one pass: a `%` and digits may themselves have been decoded.
fn decoded_to_the_end(symbols: impl Iterator<Item = Symbol>) -> Vec<Symbol> {
    let mut done: Vec<Symbol> = Vec::new();
    for symbol in symbols {
        done.push(symbol);
        while let [.., Symbol { byte: b'%', .. }, high, low] = done[..]
            && let Some(byte) = byte(high, low)
        {
            done.truncate(done.len() - 3);
            done.push(Symbol { byte, encoded: true });
        }
    }
    done
}

/// Replaces each spelling of an ASCII character that only some programs accept with the character.
fn folded(symbols: &[Symbol]) -> Vec<Symbol> {
    let bytes: Vec<u8> = symbols.iter().map(|symbol| symbol.byte).collect();
    let (mut done, mut read) = (Vec::with_capacity(symbols.len()), 0);
    while let Some(first) = symbols.get(read) {
        let folding = folding(&bytes[read..]);
        done.push(folding.map_or(*first, |(_, byte)| Symbol { byte, encoded: true }));
        read += folding.map_or(1, |(length, _)| length);
    }
    done
}

/// The ASCII character that begins `bytes` as `%uXXXX`, as overlong UTF-8 or in its fullwidth form (U+FF01 to U+FF5E), and the length.
fn folding(bytes: &[u8]) -> Option<(usize, u8)> {
    let low = |byte: u8| u32::from(byte & 0x3f);
    let (length, point) = match *bytes {
        [b'%', b'u' | b'U', a, b, c, d, ..] => {
            // A sign before the digits is accepted too, as by some parsers.
            (6, u32::from_str_radix(std::str::from_utf8(&[a, b, c, d]).ok()?, 16).ok()?)
        }
        [a @ 0xc0..=0xdf, b @ 0x80..=0xbf, ..] => (2, u32::from(a & 0x1f) << 6 | low(b)),
        [a @ 0xe0..=0xef, b @ 0x80..=0xbf, c @ 0x80..=0xbf, ..] => {
            (3, u32::from(a & 0x0f) << 12 | low(b) << 6 | low(c))
        }
        [a @ 0xf0..=0xf7, b @ 0x80..=0xbf, c @ 0x80..=0xbf, d @ 0x80..=0xbf, ..] => {
            (4, u32::from(a & 0x07) << 18 | low(b) << 12 | low(c) << 6 | low(d))
        }
        _ => return None,
    };
    let point = if (0xff01..=0xff5e).contains(&point) { point - 0xfee0 } else { point };
    u8::try_from(point).ok().filter(u8::is_ascii).map(|byte| (length, byte))
}

/// One way in which a program reads a path. The caller of this type varies the number of decodings.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one difference between programs, and all combinations exist"
)]
struct Reading {
    /// An encoded slash separates segments.
    slash: bool,
    /// An encoded back slash separates segments.
    back_slash: bool,
    /// A segment ends at `;`, as in Java, and at an encoded `?`, `#` or NUL.
    parameters: bool,
    /// An empty segment is ignored, as in nginx.
    merging: bool,
}

impl Reading {
    const LENIENT: Self = Self { slash: true, back_slash: true, parameters: true, merging: true };

    fn all() -> [Self; 16] {
        std::array::from_fn(|bits| Self {
            slash: bits & 1 > 0,
            back_slash: bits & 2 > 0,
            parameters: bits & 4 > 0,
            merging: bits & 8 > 0,
        })
    }

    fn separates(self, symbol: Symbol) -> bool {
        match symbol.byte {
            b'/' => !symbol.encoded || self.slash,
            b'\\' => self.back_slash,
            _ => false,
        }
    }
}

/// Resolves the dot segments of a path below [`ROOT`], and notes what the check needs.
#[derive(Debug, Clone, Copy)]
struct Walk {
    reading: Reading,
    /// The path led above [`ROOT`] at some point.
    outside: bool,
    /// The path led into [`PUBLIC`] at some point.
    public: bool,
    /// A `..` was resolved.
    dots: bool,
    /// Levels below [`ROOT`].
    depth: usize,
    /// How many of these levels, from the first on, have the names in [`PUBLIC`].
    alike: usize,
    segment: Segment,
}

/// The segment up to the current symbol.
#[derive(Debug, Default, Clone, Copy)]
struct Segment {
    length: usize,
    /// How many of its bytes are dots.
    dots: usize,
    /// The segment differs from the name in [`PUBLIC`] at this level.
    differs: bool,
    /// The symbols up to the next separator are not part of its name.
    ended: bool,
}

impl Walk {
    /// Walks along `symbols` to the end.
    fn along(symbols: impl Iterator<Item = Symbol>, reading: Reading) -> Self {
        let (outside, public, dots) = (false, false, false);
        let mut walk = Self { reading, outside, public, dots, depth: 0, alike: 0, segment: Segment::default() };
        symbols.for_each(|symbol| walk.step(symbol));
        walk.close();
        walk
    }

    fn step(&mut self, symbol: Symbol) {
        if self.reading.separates(symbol) {
            return self.close();
        }
        match symbol.byte {
            _ if self.segment.ended => {}
            b';' | b'?' | b'#' | 0 if self.reading.parameters => self.segment.ended = true,
            byte if is_removed(byte) => {}
            byte => {
                // Without regard to case, because some programs ignore it and Wonder has no second family of that name.
                let expected = PUBLIC.get(self.depth).and_then(|name| name.get(self.segment.length));
                self.segment.differs |= expected != Some(&byte.to_ascii_lowercase());
                self.segment.length += 1;
                self.segment.dots += usize::from(byte == b'.');
            }
        }
    }

    fn close(&mut self) {
        match std::mem::take(&mut self.segment) {
            Segment { length: 0, .. } if self.reading.merging => {}
            Segment { length: 1, dots: 1, .. } => {}
            Segment { length: 2, dots: 2, .. } => {
                self.dots = true;
                self.outside |= self.depth == 0;
                self.depth = self.depth.saturating_sub(1);
                self.alike = self.alike.min(self.depth);
            }
            Segment { length, differs, .. } => {
                let named = PUBLIC.get(self.depth).is_some_and(|name| !differs && name.len() == length);
                self.alike += usize::from(named && self.alike == self.depth);
                self.depth += 1;
                self.public |= self.alike == PUBLIC.len();
            }
        }
    }
}

#[cfg(test)]
mod tests;
