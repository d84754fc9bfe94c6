//! Finds a block in PEM text (RFC 7468), as people really keep it: with CRLF line ends, indented by a template, with
//! text before the `BEGIN` line or other blocks around it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

/// A decoded block.
pub(super) struct Block {
    /// Which of the wanted labels it carries.
    pub(super) label: &'static str,
    /// Its content, wiped when dropped.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// What there was instead of a wanted block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// White space at most.
    Nothing,
    /// Text without a block.
    NoBlock,
    /// A block that does not end.
    Cut,
    /// A block that is not base64.
    Damaged,
    /// A block under a passphrase in the old manner (RFC 1421 `Proc-Type` header).
    Encrypted,
    /// A whole block with another label.
    Label(String),
}

/// Returns the first block whose label is among `wanted`, else what was there instead of it.
pub(super) fn find(text: &[u8], wanted: &[&'static str]) -> Result<Block, Found> {
    // Editors on Windows begin a file with a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Found::Nothing);
    }
    let mut other = Found::NoBlock;
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, b"-----BEGIN ") else { continue };
        let (body, ended) = body_of(&mut lines, label);
        let Some(label) = wanted.iter().copied().find(|wanted| wanted.as_bytes() == label) else {
            if other == Found::NoBlock {
                other = Found::Label(String::from_utf8_lossy(&label[..label.len().min(40)]).into_owned());
            }
            continue;
        };
        if !ended {
            return Err(Found::Cut);
        }
        if body.starts_with(b"Proc-Type:") {
            return Err(Found::Encrypted);
        }
        return match BASE64_STANDARD.decode(&*body) {
            Ok(der) => Ok(Block { label, der: Zeroizing::new(der) }),
            Err(_) => Err(Found::Damaged),
        };
    }
    Err(other)
}

/// Joins the lines up to the `END` line of `label`; says whether that line came.
fn body_of<'a>(lines: &mut impl Iterator<Item = &'a [u8]>, label: &[u8]) -> (Zeroizing<Vec<u8>>, bool) {
    // Large enough for every key that is accepted, so that growing leaves no copies behind.
    let mut body = Zeroizing::new(Vec::with_capacity(8192));
    for line in lines {
        if boundary(line, b"-----END ") == Some(label) {
            return (body, true);
        }
        body.extend_from_slice(line);
    }
    (body, false)
}

fn boundary<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(start)?.strip_suffix(b"-----")
}
