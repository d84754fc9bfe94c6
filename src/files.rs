//! Reads small files whole, with a size limit, into memory that is wiped; `watch` reads them again when their content changes.

mod fingerprint;
mod stamp;
mod watch;

pub use self::watch::Reload;
pub(crate) use self::{
    fingerprint::Fingerprint,
    watch::{Commit, Subject, Watch, steady},
};

use std::{
    cell::Cell,
    fs::{File, OpenOptions},
    io::{self, Read as _},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use zeroize::Zeroizing;

/// A file as read.
pub(crate) struct Content {
    /// At most the size limit.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Permission bits of the read file; 0 on a system without them.
    pub(crate) mode: u32,
}

/// How long a named pipe may be without a writer. The writer may wait for a person at a password prompt.
const PATIENCE: Duration = Duration::from_mins(1);

thread_local! {
    /// Whether this thread rejects a named pipe at once. The thread that watches files does: a file that has become a pipe must not keep it
    /// from all others.
    static NEVER_WAITS: Cell<bool> = const { Cell::new(false) };
}

/// Reads `path`, of at most `cap` bytes. It may be a pipe, as a shell's `<(…)` makes them.
pub(crate) fn read(path: &Path, cap: usize) -> Result<Content, ReadError> {
    match (special(path), NEVER_WAITS.get()) {
        (Some(NAMED_PIPE), false) => read_pipe(path, cap, PATIENCE),
        (Some(NAMED_PIPE), true) => Err(ReadError::NewPipe),
        // A terminal, or standard input.
        (Some(CHARACTER_DEVICE), false) | (None, _) => read_whole(path, cap),
        (Some(kind), _) => Err(ReadError::Special(kind)),
    }
}

/// Opening a named pipe blocks until it has a writer, perhaps forever. A separate thread waits, and is abandoned after `patience`.
fn read_pipe(path: &Path, cap: usize, patience: Duration) -> Result<Content, ReadError> {
    let (send, receive) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || send.send(read_whole(&path, cap)));
    receive.recv_timeout(patience).unwrap_or(Err(ReadError::Pipe(patience)))
}

fn read_whole(path: &Path, cap: usize) -> Result<Content, ReadError> {
    let file = if NEVER_WAITS.get() { open_at_once(path)? } else { File::open(path)? };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ReadError::Directory);
    }
    // With the full capacity from the start, because growing would leave copies of the key in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(cap + 1));
    file.take(cap as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > cap {
        return Err(ReadError::TooLarge(cap / 1024));
    }
    Ok(Content { bytes, mode: mode(&metadata) })
}

/// Opens `path` for reading. The opening of a named pipe, which may have taken the place of a file just now, would wait for its writer.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().try_into().unwrap_or_default(),
    );
    options.read(true).open(path)
}

const NAMED_PIPE: &str = "named pipe";
const CHARACTER_DEVICE: &str = "character device";

/// What `path` is, if it is neither a regular file nor a directory.
#[cfg(unix)]
fn special(path: &Path) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = std::fs::metadata(path).ok()?.file_type();
    [
        (kind.is_fifo(), NAMED_PIPE),
        (kind.is_char_device(), CHARACTER_DEVICE),
        (kind.is_block_device(), "block device"),
        (kind.is_socket(), "socket"),
    ]
    .into_iter()
    .find_map(|(is, name)| is.then_some(name))
}

#[cfg(not(unix))]
fn special(_: &Path) -> Option<&'static str> {
    None
}

fn is_named_pipe(path: &Path) -> bool {
    special(path) == Some(NAMED_PIPE)
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
    /// The system's reason.
    #[error("cannot be read: {0}{remedy}", remedy = remedy(.0))]
    Io(#[from] io::Error),
    /// A directory, as from a mount without its sub-path.
    #[error("is a directory, a file is needed; name the file in it")]
    Directory,
    /// Larger than the limit, in KiB.
    #[error("is larger than {0} KiB; name the right file")]
    TooLarge(usize),
    /// A named pipe in place of a file that was read before.
    #[error("has become a named pipe, which cannot be read again; put a regular file in its place")]
    NewPipe,
    /// A socket or a device.
    #[error("is a {0}, a file is needed; put a regular file in its place")]
    Special(&'static str),
    /// A named pipe without a writer.
    #[error("is a named pipe, and nothing wrote it to its end within {0:?}")]
    Pipe(Duration),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; create it, or correct its path",
        io::ErrorKind::PermissionDenied => "; let the user of this program read it",
        _ => "",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_named_pipe_is_read_to_its_end_or_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let unwritten = read_pipe(&pipe, 10, Duration::from_millis(20)).err().unwrap();
        assert_eq!(unwritten.to_string(), "is a named pipe, and nothing wrote it to its end within 20ms");
        // Another pipe, because the abandoned thread still waits for a writer of the first one.
        let pipe = directory.path().join("other");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "text")
        });
        assert_eq!(&read(&pipe, 10).unwrap().bytes[..], b"text");
        writer.join().unwrap().unwrap();
    }
}
