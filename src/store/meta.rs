//! What a store says of itself: its format, its keys, which store it is, and how far it has come.

use redb::{
    Database, ReadTransaction, ReadableDatabase, TableDefinition, TableError, WriteTransaction,
};

use crate::base::{Entropy, Failure};
use crate::crypto::KeyId;

use super::engine::EngineError;

/// Raised whenever a record changes its shape, so that an older program
/// refuses the file instead of misreading it.
pub const FORMAT: u32 = 3;
/// What is not sealed, because it is needed to open the rest.
pub const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";
const META_KEY_RING: &str = "key ring";
/// Behind it stands the name of the key that is to take over, one row for each.
const META_HANDED: &str = "master key for ";
/// Keys that may wait to take over at once.
pub const MOST_SUCCESSORS: usize = 16;
const META_STORE: &str = "store id";
const META_EPOCH: &str = "epoch";
const META_CHANGES: &str = "changes";
const META_WRITTEN_BY: &str = "written by";
/// The version of this program.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// Characters of another program's version that are told.
const LONGEST_VERSION: usize = 32;

/// Names a store for as long as it lives, through all its copies.
pub type StoreId = [u8; 16];

/// How far a store has come. Later epochs are later, whatever the changes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Progress {
    /// From 1; one more each time that a copy took the place of the store.
    pub epoch: u64,
    /// Commits so far. Never fewer, also after a copy was brought back.
    pub changes: u64,
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub format: u32,
    /// The wrapped key ring.
    pub ring: Vec<u8>,
    /// The master key that the ring is wrapped under, sealed for each of those that may take its place.
    pub handed: Vec<Vec<u8>>,
    /// Which store it is; `None` until it was first opened by a program that keeps a witness.
    pub known: Option<(StoreId, Progress)>,
    /// The version of the program that last opened it for writing; `None` for one from before this was noted.
    pub written_by: Option<String>,
}

/// A version as the file has it, for people: nobody has vouched for it, and it must not steer a terminal.
pub fn shown_version(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(LONGEST_VERSION).collect()
}

/// Who wrote something in a format that this program does not know.
pub fn by(version: Option<&str>) -> String {
    match version {
        Some(version) => format!("mfad {version}"),
        None => "a newer mfad".to_owned(),
    }
}

pub fn read(database: &Database) -> Result<Meta, redb::Error> {
    read_from(&database.begin_read()?)
}

pub fn read_from(transaction: &ReadTransaction) -> Result<Meta, redb::Error> {
    let lost = || redb::Error::Corrupted("the file lacks its own description".to_owned());
    let table = match transaction.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Err(lost()),
        Err(e) => return Err(e.into()),
    };
    let bytes = |name: &str| -> Result<Option<Vec<u8>>, redb::Error> {
        Ok(table.get(name)?.map(|value| value.value().to_vec()))
    };
    let number = |name: &str| -> Result<Option<u64>, redb::Error> {
        Ok(bytes(name)?.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?))))
    };
    let mut handed = Vec::new();
    for row in table.range(META_HANDED..)? {
        let (name, value) = row?;
        if !name.value().starts_with(META_HANDED) {
            break;
        }
        handed.push(value.value().to_vec());
    }
    let format = bytes(META_FORMAT)?.and_then(|it| Some(u32::from_be_bytes(it.try_into().ok()?)));
    let (format, ring) = format.zip(bytes(META_KEY_RING)?).ok_or_else(lost)?;
    let store = bytes(META_STORE)?.and_then(|bytes| StoreId::try_from(bytes).ok());
    let progress = number(META_EPOCH)?.zip(number(META_CHANGES)?);
    let known = store.zip(progress.map(|(epoch, changes)| Progress { epoch, changes }));
    let written_by = bytes(META_WRITTEN_BY)?.map(|it| shown_version(&String::from_utf8_lossy(&it)));
    Ok(Meta {
        format,
        ring,
        handed,
        known,
        written_by,
    })
}

/// Writes what a new store needs to be opened.
pub fn write_new(database: &Database, ring: &[u8]) -> Result<(), redb::Error> {
    let meta = Meta {
        format: FORMAT,
        ring: ring.to_vec(),
        handed: Vec::new(),
        known: None,
        written_by: Some(PROGRAM.to_owned()),
    };
    commit(database, &meta)
}

/// Says all of `meta` anew.
pub fn write(transaction: &WriteTransaction, meta: &Meta) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(META)?;
    table.insert(META_FORMAT, meta.format.to_be_bytes().as_slice())?;
    table.insert(META_KEY_RING, meta.ring.as_slice())?;
    if meta.handed.is_empty() {
        table.retain(|name, _| !name.starts_with(META_HANDED))?;
    }
    if let Some((store, progress)) = &meta.known {
        table.insert(META_STORE, store.as_slice())?;
        table.insert(META_EPOCH, progress.epoch.to_be_bytes().as_slice())?;
        table.insert(META_CHANGES, progress.changes.to_be_bytes().as_slice())?;
    }
    if let Some(version) = &meta.written_by {
        table.insert(META_WRITTEN_BY, version.as_bytes())?;
    }
    Ok(())
}

/// Says which store it is and how far it has come, in a commit of its own.
pub fn name(database: &Database, store: StoreId, progress: Progress) -> Result<(), redb::Error> {
    let known = Some((store, progress));
    let is = read(database)?;
    commit(database, &Meta { known, ..is })
}

/// Says all of `meta` anew, in a commit of its own.
pub fn commit(database: &Database, meta: &Meta) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    write(&transaction, meta)?;
    transaction.commit()?;
    Ok(())
}

/// One commit further.
pub fn one_more(was: Progress) -> Progress {
    Progress {
        changes: was.changes.saturating_add(1),
        ..was
    }
}

/// A name for a store that has none.
pub fn draw_id(entropy: &dyn Entropy) -> Result<StoreId, Failure> {
    entropy.bytes()
}

/// Puts another key ring in the place of the one that is there.
pub fn put_ring(transaction: &WriteTransaction, ring: &[u8]) -> Result<(), EngineError> {
    put(transaction, META_KEY_RING, ring).map_err(EngineError::from)
}

/// Keeps the master key, sealed for the one named `to`, which may take its place.
pub fn put_handed(
    transaction: &WriteTransaction,
    to: KeyId,
    handed: &[u8],
) -> Result<(), EngineError> {
    put(transaction, &format!("{META_HANDED}{to}"), handed).map_err(EngineError::from)
}

fn put(transaction: &WriteTransaction, name: &str, value: &[u8]) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(META)?;
    table.insert(name, value)?;
    Ok(())
}

/// Counts a commit within it.
pub fn count(transaction: &WriteTransaction, changes: u64) -> Result<(), EngineError> {
    put(transaction, META_CHANGES, &changes.to_be_bytes()).map_err(EngineError::from)
}
