//! The signature headers as a verifier reads them: each exactly once, as visible ASCII of a plausible length.
//!
//! A repeated header is rejected even if both values are equal, because the next program may read the other one.

use std::fmt;

use http::HeaderMap;

/// A header that a verifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Header {
    /// `Credential`.
    Credential,
    /// `Nonce`.
    Nonce,
    /// `Signature`.
    Signature,
    /// `X-Action`, which only webhooks have and which is not signed.
    Action,
}

impl Header {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Credential, Self::Nonce, Self::Signature, Self::Action];

    /// The name in its usual spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credential => "Credential",
            Self::Nonce => "Nonce",
            Self::Signature => "Signature",
            Self::Action => "X-Action",
        }
    }

    /// The longest accepted value in bytes. Each valid value is shorter.
    const fn limit(self) -> usize {
        match self {
            Self::Credential | Self::Action => 128,
            Self::Nonce => 64,
            // The base64 text of a signature by a 4096-bit key has 684 bytes.
            Self::Signature => 1024,
        }
    }
}

/// The fault of a header, independent of its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It is absent.
    Missing,
    /// It occurs more than once.
    Repeated,
    /// Its value has no characters.
    Empty,
    /// Its value is longer than any valid one.
    Oversized,
    /// Its value has bytes that are not visible ASCII or spaces.
    NotAscii,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Missing, Self::Repeated, Self::Empty, Self::Oversized, Self::NotAscii];
}

/// An unusable header. Its value is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderError {
    /// The header.
    pub header: Header,
    /// Its fault.
    pub fault: Fault,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.header.name();
        match self.fault {
            Fault::Missing => write!(f, "the {name} header is missing"),
            Fault::Repeated => write!(f, "the {name} header occurs more than once"),
            Fault::Empty => write!(f, "the {name} header is empty"),
            Fault::Oversized => write!(f, "the {name} header is longer than {} bytes", self.header.limit()),
            Fault::NotAscii => write!(f, "the {name} header has bytes that are not visible ASCII"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// The signature headers of one request, collected in one pass.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    found: [Option<&'a [u8]>; Header::ALL.len()],
    repeated: [bool; Header::ALL.len()],
    content_encoding: bool,
}

impl<'a> Headers<'a> {
    /// Collects from pairs of name (in any case) and value (without surrounding white space).
    pub fn collect(headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut collected = Self::default();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(b"Content-Encoding") {
                collected.content_encoding |= !value.eq_ignore_ascii_case(b"identity");
            }
            let Some(header) =
                Header::ALL.into_iter().find(|header| name.eq_ignore_ascii_case(header.name().as_bytes()))
            else {
                continue;
            };
            collected.repeated[header as usize] = collected.found[header as usize].replace(value).is_some();
        }
        collected
    }

    /// The value of a header that must occur exactly once.
    ///
    /// # Errors
    /// The first [`Fault`] in the order of their list.
    pub fn one(&self, header: Header) -> Result<&'a str, HeaderError> {
        let fault = |fault| HeaderError { header, fault };
        let value = self.found[header as usize].ok_or(fault(Fault::Missing))?;
        if self.repeated[header as usize] {
            return Err(fault(Fault::Repeated));
        }
        if value.is_empty() {
            return Err(fault(Fault::Empty));
        }
        if value.len() > header.limit() {
            return Err(fault(Fault::Oversized));
        }
        let visible = value.iter().all(|byte| (b' '..=b'~').contains(byte));
        std::str::from_utf8(value).ok().filter(|_| visible).ok_or(fault(Fault::NotAscii))
    }

    /// The same for a header that may be absent.
    ///
    /// # Errors
    /// As [`one`](Self::one), without [`Fault::Missing`].
    pub fn at_most_one(&self, header: Header) -> Result<Option<&'a str>, HeaderError> {
        match self.one(header) {
            Err(HeaderError { fault: Fault::Missing, .. }) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Whether a `Content-Encoding` other than `identity` is declared.
    #[must_use]
    pub fn has_content_encoding(&self) -> bool {
        self.content_encoding
    }
}

impl<'a> From<&'a HeaderMap> for Headers<'a> {
    fn from(map: &'a HeaderMap) -> Self {
        Self::collect(map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
    }
}
