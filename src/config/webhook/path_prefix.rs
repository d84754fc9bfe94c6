//! The paths that webhooks may have.

use std::{fmt, str::FromStr};

/// A path and everything below it: `/hooks` includes `/hooks`, `/hooks/wonder` and `/hooks?x`, but not `/hooksx`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPrefix(String);

impl PathPrefix {
    /// The path, without a slash at its end.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathPrefix {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        path(text).map(|path| Self(path.to_owned()))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// A path without the slash at its end.
pub(super) fn path(text: &str) -> Result<&str, NotAPath> {
    let is_of_path = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b',' | b'\\');
    let has_dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
    if text.starts_with('/') && text.bytes().all(is_of_path) && !has_dots {
        Ok(text.strip_suffix('/').unwrap_or(text))
    } else {
        Err(NotAPath)
    }
}

/// The text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a path; write for example \"/payments/wonder\": visible ASCII, without query and without \".\" or \"..\" as a segment"
)]
pub(crate) struct NotAPath;
