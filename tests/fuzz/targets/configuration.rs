//! Configuration text, as a file and as environment variables: the result is a checked configuration or a one-line error.

#![no_main]

use std::{cell::RefCell, ffi::OsString, io::Write as _, path::PathBuf};

use libfuzzer_sys::fuzz_target;
use wonder_signer::config::{Config, Flags, ListenAddress};

thread_local! {
    static FILE: RefCell<tempfile::NamedTempFile> = RefCell::new(
        // In memory (`/dev/shm`) if possible, because every input writes the file.
        tempfile::NamedTempFile::new_in(if PathBuf::from("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap(),
    );
}

fuzz_target!(|text: &[u8]| {
    // The input must not name files of this machine.
    if text.windows(4).any(|window| window == b"file") {
        return;
    }
    FILE.with_borrow_mut(|file| {
        std::fs::write(file.path(), text).unwrap();
        file.flush().unwrap();
        check(Config::load(&[file.path().to_owned()], [], &Flags::default()));
    });
    let variables: Vec<(OsString, OsString)> = String::from_utf8_lossy(text)
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("WONDER_SIGNER_{}", name.trim()).into(), value.trim().into()))
        .collect();
    check(Config::load(&[], variables, &Flags::default()));
});

fn check<E: std::fmt::Display>(outcome: Result<Config, E>) {
    match outcome {
        Ok(config) => {
            let loopback = config.listen.addresses.iter().all(ListenAddress::is_local);
            assert!(loopback || config.listen.dangerous_allow_non_loopback);
            assert!((1..=64 << 20).contains(&config.limits.body));
            // An origin is https or loopback.
            let origin = &config.upstream.origin;
            assert!(origin.scheme_is_tls() || ["localhost", "127.", "[::1]"].iter().any(|own| origin.host().starts_with(own)));
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains(['\n', '\r']), "{error:?}");
        }
    }
}
