//! Standard output whose reader may close it at any time, as `head` or a pager does.

use std::io::{self, Write};

/// Writes until the reader closes the pipe, and discards the rest, so that the exit code still shows the result.
///
/// Other failures, such as a full disk, are errors.
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
        unless_closed(self.inner.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.inner.flush(), ())
    }
}

fn unless_closed<T>(result: io::Result<T>, done: T) -> io::Result<T> {
    result.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(done),
        // The caller retries after an interruption, as `write_all` does.
        io::ErrorKind::Interrupted => Err(error),
        kind => Err(io::Error::new(kind, format!("standard output: {error}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails with the same error each time.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        let mut closed = UntilClosed::new(Failing(io::ErrorKind::BrokenPipe));
        assert!(closed.write_all(b"text").and_then(|()| closed.flush()).is_ok());
        let mut full = UntilClosed::new(Failing(io::ErrorKind::StorageFull));
        assert_eq!(full.write_all(b"text").unwrap_err().to_string(), "standard output: no storage space");
        assert_eq!(full.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
