//! Shared parts of all HTML pages: the style sheet, escaping, and the hashes for a content security policy. Pure.
//!
//! A page puts [`STYLE`] and its own rules into one `<style>` element, and names that element's text in `style-src`, so that
//! an injected style or script has no effect even where a value would get past [`Escaped`].

use std::fmt::{self, Display, Write};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

/// Colours, text, tables and buttons, in both colour schemes.
pub(crate) const STYLE: &str = include_str!("html/style.css");

/// Text that is safe within an element and within a quoted attribute.
pub(crate) struct Escaped<T>(pub(crate) T);

impl<T: AsRef<str>> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().chars().try_for_each(|found| match found {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // A browser reads a raw CR as LF.
            '\r' => f.write_str("&#13;"),
            other => f.write_char(other),
        })
    }
}

/// The source expression that allows the inline style or script with exactly this text (CSP Level 3 §2.3.1).
pub(crate) fn source(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_all_that_html_gives_a_meaning() {
        assert_eq!(
            Escaped("<a href=\"x\">'&\r</a>").to_string(),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#13;&lt;/a&gt;"
        );
    }
}
