//! A key made once; every way in which a unit's files can be wrong.

use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use super::*;
use crate::{
    config::{AppIdSource, KeySource, LogLevel, Secret},
    metrics::Metrics,
    signing::SigningKey,
    telemetry::{self, Style},
};

const APP_ID: &str = "0a1b2c3d-0000-4000-8000-00000000000f";

static PEM: LazyLock<String> =
    LazyLock::new(|| SigningKey::generate(&mut rand::rngs::OsRng, 2048).unwrap().1.to_string());

/// A unit of the credential `default`. Units differ in their AppID; one key is enough.
pub(super) fn numbered(unit: UnitName, number: usize) -> Arc<Entry> {
    let app_id = format!("00000000-0000-4000-8000-{number:012}").parse().unwrap();
    let sources = UnitConfig {
        app_id: AppIdSource::Value(app_id),
        ..sources(KeySource::Inline(Secret::new(PEM.clone().into())))
    };
    Arc::new(Entry::read("default", unit, &sources, &Arc::new(Permits::new(1, Duration::ZERO))).unwrap())
}

/// The number of such a unit.
pub(super) fn number(entry: &Entry) -> usize {
    entry.app_id.as_str()[24..].parse().unwrap()
}

fn sources(private_key: KeySource) -> UnitConfig {
    let app_id = AppIdSource::Value(APP_ID.parse().unwrap());
    UnitConfig { app_id, private_key, passphrase_file: None, webhook_public_key: None }
}

fn read(sources: &UnitConfig) -> Result<Entry, UnitError> {
    Entry::read("default", UnitName::Main, sources, &Arc::new(Permits::new(1, Duration::ZERO)))
}

fn read_file(path: &Path) -> Result<Entry, UnitError> {
    read(&sources(KeySource::File(path.to_owned())))
}

fn read_inline(text: &str) -> Result<Entry, UnitError> {
    read(&sources(KeySource::Inline(Secret::new(text.to_owned().into()))))
}

#[test]
fn a_store_has_each_name_and_the_entry_that_was_put_last() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    fs::write(&path, &*PEM).unwrap();
    let names = ["default".to_owned(), "shop".to_owned()];
    let store = Store::new(&names, Metrics::new(&[]));
    assert_eq!(store.get("other").unwrap_err(), NoEntry::Unknown);
    assert_eq!(store.get("default").unwrap_err(), NoEntry::NoKey);
    let from_file = Arc::new(read_file(&path).unwrap());
    assert_eq!((from_file.name.as_str(), from_file.app_id.as_str()), ("default", APP_ID));
    store.put(Arc::clone(&from_file));
    assert!(!store.is_usable(), "the other one has no key");
    store.put(Arc::new(Entry { name: "shop".to_owned(), ..read_file(&path).unwrap() }));
    assert!(store.is_usable());
    let taken = store.get("default").unwrap();
    let inline = read_inline(&PEM).unwrap();
    assert_eq!(format!("{from_file:?}"), format!("{inline:?}"));
    store.put(Arc::new(inline));
    assert!(Arc::ptr_eq(&taken, &from_file), "a request keeps the entry that it has taken");
    assert!(!Arc::ptr_eq(&store.get("default").unwrap(), &from_file));
    assert_eq!(store.entries().len(), 2);
}

