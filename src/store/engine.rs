//! redb, behind plain words.
//!
//! Every commit has quick-repair (which implies two phases): a crash costs no
//! walk through the file, and a torn commit cannot be taken for a whole one.
//! One-phase commits are never mixed in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Bound, Deref};
use std::sync::Arc;

use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, StorageError, Table, TableDefinition, TableError, TableHandle,
    WriteTransaction,
};

use super::tx::Order;

/// redb's own cache would grow to 1 GiB.
pub const CACHE_BYTES: usize = 16 * 1024 * 1024;

type Bytes = Vec<u8>;
type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;
type ReadTable = ReadOnlyTable<&'static [u8], &'static [u8]>;
type OpenTable<'t> = Table<'t, &'static [u8], &'static [u8]>;
type Bounds = (Bound<Bytes>, Bound<Bytes>);

/// What the engine says when it cannot.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The disk or the file system failed; the handle is of no more use.
    #[error("{0}")]
    Storage(String),
    /// The file holds what the engine would not have written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl From<redb::Error> for EngineError {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(why) => EngineError::Damaged(why),
            other => EngineError::Storage(other.to_string()),
        }
    }
}

fn error(error: impl Into<redb::Error>) -> EngineError {
    EngineError::from(error.into())
}

/// How the file is opened, also again after an error; `thorough` asks for the
/// check of every page.
pub type Opener = Box<dyn Fn(bool) -> Result<Database, DatabaseError> + Send>;

/// redb with our settings.
pub fn builder(thorough: bool) -> redb::Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(thorough);
    builder
}

/// Whether the database could not be opened because another process has it.
pub fn is_in_use(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::DatabaseAlreadyOpen)
}

/// Whether opening failed because of the disk rather than the contents.
pub fn is_io(error: &DatabaseError) -> bool {
    matches!(
        error,
        DatabaseError::Storage(
            StorageError::Io(_) | StorageError::Backend(_) | StorageError::PreviousIo
        )
    )
}

/// The file while it is open. Knows whether somebody still holds a view of it.
pub struct Opened {
    database: Database,
    views: Arc<()>,
}

impl Opened {
    /// What was opened, and nobody has looked at yet.
    pub fn new(database: Database) -> Self {
        Opened {
            database,
            views: Arc::default(),
        }
    }

    /// What is committed now.
    pub fn view(&self) -> Result<View, EngineError> {
        Ok(View {
            transaction: self.database.begin_read().map_err(error)?,
            _held: self.views.clone(),
        })
    }

    /// Whether a view of it is held.
    pub fn is_viewed(&self) -> bool {
        Arc::strong_count(&self.views) > 1
    }

    /// Releases the file at once. Views that are still held see no more of it.
    pub fn close(self) -> Result<(), DatabaseError> {
        self.database.close()
    }
}

impl Deref for Opened {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// What was committed at one moment.
pub struct View {
    transaction: ReadTransaction,
    _held: Arc<()>,
}

impl Deref for View {
    type Target = ReadTransaction;

    fn deref(&self) -> &ReadTransaction {
        &self.transaction
    }
}

/// A consistent view for reading, which opens each table once.
pub struct Snapshot {
    transaction: View,
    /// `None` for a table that was not there yet.
    tables: RefCell<HashMap<String, Option<ReadTable>>>,
}

impl Snapshot {
    /// The view of what is committed now.
    pub fn take(opened: &Opened) -> Result<Self, EngineError> {
        Ok(Snapshot {
            transaction: opened.view()?,
            tables: RefCell::default(),
        })
    }

    fn with<T: Default>(
        &self,
        name: &str,
        work: impl FnOnce(&ReadTable) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut tables = self.tables.borrow_mut();
        if !tables.contains_key(name) {
            let table = match self.transaction.open_table(Definition::new(name)) {
                Ok(table) => Some(table),
                Err(TableError::TableDoesNotExist(_)) => None,
                Err(e) => return Err(error(e)),
            };
            tables.insert(name.to_owned(), table);
        }
        match tables.get(name) {
            Some(Some(table)) => work(table),
            _ => Ok(T::default()),
        }
    }

    /// The value under `key`.
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.with(table, |table| get(table, key))
    }

    /// At most `limit` pairs within `bounds`.
    pub fn range(
        &self,
        table: &str,
        bounds: &Bounds,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.with(table, |table| range(table, bounds, order, limit))
    }
}

/// The names of all tables that hold rows of ours, or of the store's own.
pub fn tables(database: &Database) -> Result<Vec<String>, EngineError> {
    let transaction = database.begin_read().map_err(error)?;
    let tables = transaction.list_tables().map_err(error)?;
    Ok(tables.map(|table| table.name().to_owned()).collect())
}

