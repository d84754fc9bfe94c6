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
        unless_closed(self.inner.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.inner.flush(), ())
    }
}

fn unless_closed<T>(result: io::Result<T>, done: T) -> io::Result<T> {
    result.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(done),
        // Interruptions are for the caller to see through, as `write_all` does.
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
    fn a_reader_that_left_is_no_error_and_a_full_disk_is_one() {
        let mut closed = UntilClosed::new(Failing(io::ErrorKind::BrokenPipe));
        assert!(closed.write_all(b"text").and_then(|()| closed.flush()).is_ok());
        let mut full = UntilClosed::new(Failing(io::ErrorKind::StorageFull));
        assert_eq!(full.write_all(b"text").unwrap_err().to_string(), "standard output: no storage space");
        assert_eq!(full.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
