//! The input of commands: the request on the command line, key files, bodies, the clock.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use zeroize::Zeroizing;

use super::{
    Failure,
    target::{Method, Target},
};
use crate::{
    config::values::path_text,
    credentials::{self, PASSPHRASE_CAP},
    files,
    signing::KeyError,
};

/// No PEM file with one RSA key is larger, leading text included.
const KEY_FILE_CAP: usize = 64 * 1024;

/// The request that is signed or verified.
#[derive(Debug, clap::Args)]
pub(super) struct RequestArgs {
    /// Method; the signature covers it in upper case.
    #[arg(long)]
    pub(super) method: Method,
    /// Path and query exactly as sent, percent-encoding included: /svc/...
    #[arg(long)]
    pub(super) target: Target,
    /// File with the exact body, or - for standard input; leave it out for a request without a body.
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    pub(super) body_file: Option<PathBuf>,
}

impl RequestArgs {
    /// The body; empty without `--body-file`.
    pub(super) fn body(&self) -> Result<Vec<u8>, Failure> {
        self.body_file.as_deref().map_or(Ok(Vec::new()), |path| whole("--body-file", path))
    }
}

/// Everything in the file that `option` names, or on standard input for `-`.
pub(super) fn whole(option: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    reading(option, path, |mut input| {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map(|_| bytes)
    })
}

/// What `read` makes of the file that `option` names, or of standard input for `-`.
pub(super) fn reading<T>(
    option: &str,
    path: &Path,
    read: impl FnOnce(Box<dyn Read>) -> io::Result<T>,
) -> Result<T, Failure> {
    let input: io::Result<Box<dyn Read>> = if path == Path::new("-") {
        Ok(Box::new(io::stdin().lock()))
    } else {
        File::open(path).map(|file| Box::new(file) as _)
    };
    input.and_then(read).with_context(|| format!("{option} {}", path.display())).map_err(Failure::usage)
}

/// Reads the key that `option` names.
pub(super) fn key<K>(option: &str, path: &Path, read: fn(&[u8]) -> Result<K, KeyError>) -> Result<K, Failure> {
    read(&key_text(option, path)?).map_err(|reason| Failure::usage(anyhow!("{option} {}: {reason}", path.display())))
}

/// The text of the key file that `option` names.
pub(super) fn key_text(option: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let content = files::read(path, KEY_FILE_CAP);
    let content = content.map_err(|reason| Failure::usage(anyhow!("{option} {}: {reason}", path.display())))?;
    Ok(content.bytes)
}

/// A passphrase as read.
pub(super) struct Passphrase {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Whether every user of the machine can read its file.
    pub(super) is_world_readable: bool,
}

/// Reads the passphrase in the file that `option` names, or on standard input for `-`: its first line.
pub(super) fn passphrase(option: &str, path: &Path) -> Result<Passphrase, Failure> {
    let failure = |reason: &dyn std::fmt::Display| Failure::usage(anyhow!("{option} {}: {reason}", path.display()));
    let (bytes, mode) = if path == Path::new("-") {
        // With the full capacity from the start, because growing would leave copies in memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_CAP + 1));
        let read = io::stdin().lock().take(PASSPHRASE_CAP as u64).read_to_end(&mut bytes);
        read.map_err(|reason| failure(&reason))?;
        (bytes, 0)
    } else {
        let content = files::read(path, PASSPHRASE_CAP).map_err(|reason| failure(&reason))?;
        (content.bytes, content.mode)
    };
    let bytes = credentials::passphrase(&bytes).map_err(|reason| failure(&reason))?;
    Ok(Passphrase { bytes, is_world_readable: credentials::is_world_readable(mode) })
}
