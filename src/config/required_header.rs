//! The header that requests must have.

use std::{fmt, str::FromStr};

use http::{HeaderName, HeaderValue};

/// A header that every request must have: `X-Wonder-Signer-Request: true`.
///
/// It stops a program that can be made to fetch a URL (SSRF) but not to add a header. It is no password: the configuration shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredHeader {
    /// Its name.
    pub(crate) name: HeaderName,
    /// Its value, which is compared byte for byte.
    pub(crate) value: HeaderValue,
}

impl FromStr for RequiredHeader {
    type Err = NotARequiredHeader;

    fn from_str(text: &str) -> Result<Self, NotARequiredHeader> {
        // The space distinguishes a header from a URL, which may contain a password.
        let (name, value) = text.split_once(": ").ok_or(NotARequiredHeader::Form)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let name = Some(name).filter(|name| name.bytes().all(plain)).and_then(|name| name.parse::<HeaderName>().ok());
        let name = name.ok_or(NotARequiredHeader::Form)?;
        if has_a_meaning(&name) {
            return Err(NotARequiredHeader::Name);
        }
        let value = value.trim();
        let visible = !value.is_empty() && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let value = Some(value).filter(|_| visible).and_then(|value| value.parse().ok());
        Ok(Self { name, value: value.ok_or(NotARequiredHeader::Form)? })
    }
}

/// Whether clients or we ourselves set the header. Such a header proves nothing, and removing it would change the request.
pub(super) fn has_a_meaning(name: &HeaderName) -> bool {
    const OTHERS: &[&str] = &[
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "expect",
        "upgrade",
        "origin",
        "referer",
        "cookie",
        "credential",
        "nonce",
        "signature",
        "x-request-id",
        "x-wonder-signer-credential",
    ];
    OTHERS.contains(&name.as_str())
}

/// As in the configuration.
impl fmt::Display for RequiredHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value.to_str().unwrap_or_default())
    }
}

/// Why a text is no header that can be required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARequiredHeader {
    /// Not name and value.
    #[error(
        "not a header; write its name (letters, digits, \"-\") and its value (visible ASCII), for example \
         \"X-Wonder-Signer-Request: true\""
    )]
    Form,
    /// A header with a meaning of its own.
    #[error("names a header with a meaning of its own; choose another, for example \"X-Wonder-Signer-Request: true\"")]
    Name,
}
