//! Standard output that may be closed at any time, as `head` and a pager that was quit do.

use std::io::{self, Write};

/// Passes on what is written until nobody reads it any more, and discards the rest.
///
/// The exit code then still tells the answer. Other failures, a full disk, are passed on.
pub(super) struct UntilClosed<W> {
    inner: W,
}

impl<W: Write> UntilClosed<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner }
    }
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.inner.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.inner.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}
