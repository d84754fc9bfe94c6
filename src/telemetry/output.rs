//! Writes finished lines to standard error from a thread of its own, because the reader may be slow or stuck and no request waits for it.
//!
//! The thread and its queue of [`LINES`] lines are tracing-appender's. A line that finds the queue full is lost and counted. The next
//! line that is written is preceded by one that reports the count. [`Output::flush`] waits for the queue at the end of the process.
//! tracing-appender's own guard does that too, but prints to standard output if the queue is full, so it is never dropped.
//!
//! Measured in turns with a write by the request's own thread, one worker, into a file, nine rounds, medians: 279 instead of 286 µs of
//! processor time per request at one connection, and the same at 16 and 64 (250, 258 µs). Without [`PAUSE`] it is 299 µs at one connection.

use std::{
    io::{self, ErrorKind},
    mem,
    os::fd::AsFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, retry_on_intr},
};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder};

/// Lines in the queue. While the reader is stuck, they take about 4 MiB.
pub(super) const LINES: usize = 4096;
/// How long the thread sleeps after it has emptied the queue. Meanwhile a request need not wake it, which costs more than the line.
const PAUSE: Duration = Duration::from_millis(5);
/// A pipe with any room has room for this many bytes (`PIPE_BUF`, pipe(7)).
const PART: usize = 4096;

/// Queues lines for the writing thread.
pub(super) struct Output {
    queue: NonBlocking,
    full: ErrorCounter,
    submitted: AtomicUsize,
    shared: Arc<Shared>,
}

struct Shared {
    /// Lines that found the queue full.
    dropped: AtomicUsize,
    /// Lines that the writing thread has removed from the queue, and written if that was possible.
    dequeued: Mutex<usize>,
    emptied: Condvar,
    /// Called with the number of lines that were lost.
    lost: fn(usize),
}

impl Output {
    /// Starts the writing thread. `notice` makes the line that reports how many were lost.
    pub(super) fn start(
        to: impl AsFd + Send + 'static,
        lines: usize,
        lost: fn(usize),
        notice: impl Fn(usize) -> String + Send + 'static,
    ) -> io::Result<Self> {
        // tracing-appender panics if the system gives it no thread.
        thread::Builder::new().spawn(|| ())?.join().map_err(|_| ErrorKind::Other)?;
        let (dropped, dequeued, emptied) = Default::default();
        let shared = Arc::new(Shared { dropped, dequeued, emptied, lost });
        let writer = Writer { to, notice, shared: Arc::clone(&shared), torn: false, failed: 0, reported: 0 };
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(lines).thread_name("log");
        let (queue, guard) = builder.finish(writer);
        mem::forget(guard);
        Ok(Self { full: queue.error_counter(), queue, submitted: AtomicUsize::new(0), shared })
    }

    /// Queues a line with its line feed, or loses it. Never waits.
    pub(super) fn write(&self, line: &[u8]) {
        self.submitted.fetch_add(1, Relaxed);
        // A lossy queue reports no error. It counts.
        let _ = io::Write::write_all(&mut self.queue.clone(), line);
        let dropped = self.full.dropped_lines();
        let before = self.shared.dropped.fetch_max(dropped, Relaxed);
        if dropped > before {
            (self.shared.lost)(dropped - before);
        }
    }

