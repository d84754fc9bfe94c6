//! Finds the blocks in PEM text (RFC 7468) in its usual variants: with CRLF or CR line ends, with spaces or a literal `\n` in place of
//! line ends, on one line, in quotes, in UTF-16, indented by a template, with other text or blocks around it.
//!
//! None of these is ambiguous, because neither white space nor a back slash is a base64 character. An unreadable text is reported by its
//! kind, and no part of it is repeated.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::memmem;
use zeroize::Zeroizing;

use super::form;

/// A decoded block.
pub(super) struct Block {
    /// Its content, wiped when dropped.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// What the text has instead of a wanted block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// White space at most.
    Nothing,
    /// Text without a block.
    NoBlock,
    /// A `BEGIN` line that violates RFC 7468.
    Boundary,
    /// A block that does not end.
    Cut,
    /// A block whose `END` label differs from its `BEGIN` label.
    Ends,
    /// A block that is not base64.
    Damaged,
    /// A block encrypted in the old form (RFC 1421 `Proc-Type` header).
    Encrypted,
    /// Base64 without the lines around it.
    Bare,
    /// Base64 or hex of a key file, sometimes encoded twice.
    Encoded,
    /// Several wanted blocks, of which at least one is not whole.
    Several,
    /// A key in a form that is neither PEM nor DER.
    Other(Format),
    /// Bytes of DER.
    Der,
    /// A block with another label, one of [`LABELS`].
    Label(&'static str),
    /// A block with a label that is not in [`LABELS`].
    OtherLabel,
}

/// Other file formats of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 7292: `.p12` and `.pfx` files.
    Pkcs12,
    /// RFC 7517: JSON.
    Jwk,
    /// The default format of ssh-keygen.
    OpenSsh,
    /// One line: `ssh-rsa AAAA...`.
    OpenSshPublic,
    /// `.ppk` files.
    Putty,
    /// `.pvk` files of Microsoft's tools.
    Pvk,
    /// The key blob of Microsoft's `CryptoAPI`.
    MsBlob,
}

/// Labels that a message may name. Other labels are not repeated, because in a damaged file a label can be anything.
const LABELS: [&str; 18] = [
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "ENCRYPTED PRIVATE KEY",
    "EC PRIVATE KEY",
    "EC PARAMETERS",
    "DSA PRIVATE KEY",
    "DSA PARAMETERS",
    "DH PARAMETERS",
    "OPENSSH PRIVATE KEY",
    "CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "X509 CERTIFICATE",
    "CERTIFICATE REQUEST",
    "X509 CRL",
    "PKCS7",
    "PGP PRIVATE KEY BLOCK",
];

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Returns the blocks whose label is in `wanted`, at least one, or else what the text has instead.
pub(super) fn find(bytes: &[u8], wanted: &[&str]) -> Result<Vec<Block>, Found> {
    let narrowed = ascii(bytes);
    let text = narrowed.as_ref().map_or(bytes, |narrowed| &narrowed[..]);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Found::Nothing);
    }
    let mut blocks = Vec::new();
    let mut other = None;
    let mut rest = text;
    while let Some((label, after)) = boundary(rest, BEGIN) {
        // A block cannot contain the beginning of another one.
        let (body, next) = after.split_at(memmem::find(after, BEGIN).unwrap_or(after.len()));
        rest = next;
        if !wanted.iter().any(|wanted| wanted.as_bytes() == label) {
            let found = named(label);
            // A private key identifies the file better than the certificates next to it.
            if other.is_none() || is_private(found) && !other.is_some_and(is_private) {
                other = Some(found);
            }
            continue;
        }
        let Some(end) = memmem::find(body, END) else {
            if base64(body).is_some() {
                return Err(if blocks.is_empty() { Found::Cut } else { Found::Several });
            }
            // Prose about the line, such as a comment above the block.
            other.get_or_insert(Found::Cut);
            continue;
        };
        let block = match boundary(&body[end..], END) {
            Some((ended, _)) if ended == label => decoded(&body[..end]),
            Some(_) => Err(Found::Ends),
            None => Err(Found::Cut),
        };
        match block {
            Ok(block) => blocks.push(block),
            Err(found) => return Err(if blocks.is_empty() { found } else { Found::Several }),
        }
    }
    if blocks.is_empty() { Err(other.unwrap_or_else(|| without_block(text))) } else { Ok(blocks) }
}

fn is_private(found: Found) -> bool {
    matches!(found, Found::Label(label) if label.contains("PRIVATE KEY"))
}

/// The label after the first `start`, and what follows its closing dashes.
fn boundary<'a>(text: &'a [u8], start: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let after = &text[memmem::find(text, start)? + start.len()..];
    let end = memmem::find(after, DASHES)?;
    Some((after[..end].trim_ascii(), &after[end + DASHES.len()..]))
}