/// Begins the engine's write transaction, in the one mode that we use.
pub fn begin(database: &Database) -> Result<WriteTransaction, EngineError> {
    let mut transaction = database.begin_write().map_err(error)?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Makes the transaction durable.
pub fn commit(transaction: WriteTransaction) -> Result<(), EngineError> {
    transaction.commit().map_err(error)
}

/// Forgets the transaction.
pub fn abort(transaction: WriteTransaction) -> Result<(), EngineError> {
    transaction.abort().map_err(error)
}

/// Finds out whether the disk takes what is written: a commit that needs room, and one that frees it again.
pub fn probe(database: &Database) -> Result<(), EngineError> {
    const ROOM: usize = 256 * 1024;
    let definition: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("probe");
    let transaction = begin(database)?;
    transaction
        .open_table(definition)
        .map_err(error)?
        .insert("room", vec![0u8; ROOM].as_slice())
        .map_err(error)?;
    commit(transaction)?;
    let transaction = begin(database)?;
    transaction.delete_table(definition).map_err(error)?;
    commit(transaction)
}

/// The open tables of one write transaction, in which many of ours gather.
pub struct Batch<'t> {
    transaction: &'t WriteTransaction,
    tables: RefCell<HashMap<String, OpenTable<'t>>>,
}

impl<'t> Batch<'t> {
    /// Over the engine's transaction.
    pub fn new(transaction: &'t WriteTransaction) -> Self {
        Batch {
            transaction,
            tables: RefCell::default(),
        }
    }

    fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut OpenTable<'t>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut tables = self.tables.borrow_mut();
        if let Some(table) = tables.get_mut(name) {
            return work(table);
        }
        let table = self
            .transaction
            .open_table(Definition::new(name))
            .map_err(error)?;
        work(tables.entry(name.to_owned()).or_insert(table))
    }
}

/// What a transaction of ours needs of the engine's.
pub trait Tables {
    /// The value under `key`, with what this batch has applied.
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, EngineError>;
    /// At most `limit` pairs within `bounds`.
    fn range(
        &self,
        table: &str,
        bounds: &Bounds,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError>;
    /// The largest key.
    fn last_key(&self, table: &str) -> Result<Option<Bytes>, EngineError>;
    /// How many rows there are.
    fn count(&self, table: &str) -> Result<u64, EngineError>;
    /// At most `limit` keys whose first eight bytes are a number up to `latest`.
    fn expired(&self, table: &str, latest: u64, limit: usize) -> Result<Vec<Bytes>, EngineError>;
    /// Puts or removes one value.
    fn apply(&self, table: &str, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError>;
}

impl Tables for Batch<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.with(table, |table| get(table, key))
    }

    fn range(
        &self,
        table: &str,
        bounds: &Bounds,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.with(table, |table| range(table, bounds, order, limit))
    }

    fn last_key(&self, table: &str) -> Result<Option<Bytes>, EngineError> {
        self.with(table, |table| {
            Ok(table
                .last()
                .map_err(error)?
                .map(|(key, _)| key.value().to_vec()))
        })
    }

    fn count(&self, table: &str) -> Result<u64, EngineError> {
        self.with(table, |table| table.len().map_err(error))
    }

    fn expired(&self, table: &str, latest: u64, limit: usize) -> Result<Vec<Bytes>, EngineError> {
        let end = latest.saturating_add(1).to_be_bytes();
        self.with(table, |table| {
            let due = table.range::<&[u8]>(..end.as_slice()).map_err(error)?;
            due.take(limit)
                .map(|pair| Ok(pair.map_err(error)?.0.value().to_vec()))
                .collect()
        })
    }

    fn apply(&self, table: &str, key: &[u8], value: Option<&[u8]>) -> Result<(), EngineError> {
        self.with(table, |table| {
            match value {
                Some(value) => table.insert(key, value).map(drop),
                None => table.remove(key).map(drop),
            }
            .map_err(error)
        })
    }
}

fn get(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<Option<Bytes>, EngineError> {
    Ok(table
        .get(key)
        .map_err(error)?
        .map(|value| value.value().to_vec()))
}

fn range(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    bounds: &Bounds,
    order: Order,
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
    let bounds = (
        bounds.0.as_ref().map(Bytes::as_slice),
        bounds.1.as_ref().map(Bytes::as_slice),
    );
    let mut pairs = table.range::<&[u8]>(bounds).map_err(error)?;
    let mut found = Vec::new();
    while found.len() < limit {
        let next = match order {
            Order::Ascending => pairs.next(),
            Order::Descending => pairs.next_back(),
        };
        let Some(pair) = next else { break };
        let (key, value) = pair.map_err(error)?;
        found.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(found)
}