#[test]
fn says_which_file_is_wrong_and_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    let at = format!("credentials.default.private_key_file {}", path.display());
    assert_eq!(
        read_file(&path).unwrap_err().to_string(),
        format!("{at}: cannot be read: No such file or directory (os error 2); create it, or correct its path")
    );
    for (content, reason) in [
        (String::new(), "is empty; copy the key into it"),
        ("MARKER".to_owned(), "holds no PEM block (no \"-----BEGIN\" line); copy the whole PEM file of the key"),
        (PEM[..200].to_owned(), "is cut short: the PEM block has no \"-----END\" line; copy the whole file"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMARKER\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned(),
            "is encrypted with a passphrase; give that in a file (private_key_passphrase_file, --passphrase-file), or decrypt the key (openssl pkey -in key.pem -out plain.pem)",
        ),
        ("MARKER".repeat(11_000), "is larger than 64 KiB; name the right file"),
    ] {
        fs::write(&path, content).unwrap();
        let error = read_file(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("{at}: {reason}"));
        assert!(!format!("{error:?}").contains("MARKER"));
    }
    assert_eq!(
        read_file(directory.path()).unwrap_err().to_string(),
        format!(
            "credentials.default.private_key_file {}: is a directory, a file is needed; name the file in it",
            directory.path().display()
        )
    );
}

#[test]
fn an_app_id_file_and_a_webhook_key_belong_to_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let [app_id, webhook] = ["app_id", "webhook.pem"].map(|name| directory.path().join(name));
    let mut sources = sources(KeySource::Inline(Secret::new(PEM.clone().into())));
    sources.app_id = AppIdSource::File(app_id.clone());
    sources.webhook_public_key = Some(KeySource::File(webhook.clone()));
    let (of_wonder, _) = SigningKey::generate(&mut rand::rngs::OsRng, 2048).unwrap();
    let public = of_wonder.verifying_key();
    fs::write(&webhook, public.to_pem().unwrap()).unwrap();
    fs::write(&app_id, format!("\u{feff}{APP_ID}\r\n")).unwrap();
    let entry = read(&sources).unwrap();
    assert_eq!(entry.app_id.as_str(), APP_ID);
    assert_eq!(entry.webhook_key.as_ref().unwrap().fingerprint(), public.fingerprint());
    for (content, reason) in [
        (&b" \n"[..], "holds no AppID: it is empty; copy the AppID from Wonder's portal into it"),
        (b"\xff", "holds no AppID: it is not UTF-8 text; copy the AppID from Wonder's portal into it"),
        (b"MARKER", "the AppID is not a UUID (8-4-4-4-12 hex digits); copy it from Wonder's portal"),
        (&[b'1'; 5000], "is larger than 4 KiB; name the right file"),
    ] {
        fs::write(&app_id, content).unwrap();
        let expected = format!("credentials.default.app_id_file {}: {reason}", app_id.display());
        assert_eq!(read(&sources).unwrap_err().to_string(), expected);
    }
    fs::write(&app_id, APP_ID).unwrap();
    fs::write(&webhook, &*PEM).unwrap();
    let error = read(&sources).unwrap_err().to_string();
    let at = format!("credentials.default.webhook_public_key_file {}: ", webhook.display());
    assert!(error.starts_with(&at) && error.contains("is a private key"), "{error}");
}

#[test]
fn says_what_is_wrong_with_an_inline_key_without_repeating_it() {
    let error = read_inline("-----BEGIN PRIVATE KEY-----\nMARKER\n-----END PRIVATE KEY-----").unwrap_err();
    assert_eq!(
        error.to_string(),
        "credentials.default.private_key (from the environment): is damaged: the PEM block cannot be decoded; copy the original file as a whole, because an editor may add invisible characters"
    );
    assert!(!format!("{error:?}").contains("MARKER"));
}

/// Log lines as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
#[test]
fn warns_of_a_key_file_that_everyone_can_read_and_of_no_other() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_alone, _second) = (telemetry::tests::alone(), telemetry::tests::second());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    fs::write(&path, &*PEM).unwrap();
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let lines = Lines::default();
        let written = lines.clone();
        let write = move |line: &[u8]| written.0.lock().unwrap().extend_from_slice(line);
        let (subscriber, _) = telemetry::subscriber(LogLevel::Warn, Style::Json, std::time::SystemTime::now, write);
        tracing::subscriber::with_default(subscriber, || read_file(&path)).unwrap();
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.contains("warn") && text.contains("readable by everyone"), warned, "{mode:o}: {text}");
    }
}
