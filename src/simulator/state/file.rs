//! The state file: a redb database, opened with every checksum verified.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, PoisonError},
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError, TableDefinition,
    backends::FileBackend,
};
use zeroize::Zeroizing;

use super::{Batch, Stored};
use crate::signing::{AppId, SigningKey};

const CUSTOMERS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("customers");
const TOKENS: TableDefinition<'static, u128, &[u8]> = TableDefinition::new("tokens");
const ORDERS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("orders");
const DELIVERIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("deliveries");
/// `format`, `counters`, and `webhook_key/<AppID>`.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

/// The format of rows. A change that an older version cannot read has another number.
const FORMAT: &str = "1";
/// The file has the webhook key, and what customers entered.
const MODE: u32 = 0o600;
/// The most memory for pages of the file, in bytes. All rows are in memory anyway.
const CACHE: usize = 512 * 1024;

/// An open state file. No other process can open it.
pub struct StateFile {
    /// `None` after a failed commit, because redb must then open the file again.
    database: Mutex<Option<Database>>,
    /// The same file for opening it again, even if another file has its name by then.
    file: File,
}

/// Why a state file cannot be used. The file is not changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A directory, a device or a pipe.
    #[error("is not a regular file; name a file")]
    NotAFile,
    /// The system's reason.
    #[error("cannot be opened for reading and writing: {0}; {remedy}", remedy = remedy(.0))]
    Open(io::Error),
    /// Another process has it open.
    #[error("is in use by another process; stop the other simulator, or name another file")]
    InUse,
    /// Another kind of file.
    #[error("is not a state file; name another file, because it would be overwritten")]
    Foreign,
    /// The format of another version.
    #[error("has another format than this version reads ({0}); use the version that wrote it, or name another file")]
    Format(String),
    /// Its content is inconsistent.
    #[error("is damaged ({0}); it was not used: restore a copy of it, or name another file and start anew")]
    Damaged(String),
    /// Reading or writing failed.
    #[error("cannot be read or written: {0}; {remedy}", remedy = remedy(.0))]
    Io(io::Error),
}

/// What to do about the system's reason.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "create its directory, or name another file",
        io::ErrorKind::PermissionDenied => {
            "give the user of this process write access to the file, and to its directory where the file is new"
        }
        io::ErrorKind::ReadOnlyFilesystem => "name a file on a writable volume",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room on the disk, or name a file on another one"
        }
        _ => "name another file",
    }
}

