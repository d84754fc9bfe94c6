//! Reads small files whole, with a cap, into memory that is wiped.

use std::{fs::File, io::Read as _, path::Path};

use zeroize::Zeroizing;

/// A file as read.
pub(crate) struct Content {
    /// At most the cap.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Permission bits of the very file that was read; 0 where the system has none.
    pub(crate) mode: u32,
}

/// Reads `path`, of at most `cap` bytes. Pipes do too, as a shell's `<(…)` makes them.
pub(crate) fn read(path: &Path, cap: usize) -> Result<Content, ReadError> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ReadError::Directory);
    }
    // Of the full size from the start, so that growing leaves no copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(cap + 1));
    file.take(cap as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > cap {
        return Err(ReadError::TooLarge(cap / 1024));
    }
    Ok(Content { bytes, mode: mode(&metadata) })
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions())
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("is a directory, a file is needed")]
    Directory,
    #[error("is larger than {0} KiB")]
    TooLarge(usize),
}
