//! Watches files by their content and reads them again when it changes.
//!
//! Kubernetes replaces the content of a mount by swapping the symbolic link `..data`. Other programs rename a new file over the old one, or
//! overwrite it. Times, sizes and inode numbers may stay the same, so the content is compared. System events only trigger a check; a poll
//! finds changes on file systems without events, or when a limit allows none. The poll opens no file whose state is the same, except once
//! a minute, so that it causes no events itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::AccessKind};

use super::{fingerprint::Fingerprint, stamp::Stamp};

/// The interval of the poll.
const POLL: Duration = Duration::from_secs(5);
/// How often the poll compares the content of files whose state is the same.
const COMPARE: Duration = Duration::from_mins(1);
/// How long the content must stay the same before it is read, so that a file overwritten in place is read whole.
const QUIET: Duration = Duration::from_secs(2);
/// The delay from an event to the check, which limits the cost of a busy directory.
const SETTLE: Duration = Duration::from_millis(250);
/// How long files may go on changing before they are read nevertheless: a program that never stops writing must not keep a new key from
/// being used, nor a damaged one from being reported.
const LONGEST: Duration = Duration::from_secs(10);
/// How often a set of files is read again if it changes while it is read.
const ATTEMPTS: usize = 5;

/// Applies a reading.
pub(crate) type Commit = Box<dyn FnOnce() + Send>;

/// Files that belong together, and how to read them.
pub(crate) struct Subject {
    paths: Vec<PathBuf>,
    /// Whether a path was a named pipe from the start.
    has_pipe: bool,
    /// The state of the files before the last comparison of their content, and its time.
    compared: Option<(Stamp, Instant)>,
    quiet: Quiet,
    read: Box<dyn FnMut() -> Commit + Send>,
}

impl Subject {
    /// Makes a subject of `paths`, whose content at the last reading was that of `read_at`.
    pub(crate) fn new(
        paths: Vec<PathBuf>,
        read_at: Fingerprint,
        read: impl FnMut() -> Commit + Send + 'static,
    ) -> Self {
        let has_pipe = paths.iter().any(|path| super::is_named_pipe(path));
        Self { paths, has_pipe, compared: None, quiet: Quiet::new(read_at), read: Box::new(read) }
    }

    /// Reads the files if they have changed. Without `event`, files whose state is the same are not opened.
    fn check(&mut self, now: Instant, event: bool) {
        let stamp = Stamp::of(&self.paths, SystemTime::now());
        let is_same = match (&stamp, &self.compared) {
            (Some(seen), Some((known, at))) => seen == known && now.duration_since(*at) < COMPARE,
            _ => false,
        };
        if is_same && !event && self.quiet.changed.is_none() {
            return;
        }
        self.compared = stamp.map(|stamp| (stamp, now));
        if self.quiet.check(Fingerprint::of(&self.paths), now) {
            self.read();
        }
    }

    fn read(&mut self) {
        let pipe = self.paths.iter().find(|path| super::is_named_pipe(path));
        if let Some(path) = pipe.filter(|_| self.has_pipe) {
            self.quiet = Quiet::new(Fingerprint::of(&self.paths));
            tracing::info!(path = %path.display(), "a named pipe can be read only once; the content read at start stays in use");
            return;
        }
        let (fingerprint, commit, is_steady) = attempts(&self.paths, &mut self.read);
        if is_steady {
            commit();
            self.quiet = Quiet::new(fingerprint);
        } else {
            let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
            tracing::warn!(
                paths = paths.join(" "),
                "files change while they are read; what was read before stays in use"
            );
            self.quiet.changed = None;
        }
    }
}

/// Reads `paths` with `read` until they are the same before and after, so that a reading never mixes two versions. If files change faster
/// than they can be read, the last reading is used, and the watcher detects the next change.
pub(crate) fn steady<T>(paths: &[PathBuf], read: impl FnMut() -> T) -> (Fingerprint, T) {
    let (fingerprint, result, _) = attempts(paths, read);
    (fingerprint, result)
}

/// The same, and whether the last reading was steady.
fn attempts<T>(paths: &[PathBuf], mut read: impl FnMut() -> T) -> (Fingerprint, T, bool) {
    let mut before = Fingerprint::of(paths);
    let mut result = read();
    for _ in 1..ATTEMPTS {
        let after = Fingerprint::of(paths);
        if after == before {
            return (before, result, true);
        }
        (before, result) = (after, read());
    }
    let is_steady = Fingerprint::of(paths) == before;
    (before, result, is_steady)
}

/// Distinguishes a complete change from one in progress.
#[derive(Debug)]
struct Quiet {
    /// The content at the last reading.
    read: Fingerprint,
    /// A different content.
    changed: Option<Changed>,
}

#[derive(Debug)]
struct Changed {
    seen: Fingerprint,
    /// The time since which it has stayed the same.
    since: Instant,
    /// The time of the first change since the last reading.
    first: Instant,
}

impl Quiet {
    fn new(read: Fingerprint) -> Self {
        Self { read, changed: None }
    }

    /// Whether `seen` must be read: it differs from the last reading and has not changed for [`QUIET`], or has changed for [`LONGEST`].
    fn check(&mut self, seen: Fingerprint, now: Instant) -> bool {
        if seen == self.read {
            self.changed = None;
            return false;
        }
        let changed = self.changed.get_or_insert_with(|| Changed { seen: seen.clone(), since: now, first: now });
        if changed.seen != seen {
            (changed.seen, changed.since) = (seen, now);
        }
        now >= changed.due()
    }