fn named(label: &[u8]) -> Found {
    LABELS.into_iter().find(|known| known.as_bytes() == label).map_or(Found::OtherLabel, Found::Label)
}

fn decoded(body: &[u8]) -> Result<Block, Found> {
    if memmem::find(body, b"Proc-Type:").is_some() {
        return Err(Found::Encrypted);
    }
    let base64 = base64(body).ok_or(Found::Damaged)?;
    let der = BASE64_STANDARD.decode(&*base64).map_err(|_| Found::Damaged)?;
    Ok(Block { der: Zeroizing::new(der) })
}

/// The base64 characters of a block's body; `None` if it has anything except these, white space and escaped line ends.
fn base64(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // With the full capacity from the start, because growing would leave copies of the key in memory.
    let mut characters = Zeroizing::new(Vec::with_capacity(body.len()));
    let mut bytes = body.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                // `\n`, `\r\n`, `\\n` and the `\/` of some JSON writers.
                let _ = bytes.next_if(|escaped| matches!(escaped, b'n' | b'r' | b't'));
            }
            byte if byte.is_ascii_whitespace() => {}
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=') => characters.push(byte),
            _ => return None,
        }
    }
    Some(characters)
}

/// The kind of a text without a block.
fn without_block(text: &[u8]) -> Found {
    if !is_der(text.trim_ascii())
        && let Some(found) = encoded(text.trim_ascii())
    {
        return found;
    }
    let upper = Zeroizing::new(text.to_ascii_uppercase());
    let contains = |word: &[u8]| memmem::find(&upper, word).is_some();
    match text.trim_ascii() {
        bytes if is_der(bytes) => der(bytes),
        text if text.starts_with(b"{") && contains(b"\"KTY\"") => Found::Other(Format::Jwk),
        text if text.starts_with(b"PuTTY-User-Key-File") => Found::Other(Format::Putty),
        text if text.starts_with(b"\x1e\xf1\xb5\xb0") => Found::Other(Format::Pvk),
        text if text.starts_with(b"\x07\x02\x00\x00") => Found::Other(Format::MsBlob),
        text if text.starts_with(b"ssh-") => Found::Other(Format::OpenSshPublic),
        text if text.starts_with(b"MII") && base64(text).is_some() => Found::Bare,
        _ if memmem::find(text, BEGIN).is_some() => Found::Cut,
        _ if contains(b"BEGIN ") && contains(b" KEY") => Found::Boundary,
        _ => Found::NoBlock,
    }
}

/// A SEQUENCE with its length in up to four more bytes (X.690 §8.1.3).
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0x84, ..])
}

/// PKCS#12 begins with its version, 3; the structures of single keys begin with 0 or with another SEQUENCE.
fn der(bytes: &[u8]) -> Found {
    match bytes {
        [0x30, 0x82, _, _, 0x02, 0x01, 0x03, ..] => Found::Other(Format::Pkcs12),
        _ => Found::Der,
    }
}

/// Recognises a key file that was encoded as a whole, or as the value of a Kubernetes Secret in its YAML.
fn encoded(text: &[u8]) -> Option<Found> {
    // "-----BEGIN " in base64.
    const BEGIN_ENCODED: &[u8] = b"LS0tLS1CRUdJTi";
    if memmem::find(text, BEGIN_ENCODED).is_some() {
        return Some(Found::Encoded);
    }
    let inner = Zeroizing::new(form::decoded(text)?);
    match inner.trim_ascii() {
        bytes if is_der(bytes) && der(bytes) != Found::Der => Some(der(bytes)),
        bytes if is_der(bytes) && text.starts_with(b"MII") => Some(Found::Bare),
        bytes if is_der(bytes) => Some(Found::Encoded),
        inner => {
            let is_file = memmem::find(inner, BEGIN).is_some() || memmem::find(inner, BEGIN_ENCODED).is_some();
            is_file.then_some(Found::Encoded)
        }
    }
}

/// UTF-16 text, which PowerShell and editors on Windows write, as ASCII bytes. PEM is ASCII; any other character becomes a byte that no
/// block has.
fn ascii(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, high) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, 1),
        [0xfe, 0xff, rest @ ..] => (rest, 0),
        [first, 0, ..] if *first != 0 => (bytes, 1),
        [0, second, ..] if *second != 0 => (bytes, 0),
        _ => return None,
    };
    let narrow = |pair: &[u8]| if pair[high] == 0 { pair[1 - high] } else { 0xff };
    Some(Zeroizing::new(pairs.chunks_exact(2).map(narrow).collect()))
}
