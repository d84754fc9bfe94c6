//! Whether a request target stays under `/svc/` for every reader behind us. Pure.
//!
//! The target is signed and sent as received, so another program resolves it, and programs differ. Each difference known here is
//! one property of a [`Reading`]; a target is forwarded only if all readings agree that it stays where Wonder's signed
//! operations are.

use http::uri::PathAndQuery;

use crate::net::respond::{Code, Failure};

/// Wonder serves everything under this (`deploy/docs/wonder.md` §5.4).
const ROOT: &str = "/svc/";
/// Below [`ROOT`], the family of operations that RSA does not sign (`deploy/docs/wonder.md` §5.4).
const PUBLIC: [&[u8]; 2] = [b"payment", b"public"];

/// Refuses a target that is outside [`ROOT`], or in [`PUBLIC`], for any reader. The query does not matter.
pub(super) fn check(target: &PathAndQuery) -> Result<(), Failure> {
    let Some(path) = target.path().strip_prefix(ROOT) else {
        return Err(Failure::new(Code::NotWonder, "the request target is not under /svc/; nothing else is forwarded"));
    };
    match place(path) {
        Place::Inside => Ok(()),
        Place::Outside => Err(Failure::new(
            Code::NotWonder,
            "the request target leads out of /svc/ for a reader that resolves its dot segments; nothing else is forwarded",
        )),
        Place::Unclear => Err(Failure::new(
            Code::BadTarget,
            "the request target has a \"..\" segment and also an encoded slash or back slash, which programs resolve differently, \
             or more than 4096 bytes; send the resolved path",
        )),
        Place::Public => Err(Failure::new(
            Code::NotWonder,
            "the request target is under /svc/payment/public/, which takes no RSA signature; call Wonder directly for it",
        )),
    }
}

/// The longest path with a ".." that is read in every way: reading takes time, and no service has a longer one.
const LONGEST_DOTTED: usize = 4096;

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Under [`ROOT`], in every reading.
    Inside,
    /// Out of [`ROOT`], in some reading.
    Outside,
    /// A dot segment, and a byte that is a separator to some readers only; or one in a path that is too long to tell.
    Unclear,
    /// In [`PUBLIC`], in some reading.
    Public,
}

fn place(path: &str) -> Place {
    let plain = || path.bytes().map(|byte| Symbol { byte, encoded: false });
    // Without a ".." the most lenient reading includes all others.
    let undotted = |walk: Walk| if walk.public { Place::Public } else { Place::Inside };
    if !path.contains('%') && !path.contains("..") {
        return undotted(Walk::along(plain(), Reading::LENIENT));
    }
    let once = decoded(plain().collect());
    let twice = decoded(once.clone());
    let lenient = Walk::along(twice.iter().copied(), Reading::LENIENT);
    if !lenient.dots {
        return undotted(lenient);
    }
    if path.len() > LONGEST_DOTTED {
        return if lenient.outside { Place::Outside } else { Place::Unclear };
    }
    let separators = twice.iter().any(|symbol| symbol.encoded && matches!(symbol.byte, b'/' | b'\\'));
    let (mut outside, mut public, mut dots) = (false, false, false);
    for reading in Reading::all() {
        let undecoded = Walk::along(plain(), reading);
        let decoded = [&once, &twice].map(|symbols| Walk::along(symbols.iter().copied(), reading));
        for walk in [undecoded].into_iter().chain(decoded) {
            outside |= walk.outside;
            public |= walk.public;
            dots |= walk.dots;
        }
    }
    match (outside, dots && separators, public) {
        (true, ..) => Place::Outside,
        (_, true, _) => Place::Unclear,
        (.., true) => Place::Public,
        _ => Place::Inside,
    }
}

/// A byte of a path, and whether it was percent-encoded.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    byte: u8,
    encoded: bool,
}

/// Percent-decodes once (RFC 3986 §2.1); a `%` without two digits stays.
fn decoded(mut symbols: Vec<Symbol>) -> Vec<Symbol> {
    let digit = |symbol: &Symbol| char::from(symbol.byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut read, mut written) = (0, 0);
    while let Some(first) = symbols.get(read).copied() {
        let digits = match &symbols[read..] {
            [_, high, low, ..] if first.byte == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        (symbols[written], read) = match digits {
            Some((high, low)) => (Symbol { byte: high << 4 | low, encoded: true }, read + 3),
            None => (first, read + 1),
        };
        written += 1;
    }
    symbols.truncate(written);
    symbols
}

/// One way in which a program reads a path. How often it decodes is the caller's to vary.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one difference between programs, and all combinations exist"
)]
struct Reading {
    /// An encoded slash separates segments.
    slash: bool,
    /// An encoded back slash does.
    back_slash: bool,
    /// A segment ends at `;`, as in Java; and at a `?`, a `#` or a NUL that was encoded.
    parameters: bool,
    /// An empty segment is none, as in nginx.
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

/// Resolves the dot segments of a path below [`ROOT`], as far as it matters here.
#[derive(Debug, Clone, Copy)]
struct Walk {
    reading: Reading,
    /// It led above [`ROOT`], be it for a while.
    outside: bool,
    /// It ends in [`PUBLIC`].
    public: bool,
    /// A `..` was resolved.
    dots: bool,
    /// Levels below [`ROOT`].
    depth: usize,
    /// How many of these, from the first on, are those of [`PUBLIC`].
    alike: usize,
    segment: Segment,
}

/// The segment that is being read.
#[derive(Debug, Default, Clone, Copy)]
struct Segment {
    length: usize,
    /// How many of its bytes are dots.
    dots: usize,
    /// It is not the name that [`PUBLIC`] has at this level.
    differs: bool,
    /// What follows, up to the next separator, does not belong to its name.
    ended: bool,
}

impl Walk {
    /// Walks along `symbols` to the end.
    fn along(symbols: impl Iterator<Item = Symbol>, reading: Reading) -> Self {
        let (outside, public, dots) = (false, false, false);
        let mut walk = Self { reading, outside, public, dots, depth: 0, alike: 0, segment: Segment::default() };
        symbols.for_each(|symbol| walk.step(symbol));
        walk.end();
        walk
    }

    fn step(&mut self, symbol: Symbol) {
        if self.reading.separates(symbol) {
            return self.close();
        }
        match symbol.byte {
            _ if self.segment.ended => {}
            b';' if self.reading.parameters => self.segment.ended = true,
            // To a program that ends the path here, this is where it leads.
            b'?' | b'#' | 0 if self.reading.parameters => {
                let mut cut = *self;
                cut.end();
                self.public |= cut.public;
                self.segment.ended = true;
            }
            // Some programs remove white space and controls before they look for dots.
            0..=b' ' => {}
            byte => {
                // The case does not matter to every program, and Wonder has no second family of that name.
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
            }
        }
    }

    fn end(&mut self) {
        self.close();
        self.public |= self.alike == PUBLIC.len();
    }
}

#[cfg(test)]
mod tests;