    fn due(&self) -> Option<Instant> {
        self.changed.as_ref().map(Changed::due)
    }
}

impl Changed {
    fn due(&self) -> Instant {
        (self.since + QUIET).min(self.first + LONGEST)
    }
}

/// Files to watch.
pub(crate) struct Watch {
    subjects: Vec<Subject>,
    reload: Reload,
    messages: Receiver<Message>,
}

/// A watching thread, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watching(Reload);

/// Requests an immediate reading of all watched files, changed or not.
#[derive(Debug, Clone)]
pub struct Reload(Sender<Message>);

impl Reload {
    /// Returns at once; the log has the outcome.
    pub fn now(&self) {
        // The thread ends only with the sidecar.
        let _ = self.0.send(Message::Reload);
    }
}

#[derive(Debug)]
enum Message {
    Event,
    Reload,
    End,
}

impl Watch {
    /// Makes a watcher, which does nothing before [`start`](Self::start).
    #[must_use]
    pub(crate) fn new(subjects: Vec<Subject>) -> Self {
        let (send, messages) = mpsc::channel();
        Self { subjects, reload: Reload(send), messages }
    }

    /// The handle that requests a reading, once the thread runs.
    #[must_use]
    pub(crate) fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Starts the thread.
    pub(crate) fn start(self) -> Watching {
        let Self { subjects, reload, messages } = self;
        let events = reload.0.clone();
        let thread = thread::Builder::new().name("files".to_owned());
        if let Err(error) = thread.spawn(move || watch(subjects, &messages, events)) {
            tracing::error!(
                %error,
                "no thread to watch files: a changed file needs a restart; raise the limit of processes (nproc, podPidsLimit)"
            );
        }
        Watching(reload)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.0.send(Message::End);
    }
}

fn watch(mut subjects: Vec<Subject>, messages: &Receiver<Message>, events: Sender<Message>) {
    super::NEVER_WAITS.set(true);
    let mut directories = Directories::new(events);
    let mut poll = Instant::now();
    let mut look = poll;
    loop {
        let now = Instant::now();
        if now >= poll {
            directories.watch(&subjects);
            poll = now + POLL;
        }
        if now >= look {
            // Changes up to here are seen; one that comes later announces itself.
            let event = directories.announced.swap(false, Ordering::AcqRel);
            for subject in &mut subjects {
                subject.check(now, event);
            }
            look = poll;
        }
        let due = subjects.iter().filter_map(|subject| subject.quiet.due()).min();
        look = due.map_or(look, |due| look.min(due)).min(poll);
        match messages.recv_timeout(look.saturating_duration_since(Instant::now())) {
            // The events of a busy directory wake this thread once, until the check.
            Ok(Message::Event) => look = look.min(Instant::now() + SETTLE),
            Ok(Message::Reload) => {
                // Signals in the queue request the same reading.
                if messages.try_iter().any(|message| matches!(message, Message::End)) {
                    return;
                }
                directories.announced.store(false, Ordering::Release);
                tracing::info!("files are read again");
                subjects.iter_mut().for_each(Subject::read);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The directories of the files, and the system's events for them.
struct Directories {
    watcher: Option<RecommendedWatcher>,
    /// The watched ones. One that was deleted and made again is another.
    watched: BTreeMap<PathBuf, Identity>,
    /// Whether an event has been sent since the last check; one is enough.
    announced: Arc<AtomicBool>,
    /// Whether the log has the limit of watched directories.
    is_limit_logged: bool,
}

impl Directories {
    fn new(events: Sender<Message>) -> Self {
        let announced = Arc::new(AtomicBool::new(false));
        let is_announced = Arc::clone(&announced);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own reads also cause events.
            let is_change = event.is_ok_and(
                |event| !matches!(event.kind, EventKind::Access(kind) if !matches!(kind, AccessKind::Close(_))),
            );
            if is_change && !is_announced.swap(true, Ordering::AcqRel) {
                let _ = events.send(Message::Event);
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "no events about files: they are looked at every 5 s");
            })
            .ok();
        Self { watcher, watched: BTreeMap::new(), announced, is_limit_logged: false }
    }

    /// Watches each directory that is not watched yet. One that is missing is watched once it exists; until then the poll checks the files.
    fn watch(&mut self, subjects: &[Subject]) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut directories = BTreeSet::new();
        for path in subjects.iter().flat_map(|subject| &subject.paths) {
            directories.insert(directory(path));
            // The file may be a link to elsewhere.
            directories.extend(path.canonicalize().ok().as_deref().map(directory));
        }
        // Kubernetes makes a new directory for each version of a mount.
        self.watched.retain(|path, _| directories.contains(path));
        for directory in directories {
            let Some(identity) = identity(&directory) else {
                self.watched.remove(&directory);
                continue;
            };
            if self.watched.get(&directory) == Some(&identity) {
                continue;
            }
            match watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(directory, identity)),
                Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) && !self.is_limit_logged => {
                    self.is_limit_logged = true;
                    tracing::warn!(%error, "no events about files: they are looked at every 5 s");
                }
                Err(_) => {}
            }
        }
    }
}

/// Device, inode and time of creation, because a new directory may get the inode of a deleted one.
type Identity = (u64, u64, Option<SystemTime>);

#[cfg(unix)]
fn identity(directory: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;

    let directory = std::fs::metadata(directory).ok()?;
    Some((directory.dev(), directory.ino(), directory.created().ok()))
}

#[cfg(not(unix))]
fn identity(directory: &Path) -> Option<Identity> {
    Some((0, 0, std::fs::metadata(directory).ok()?.created().ok()))
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests;