impl StateFile {
    /// Opens a file, or creates it.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(StateError::NotAFile);
        }
        if matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            create(path)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path);
        let file = file.map_err(StateError::Open)?;
        if file.metadata().map_err(StateError::Open)?.len() == 0 {
            let state = Self { database: Mutex::default(), file };
            return match state.begin() {
                Ok(()) => Ok(state),
                Err(error) => {
                    // What is written of it would be no state file.
                    let _ = state.file.set_len(0);
                    Err(error)
                }
            };
        }
        let state = Self { database: Mutex::default(), file };
        let format = state.with(|database| meta(database, "format"))?;
        match format.as_deref().map(String::from_utf8_lossy) {
            Some(format) if format == FORMAT => Ok(state),
            Some(format) => Err(StateError::Format(format!("format {format}, and not {FORMAT}"))),
            None => Err(StateError::Foreign),
        }
    }

    /// Writes the format into an empty file.
    fn begin(&self) -> Result<(), StateError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert("format", FORMAT.as_bytes())?;
            Ok(transaction.commit()?)
        })
    }

    /// The stored webhook key of an AppID.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn webhook_key(&self, app_id: &AppId) -> Result<Option<SigningKey>, StateError> {
        let pem = self.with(|database| meta(database, &key_name(app_id)))?.map(Zeroizing::new);
        let key = pem.map(|pem| SigningKey::from_pem(&pem)).transpose();
        key.map_err(|error| StateError::Damaged(format!("webhook key: {error}")))
    }

    /// Stores a new webhook key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep_webhook_key(&self, app_id: &AppId, pem: &str) -> Result<(), StateError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert(&key_name(app_id)[..], pem.as_bytes())?;
            Ok(transaction.commit()?)
        })
    }

    /// Calls `take` with every row; returns whether there were any.
    pub(crate) fn load(
        &self,
        mut take: impl FnMut(Stored<'_>) -> Result<(), serde_json::Error>,
    ) -> Result<bool, StateError> {
        let wrong = |table: &str, key: &dyn std::fmt::Display, error: serde_json::Error| {
            redb::Error::Corrupted(format!("{table} {key}: {error}"))
        };
        self.with(|database| {
            let transaction = database.begin_read()?;
            let Some(counters) = meta(database, "counters")? else { return Ok(false) };
            let counters = serde_json::from_slice(&counters).and_then(|counters| take(Stored::Counters(counters)));
            counters.map_err(|error| wrong("meta", &"counters", error))?;
            for row in transaction.open_table(TOKENS)?.iter()? {
                let (key, row) = row?;
                let taken = take(Stored::Token(row.value()));
                taken.map_err(|error| wrong("tokens", &uuid::Uuid::from_u128(key.value()), error))?;
            }
            for row in transaction.open_table(CUSTOMERS)?.iter()? {
                let (key, row) = row?;
                let taken = take(Stored::Customer(key.value(), row.value()));
                taken.map_err(|error| wrong("customers", &key.value(), error))?;
            }
            for row in transaction.open_table(ORDERS)?.iter()? {
                let (key, row) = row?;
                take(Stored::Order(row.value())).map_err(|error| wrong("orders", &key.value(), error))?;
            }
            for row in transaction.open_table(DELIVERIES)?.iter()? {
                let (key, row) = row?;
                take(Stored::Delivery(row.value())).map_err(|error| wrong("deliveries", &key.value(), error))?;
            }
            Ok(true)
        })
    }

    /// Writes a batch atomically; it is on the disk when this returns.
    pub(super) fn commit(&self, batch: &Batch) -> Result<(), StateError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(CUSTOMERS)?;
                for (key, row) in &batch.customers {
                    match row {
                        Some(row) => table.insert(key, &row.0[..])?,
                        None => table.remove(key)?,
                    };
                }
                let mut table = transaction.open_table(TOKENS)?;
                for (key, row) in &batch.tokens {
                    match row {
                        Some(row) => table.insert(key.as_u128(), &row.0[..])?,
                        None => table.remove(key.as_u128())?,
                    };
                }
                let mut table = transaction.open_table(ORDERS)?;
                for (key, row) in &batch.orders {
                    match row {
                        Some(row) => table.insert(key, &row.0[..])?,
                        None => table.remove(key)?,
                    };
                }
                let mut table = transaction.open_table(DELIVERIES)?;
                for (key, row) in &batch.deliveries {
                    match row {
                        Some(row) => table.insert(key, &row.0[..])?,
                        None => table.remove(key)?,
                    };
                }
                let mut table = transaction.open_table(META)?;
                table.insert("counters", &serde_json::to_vec(&batch.counters).unwrap_or_default()[..])?;
                for (app_id, pem) in &batch.keys {
                    table.insert(&key_name(app_id)[..], pem.as_bytes())?;
                }
            }
            Ok(transaction.commit()?)
        })
    }

    /// Calls `work` with the database. After a failure, the next call opens it again, as redb requires.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StateError> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        // redb promises errors for a damaged file, and not panics. If it panics nevertheless, the simulator must not end.
        let done = catch_unwind(AssertUnwindSafe(|| {
            let opened = match database.take() {
                Some(opened) => opened,
                None => open(&self.file)?,
            };
            let done = work(&opened).map_err(refusal)?;
            Ok((done, opened))
        }));
        let (done, opened) = done.unwrap_or_else(|_| Err(StateError::Damaged("it cannot be read".to_owned())))?;
        *database = Some(opened);
        Ok(done)
    }
}

/// Creates a state file under another name, and renames it when it is whole, so that a crash leaves no part of one.
fn create(path: &Path) -> Result<(), StateError> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // `tempfile` adds the name of the file to its error, which the user did not give.
    let made = tempfile::Builder::new()
        .prefix(".wonder-state-")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(directory);
    let (file, made) = made.map_err(|error| StateError::Open(error.kind().into()))?.into_parts();
    let state = StateFile { database: Mutex::default(), file };
    state.begin()?;
    drop(state);
    match made.persist_noclobber(path) {
        Ok(()) => {}
        // Another simulator has created it in the meantime.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(StateError::Open(error.error)),
    }
    // The name is on the disk too.
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(StateError::Open)
}

fn open(file: &File) -> Result<Database, StateError> {
    let backend = file.try_clone().and_then(|file| FileBackend::new(file).map_err(io::Error::other));
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    builder.create_with_backend(backend.map_err(StateError::Open)?).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => StateError::InUse,
        DatabaseError::UpgradeRequired(version) => StateError::Format(format!("file format {version}")),
        DatabaseError::Storage(error) => storage(error),
        error => StateError::Damaged(error.to_string()),
    })
}

fn storage(error: StorageError) -> StateError {
    match error {
        StorageError::Io(error) if error.kind() == io::ErrorKind::InvalidData => StateError::Foreign,
        // A file that ends too early.
        StorageError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            StateError::Damaged("it ends too early".to_owned())
        }
        StorageError::Io(error) => StateError::Io(error),
        StorageError::Corrupted(what) => StateError::Damaged(what),
        error => StateError::Damaged(error.to_string()),
    }
}

fn refusal(error: redb::Error) -> StateError {
    match error {
        redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_) => StateError::Foreign,
        redb::Error::Io(error) => storage(StorageError::Io(error)),
        redb::Error::Corrupted(what) => StateError::Damaged(what),
        error => StateError::Damaged(error.to_string()),
    }
}

fn meta(database: &Database, name: &str) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = match database.begin_read()?.open_table(META) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        table => table?,
    };
    Ok(table.get(name)?.map(|value| value.value().to_vec()))
}

fn key_name(app_id: &AppId) -> String {
    format!("webhook_key/{}", app_id.as_str().to_ascii_lowercase())
}
