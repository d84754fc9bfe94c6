//! What the system reports about files without opening them: a cheap sign that their content is the same.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The coarsest steps in which file systems keep times are 2 s. A file can change twice within a step and show one time.
const STEP: Duration = Duration::from_secs(3);

/// The state of several files. While it stays the same, no file was replaced or written: a program can set the time of modification, but
/// not that of the last change of the file's state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Result<State, io::ErrorKind>>);

/// Device, inode, size, and both times in seconds and nanoseconds.
type State = (u64, u64, u64, [i64; 4]);

impl Stamp {
    /// The state of `paths`. `None` if it says nothing, because a file changed just now or the system has no such state.
    pub(super) fn of(paths: &[PathBuf], now: SystemTime) -> Option<Self> {
        let settled = now.checked_sub(STEP)?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let mut states = Vec::with_capacity(paths.len());
        for path in paths {
            let state = state(path)?;
            if let Ok((.., [modified, _, changed, _])) = state
                && u64::try_from(modified.max(changed)).is_ok_and(|last| last >= settled)
            {
                return None;
            }
            states.push(state);
        }
        Some(Self(states))
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn state(path: &Path) -> Option<Result<State, io::ErrorKind>> {
    use std::os::unix::fs::MetadataExt as _;

    let state = |file: std::fs::Metadata| {
        (file.dev(), file.ino(), file.size(), [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
    };
    Some(std::fs::metadata(path).map(state).map_err(|error| error.kind()))
}

#[cfg(not(unix))]
fn state(_: &Path) -> Option<Result<State, io::ErrorKind>> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn differs_after_every_change_even_with_the_same_size_and_time() {
        let directory = tempfile::tempdir().unwrap();
        let [path, other, link] = ["file", "other", "link"].map(|name| directory.path().join(name));
        fs::write(&path, "one").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let paths = [link.clone()];
        let later = SystemTime::now() + Duration::from_hours(1);
        let of = || Stamp::of(&paths, later).unwrap();
        let first = of();
        assert_eq!(of(), first);

        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(Stamp::of(&paths, modified + Duration::from_secs(1)), None, "it was written just now");
        // The clock of the file system advances in steps.
        while of() == first {
            fs::write(&path, "two").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);

        let second = of();
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &path).unwrap();
        let third = of();
        assert_ne!(third, second);
        fs::remove_file(&path).unwrap();
        assert_ne!(of(), third);
        fs::write(&other, "two").unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert_ne!(of(), third);
    }
}