    /// Waits until the lines that are queued now are written, or `patience` is over.
    pub(super) fn flush(&self, patience: Duration) {
        let submitted = self.submitted.load(Relaxed);
        let until = Instant::now() + patience;
        let mut dequeued = self.shared.dequeued();
        while *dequeued + self.shared.dropped.load(Relaxed) < submitted {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            dequeued = self.shared.emptied.wait_timeout(dequeued, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn dequeued(&self) -> MutexGuard<'_, usize> {
        self.dequeued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing thread's end of the queue.
struct Writer<W, N> {
    to: W,
    notice: N,
    shared: Arc<Shared>,
    /// The last line was written in part.
    torn: bool,
    /// Lines that standard error rejected, because it is closed or its disk is full.
    failed: usize,
    /// Lost lines that a notice has reported.
    reported: usize,
}

impl<W: AsFd, N: Fn(usize) -> String> Writer<W, N> {
    /// Whether all of `line` was written, and before it the notice if lines were lost.
    fn put(&mut self, line: &[u8]) -> bool {
        let lost = self.shared.dropped.load(Relaxed) + self.failed;
        let notice = if lost > self.reported { (self.notice)(lost - self.reported) } else { String::new() };
        let end = if self.torn { "\n" } else { "" };
        let whole = [end.as_bytes(), notice.as_bytes()].iter().all(|text| self.all(text));
        if whole {
            self.reported = lost;
        }
        whole && self.all(line)
    }

    fn all(&mut self, text: &[u8]) -> bool {
        let (written, error) = write_all(&self.to, text, None);
        if written > 0 {
            self.torn = error.is_some();
        }
        error.is_none()
    }
}

impl<W: AsFd, N: Fn(usize) -> String> io::Write for Writer<W, N> {
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.put(line) {
            self.failed += 1;
            (self.shared.lost)(1);
        }
        *self.shared.dequeued() += 1;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    /// Called when the queue is empty.
    fn flush(&mut self) -> io::Result<()> {
        self.shared.emptied.notify_all();
        thread::sleep(PAUSE);
        Ok(())
    }
}

/// Writes `text`. With `patience`, gives up if there is no room for that long. Returns how many bytes were written, and the error if
/// that is not all.
pub(super) fn write_all(to: &impl AsFd, text: &[u8], patience: Option<Duration>) -> (usize, Option<Errno>) {
    let mut written = 0;
    while written < text.len() {
        let part = &text[written..text.len().min(written + PART)];
        if patience.is_some() && !has_room(to, patience) {
            return (written, Some(Errno::AGAIN));
        }
        match rustix::io::write(to, part) {
            Ok(0) => return (written, Some(Errno::IO)),
            Ok(bytes) => written += bytes,
            Err(Errno::INTR) => {}
            // Another program has made the pipe non-blocking.
            Err(Errno::AGAIN) if has_room(to, patience) => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

/// Waits for room, without end if there is no `patience`.
fn has_room(to: &impl AsFd, patience: Option<Duration>) -> bool {
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    let mut places = [PollFd::new(to, PollFlags::OUT)];
    // If poll fails, the write returns the reason.
    retry_on_intr(|| poll(&mut places, patience.as_ref())).map_or(true, |ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, PipeReader, PipeWriter, pipe},
        sync::atomic::AtomicUsize,
    };

    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const END: &str = "end";

    fn output(to: PipeWriter, lines: usize, lost: fn(usize)) -> Output {
        Output::start(to, lines, lost, |lines| format!("{lines} lost\n")).unwrap()
    }

    /// Reads the lines up to [`END`]. The writing thread keeps the pipe open.
    fn lines(reader: PipeReader) -> Vec<String> {
        io::BufReader::new(reader).lines().map(Result::unwrap).take_while(|line| line != END).collect()
    }

    fn end(output: &Output) {
        output.flush(LONG);
        output.write(format!("{END}\n").as_bytes());
    }

    #[test]
    fn a_stuck_reader_delays_nothing_and_the_lines_that_it_loses_are_counted_and_reported() {
        static LOST: AtomicUsize = AtomicUsize::new(0);
        let (reader, writer) = pipe().unwrap();
        let output = output(writer, 8, |lines| _ = LOST.fetch_add(lines, Relaxed));
        let mut submitted = 0;
        while LOST.load(Relaxed) < 3 {
            output.write(b"a line\n");
            submitted += 1;
        }
        // Not all of them are written, and the wait for them ends.
        output.flush(Duration::ZERO);
        let lines = thread::spawn(move || lines(reader));
        end(&output);
        let lines = lines.join().unwrap();
        let reported = lines.iter().filter_map(|line| line.strip_suffix(" lost")?.parse::<usize>().ok()).sum::<usize>();
        assert_eq!((reported, LOST.load(Relaxed)), (3, 3));
        assert_eq!(lines.iter().filter(|line| *line == "a line").count() + reported, submitted);
    }

    #[test]
    fn a_line_of_any_length_is_written_whole_even_if_another_program_makes_the_pipe_non_blocking() {
        let (reader, writer) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let output = output(writer, 8, |_| panic!("nothing is lost"));
        let line = "x".repeat(1 << 20);
        output.write(format!("{line}\n").as_bytes());
        let lines = thread::spawn(move || lines(reader));
        end(&output);
        assert!(lines.join().unwrap() == [line]);
    }

    #[test]
    fn a_flush_waits_for_every_line() {
        let (reader, writer) = pipe().unwrap();
        let output = output(writer, LINES, |_| panic!("nothing is lost"));
        (0..LINES).for_each(|_| output.write(b"a line, and more than a pipe can hold of them\n"));
        let reading = thread::spawn(move || lines(reader).len());
        output.flush(LONG);
        assert_eq!(*output.shared.dequeued(), LINES);
        end(&output);
        assert_eq!(reading.join().unwrap(), LINES);
    }

    #[test]
    fn a_closed_reader_loses_lines_only() {
        static LOST: AtomicUsize = AtomicUsize::new(0);
        let (reader, writer) = pipe().unwrap();
        let output = output(writer, 8, |lines| _ = LOST.fetch_add(lines, Relaxed));
        drop(reader);
        output.write(b"line\n");
        output.write(b"line\n");
        output.flush(LONG);
        assert_eq!(LOST.load(Relaxed), 2);
    }

    #[test]
    fn a_write_with_patience_gives_up_where_there_is_no_room() {
        let (_reader, writer) = pipe().unwrap();
        let (written, error) = write_all(&writer, &vec![b'x'; 1 << 20], Some(Duration::ZERO));
        assert!((PART..1 << 20).contains(&written), "{written}");
        assert_eq!(error, Some(Errno::AGAIN));
    }
}
