//! Writes finished lines to standard error. The reader may be slow or stuck, and no payment waits for it: a line for which there is no
//! room is lost and counted, and the next line that finds room is preceded by one that reports the count.
//!
//! A line waits for room for a tenth of a second at most. After a wait without success, no line waits for a second. Only a terminal may
//! block for longer, because it can report room and still block the write.

use std::{
    io::{ErrorKind, Write},
    mem,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
};

/// How long a line waits for room. A reader that is only busy makes room within that time.
const PATIENCE: Duration = Duration::from_millis(100);
/// For how long no line waits after one has waited without success.
const RESPITE: Duration = Duration::from_secs(1);
/// A pipe with any room has room for this many bytes (`PIPE_BUF`, pipe(7)).
const PART: usize = 4096;

/// Writes lines without waiting for their reader; `W` is standard error or a pipe.
pub(super) struct Output<W> {
    state: Mutex<State<W>>,
    /// Called for each lost line.
    lost: fn(),
    /// Makes the line that reports how many were lost.
    notice: Box<dyn Fn(u64) -> String + Send + Sync>,
}

struct State<W> {
    to: W,
    patience: Duration,
    no_waiting_before: Option<Instant>,
    /// The last line was written in part.
    torn: bool,
    /// Lost and not reported yet.
    unreported: u64,
}

impl<W: Write + AsFd> Output<W> {
    pub(super) fn new(to: W, lost: fn(), notice: impl Fn(u64) -> String + Send + Sync + 'static) -> Self {
        let state = State { to, patience: PATIENCE, no_waiting_before: None, torn: false, unreported: 0 };
        Self { state: Mutex::new(state), lost, notice: Box::new(notice) }
    }

    /// Writes a line with its line feed, or loses it.
    pub(super) fn write(&self, line: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.unreported > 0 {
            let notice = (self.notice)(state.unreported);
            if state.put(notice.as_bytes()) {
                state.unreported = 0;
            }
        }
        if state.unreported > 0 || !state.put(line) {
            state.unreported += 1;
            (self.lost)();
        }
    }
}

impl<W: Write + AsFd> State<W> {
    /// Whether all of it was written.
    fn put(&mut self, line: &[u8]) -> bool {
        if mem::take(&mut self.torn) && !self.all(b"\n") {
            self.torn = true;
            return false;
        }
        self.all(line)
    }

    fn all(&mut self, line: &[u8]) -> bool {
        let mut rest = line;
        while !rest.is_empty() {
            let part = &rest[..rest.len().min(PART)];
            match if self.has_room() { self.to.write(part) } else { Ok(0) } {
                Ok(written) if written > 0 => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A closed standard error or a full disk does not stop the program.
                Ok(_) | Err(_) => {
                    self.torn = rest.len() < line.len();
                    return false;
                }
            }
        }
        true
    }

    fn has_room(&mut self) -> bool {
        if self.has_room_within(Duration::ZERO) {
            return true;
        }
        let now = Instant::now();
        if self.no_waiting_before.is_some_and(|then| now < then) {
            return false;
        }
        let room = self.has_room_within(self.patience);
        if !room {
            self.no_waiting_before = Some(now + self.patience + RESPITE);
        }
        room
    }

    fn has_room_within(&self, patience: Duration) -> bool {
        let patience = Timespec::try_from(patience).ok();
        let mut places = [PollFd::new(&self.to, PollFlags::OUT)];
        // If poll fails, the write returns the reason.
        retry_on_intr(|| poll(&mut places, patience.as_ref())).map_or(true, |ready| ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, PipeWriter, Read as _, pipe},
        sync::atomic::{AtomicU64, Ordering},
    };

    use super::*;

    fn output(to: PipeWriter, lost: fn()) -> Output<PipeWriter> {
        let output = Output::new(to, lost, |lines| format!("{lines} lost\n"));
        output.state.lock().unwrap().patience = Duration::ZERO;
        output
    }

    /// Fills a pipe with `line` until there is no room. Returns how many lines were written.
    fn fill(output: &Output<PipeWriter>, line: &[u8]) -> usize {
        let mut lines = 0;
        while output.state.lock().unwrap().unreported == 0 {
            output.write(line);
            lines += 1;
        }
        lines - 1
    }

    fn read(reader: &mut PipeReader, bytes: usize) -> String {
        let mut text = vec![0; bytes];
        reader.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_line_without_room_is_lost_counted_and_reported() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (mut reader, writer) = pipe().unwrap();
        let output = output(writer, || _ = LOST.fetch_add(1, Ordering::Relaxed));
        let lines = fill(&output, b"line\n");
        assert!(lines > 0);
        output.write(b"lost\n");
        output.write(b"lost\n");
        assert_eq!(LOST.load(Ordering::Relaxed), 3);
        assert_eq!(read(&mut reader, 5 * lines), "line\n".repeat(lines));
        output.write(b"after\n");
        output.write(b"and on\n");
        assert_eq!(read(&mut reader, 20), "3 lost\nafter\nand on\n");
        assert_eq!(LOST.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_line_that_was_written_in_part_is_ended_before_the_next() {
        let (mut reader, writer) = pipe().unwrap();
        let output = output(writer, || {});
        // More than a pipe can hold.
        output.write(&vec![b'x'; 1 << 20]);
        assert_eq!(read(&mut reader, 2 * PART), "x".repeat(2 * PART));
        output.write(b"after\n");
        drop(output);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.trim_start_matches('x'), "\n1 lost\nafter\n");
    }

    #[test]
    fn no_line_waits_just_after_one_has_waited_without_success() {
        let (_reader, writer) = pipe().unwrap();
        let output = output(writer, || {});
        fill(&output, b"line\n");
        let hour = Duration::from_hours(1);
        {
            let mut state = output.state.lock().unwrap();
            (state.patience, state.no_waiting_before) = (hour, Some(Instant::now() + hour));
        }
        output.write(b"lost\n");
        assert_eq!(output.state.lock().unwrap().unreported, 2);
    }

    #[test]
    fn a_reader_that_is_slow_loses_nothing() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (mut reader, writer) = pipe().unwrap();
        let output = output(writer, || _ = LOST.fetch_add(1, Ordering::Relaxed));
        // So that no line is lost on a busy machine.
        output.state.lock().unwrap().patience = Duration::from_mins(1);
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text.lines().count()).unwrap()
        });
        for _ in 0..100_000 {
            output.write(b"a line, and more than the pipe can hold of them\n");
        }
        drop(output);
        assert_eq!((reading.join().unwrap(), LOST.load(Ordering::Relaxed)), (100_000, 0));
    }

    #[test]
    fn a_closed_reader_loses_lines_only() {
        let (reader, writer) = pipe().unwrap();
        let output = output(writer, || {});
        drop(reader);
        output.write(b"line\n");
        output.write(b"line\n");
        assert_eq!(output.state.lock().unwrap().unreported, 2);
    }
}
