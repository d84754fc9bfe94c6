//! Files that other programs wait for. They appear whole or not at all, and never at the target of a symbolic link.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rand::Rng as _;

/// Writes `content` to a new file with a random name next to `path` (`O_EXCL`), then renames it.
///
/// Neither step follows a symbolic link, so another user of a shared directory cannot redirect the write. Anything at `path` other than a
/// regular file is an error, because the new file would replace a device or a pipe for every program of the machine.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("exists and is not a regular file"));
    }
    let unfinished = path.with_file_name(format!(".wonder-signer-{:016x}", rand::thread_rng().r#gen::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&unfinished)?;
    let written = file.write_all(content).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn replaces_a_file_whole_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ready.json");
        fs::write(&path, "old and longer").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn follows_no_link_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("ready.json"), directory.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        for target in [&victim, &directory.path().join("nowhere"), &"/dev/null".into()] {
            symlink(target, &path).unwrap();
            assert!(write(&path, b"new").is_err());
            assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
