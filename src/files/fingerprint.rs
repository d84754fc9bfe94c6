//! A hash for comparing the content of files. It is never logged, because a guess of a short secret, such as a passphrase, could be
//! checked against it.

use std::{
    fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The maximum size of a watched file; the reader rejects a longer one.
const CAP: u64 = 4 * 1024 * 1024;

/// The content of several files, or the reason why one has none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The current fingerprint of `paths`.
    #[must_use]
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        let mut whole = Sha256::new();
        for path in paths {
            match content(path) {
                Ok(Some(digest)) => whole.update(digest),
                // A pipe has no content to compare, and reading would consume it.
                Ok(None) => whole.update(b"no regular file"),
                Err(error) => whole.update(format!("{:?}", error.kind())),
            }
            whole.update([0]);
        }
        Self(whole.finalize().into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

fn content(path: &Path) -> io::Result<Option<[u8; 32]>> {
    // Checked before the open, because opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = super::open_at_once(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut file = file.take(CAP);
    let mut digest = Sha256::new();
    let mut piece = Zeroizing::new([0; 8192]);
    loop {
        match file.read(&mut piece[..]) {
            Ok(0) => return Ok(Some(digest.finalize().into())),
            Ok(length) => digest.update(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn differs_with_content_and_kind_and_never_with_times() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
        let of = || Fingerprint::of(&[one.clone(), two.clone()]);
        let missing = of();
        fs::write(&one, "a").unwrap();
        fs::write(&two, "b").unwrap();
        let both = of();
        assert_ne!(missing, both);
        fs::remove_file(&one).unwrap();
        fs::write(&one, "a").unwrap();
        assert_eq!(both, of());
        fs::write(&one, "ab").unwrap();
        fs::write(&two, "").unwrap();
        assert_ne!(both, of(), "the boundary between files counts");
        fs::remove_file(&two).unwrap();
        fs::create_dir(&two).unwrap();
        assert_ne!(missing, of());
        assert_eq!(format!("{:?}", of()), "Fingerprint(..)");
    }
}
