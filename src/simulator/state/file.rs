//! The state file: a redb database, opened with every checksum verified.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
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
/// The most memory for pages of the file, in bytes. All rows are in memory anyway.
const CACHE: usize = 2 * 1024 * 1024;

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
    #[error("cannot be opened for reading and writing: {0}")]
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
    #[error("{0}")]
    Io(io::Error),
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
        // It contains the webhook key and personal data of customers.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(StateError::Open)?;
        let is_new = file.metadata().map_err(StateError::Open)?.len() == 0;
        let state = Self { database: Mutex::default(), file };
        let format = state.with(|database| {
            if is_new {
                let transaction = database.begin_write()?;
                transaction.open_table(META)?.insert("format", FORMAT.as_bytes())?;
                transaction.commit()?;
                return Ok(Some(FORMAT.to_owned()));
            }
            meta(database, "format").map(|format| format.map(|format| String::from_utf8_lossy(&format).into_owned()))
        })?;
        match format {
            Some(format) if format == FORMAT => Ok(state),
            Some(format) => Err(StateError::Format(format!("format {format}, and not {FORMAT}"))),
            None => Err(StateError::Foreign),
        }
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
