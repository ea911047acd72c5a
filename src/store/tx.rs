//! Reading a snapshot, and writing through an overlay.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::base::{Entropy, Failure, Timestamp, codes};
use crate::crypto::{Sealer, term_of};

use super::engine::{EngineError, Snapshot, Tables};
use super::table::{Key, Record, Row, decode_row, encode_row, expiry_of};

/// The table of what will expire: (moment, table, key) → nothing.
pub(super) const EXPIRY: &str = "expiry";

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The smallest key first.
    Ascending,
    /// The largest key first.
    Descending,
}

/// What can be read from: a snapshot, or a transaction that also sees what it wrote.
pub trait Read {
    /// The opened row under `key`.
    ///
    /// # Errors
    /// `unavailable` where the storage does not answer, `internal` where the
    /// row is damaged.
    fn row(&self, table: &'static str, key: &[u8]) -> Result<Option<Row>, Failure>;

    /// At most `limit` opened rows whose keys start with `prefix`, beyond `past` in the given order.
    ///
    /// # Errors
    /// As [`Read::row`].
    fn rows(&self, table: &'static str, scan: &Scan<'_>) -> Result<Vec<(Vec<u8>, Row)>, Failure>;
}

/// A run of neighbouring rows.
pub struct Scan<'a> {
    /// What all keys start with.
    pub prefix: &'a [u8],
    /// Only keys beyond this one, in the order of the scan.
    pub past: Option<&'a [u8]>,
    /// Which end comes first.
    pub order: Order,
    /// How many rows at the most.
    pub limit: usize,
}

impl Scan<'_> {
    pub(super) fn bounds(&self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let mut low = Bound::Included(self.prefix.to_vec());
        let mut high = match successor(self.prefix) {
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        match (self.past, self.order) {
            (Some(past), Order::Ascending) if past >= self.prefix => {
                low = Bound::Excluded(past.to_vec())
            }
            (Some(past), Order::Descending)
                if successor(self.prefix).is_none_or(|end| past < end.as_slice()) =>
            {
                high = Bound::Excluded(past.to_vec());
            }
            _ => {}
        }
        (low, high)
    }
}

/// The first key after all those that start with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix.get(..=kept)?.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    Some(end)
}

fn range_is_empty(bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> bool {
    match bounds {
        (Bound::Included(low), Bound::Excluded(high)) => low >= high,
        (Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}

impl dyn Read + '_ {
    /// The record under `key`.
    ///
    /// # Errors
    /// As [`Read::row`].
    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>, Failure> {
        self.row(R::TABLE, &key.encode())?
            .map(|row| decode_row(&row))
            .transpose()
    }

    /// A run of records with their keys. Rows whose key cannot be read are left out.
    ///
    /// # Errors
    /// As [`Read::row`].
    pub fn list<R: Record>(&self, scan: &Scan<'_>) -> Result<Vec<(R::Key, R)>, Failure> {
        let rows = self.rows(R::TABLE, scan)?;
        rows.iter()
            .filter_map(|(key, row)| {
                R::Key::decode(key).map(|key| decode_row(row).map(|record| (key, record)))
            })
            .collect()
    }
}

pub(super) fn engine_failure(error: EngineError) -> Failure {
    match error {
        EngineError::Damaged(why) => Failure::internal(why),
        EngineError::Storage(why) => storage_unavailable().because(why),
    }
}

pub(super) fn storage_unavailable() -> Failure {
    Failure::new(
        codes::UNAVAILABLE,
        "The server cannot reach its storage at the moment. Nothing was changed.",
    )
    .retry_after(5)
}

fn open_row(sealer: &Sealer, table: &str, key: &[u8], sealed: &[u8]) -> Result<Row, Failure> {
    sealer
        .open(&[table.as_bytes(), key], sealed)
        .map_err(|e| Failure::internal(format!("a row of table {table} cannot be opened: {e}")))
}

/// A consistent view of what was committed when it was taken.
pub(super) struct SnapshotReader<'a> {
    pub snapshot: &'a Snapshot,
    pub sealer: &'a Sealer,
}

impl Read for SnapshotReader<'_> {
    fn row(&self, table: &'static str, key: &[u8]) -> Result<Option<Row>, Failure> {
        let sealed = self.snapshot.get(table, key).map_err(engine_failure)?;
        sealed
            .map(|sealed| open_row(self.sealer, table, key, &sealed))
            .transpose()
    }

    fn rows(&self, table: &'static str, scan: &Scan<'_>) -> Result<Vec<(Vec<u8>, Row)>, Failure> {
        let bounds = scan.bounds();
        if range_is_empty(&bounds) {
            return Ok(Vec::new());
        }
        let found = self
            .snapshot
            .range(table, &bounds, scan.order, scan.limit)
            .map_err(engine_failure)?;
        found
            .into_iter()
            .map(|(key, sealed)| Ok((key.clone(), open_row(self.sealer, table, &key, &sealed)?)))
            .collect()
    }
}

type Changes = BTreeMap<String, BTreeMap<Vec<u8>, Option<Row>>>;

/// One write transaction: sees the store and its own changes, which reach the
/// store only if the closure ends well, and all at once.
pub struct Tx<'a> {
    batch: &'a dyn Tables,
    sealer: &'a Sealer,
    changes: RefCell<Changes>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(batch: &'a dyn Tables, sealer: &'a Sealer) -> Self {
        Tx {
            batch,
            sealer,
            changes: RefCell::default(),
        }
    }

    /// The keys that rows are sealed and names are hashed with.
    pub(super) fn sealer(&self) -> &'a Sealer {
        self.sealer
    }

    /// The record under `key`, as this transaction sees it.
    ///
    /// # Errors
    /// As [`Read::row`].
    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>, Failure> {
        (self as &dyn Read).get(key)
    }

    /// A run of records, as this transaction sees them.
    ///
    /// # Errors
    /// As [`Read::row`].
    pub fn list<R: Record>(&self, scan: &Scan<'_>) -> Result<Vec<(R::Key, R)>, Failure> {
        (self as &dyn Read).list(scan)
    }

    /// Puts `record` under `key`, in place of what was there.
    ///
    /// # Errors
    /// `internal` where the record cannot be written as JSON.
    pub fn put<R: Record>(&mut self, key: &R::Key, record: &R) -> Result<(), Failure> {
        self.change(R::TABLE, key.encode(), Some(encode_row(record, None)?));
        Ok(())
    }

    /// Puts `record` under `key`; it is swept away some time after `expires`.
    /// Until the sweep comes by it can still be read, so that an answer can say
    /// that it came too late: compare times where that matters. At
    /// [`Timestamp::MAX`] nothing is swept any more.
    ///
    /// # Errors
    /// As [`Tx::put`].
    pub fn put_until<R: Record>(
        &mut self,
        key: &R::Key,
        record: &R,
        expires: Timestamp,
    ) -> Result<(), Failure> {
        let key = key.encode();
        if expires < Timestamp::MAX {
            let entry = expiry_key(expires, R::TABLE, &key);
            self.change(EXPIRY, entry, Some(Row::default()));
        }
        self.change(R::TABLE, key, Some(encode_row(record, Some(expires))?));
        Ok(())
    }

    /// Removes what stands under `key`.
    pub fn delete<R: Record>(&mut self, key: &R::Key) {
        self.change(R::TABLE, key.encode(), None);
    }

    /// The largest key of a table that is numbered from 1, or 0.
    ///
    /// # Errors
    /// As [`Read::row`].
    pub fn last_number<R: Record<Key = u64>>(&self) -> Result<u64, Failure> {
        let own = self
            .changes
            .borrow()
            .get(R::TABLE)
            .and_then(|rows| rows.keys().next_back().cloned());
        let stored = self.batch.last_key(R::TABLE).map_err(engine_failure)?;
        Ok([own, stored]
            .into_iter()
            .flatten()
            .filter_map(|key| u64::decode(&key))
            .max()
            .unwrap_or(0))
    }

    /// How many rows the table has, without what this transaction has changed so far: for limits that may be
    /// exceeded by a few.
    ///
    /// # Errors
    /// As [`Read::row`].
    pub fn count<R: Record>(&self) -> Result<u64, Failure> {
        self.batch.count(R::TABLE).map_err(engine_failure)
    }

    /// Removes up to `limit` rows whose time was up at `now`. True where more wait.
    pub(super) fn sweep(&mut self, now: Timestamp, limit: usize) -> Result<bool, Failure> {
        let due = self
            .batch
            .expired(EXPIRY, now.unix(), limit)
            .map_err(engine_failure)?;
        for entry in &due {
            if let Some((table, key)) = read_expiry_key(entry) {
                let sealed = self.batch.get(table, key).map_err(engine_failure)?;
                let row = sealed.and_then(|sealed| open_row(self.sealer, table, key, &sealed).ok());
                // A row that was put again since has a later entry of its own.
                if row
                    .is_some_and(|row| expiry_of(&row).is_some_and(|expires| expires <= now.unix()))
                {
                    self.change(table, key.to_vec(), None);
                }
            }
            self.change(EXPIRY, entry.clone(), None);
        }
        Ok(due.len() == limit)
    }

    /// Looks at up to `limit` rows of `table` beyond `past`, and seals those anew that a data key below `active` sealed.
    pub(super) fn reseal(
        &mut self,
        table: &str,
        past: Option<&[u8]>,
        active: u32,
        limit: usize,
    ) -> Result<Step, Failure> {
        let from = past.map_or(Bound::Unbounded, |past| Bound::Excluded(past.to_vec()));
        let found = self
            .batch
            .range(table, &(from, Bound::Unbounded), Order::Ascending, limit)
            .map_err(engine_failure)?;
        let mut step = Step::default();
        if found.len() == limit {
            step.last = found.last().map(|(key, _)| key.clone());
        }
        for (key, sealed) in found {
            if term_of(&sealed).is_ok_and(|term| term >= active) {
                continue;
            }
            match open_row(self.sealer, table, &key, &sealed) {
                Ok(row) => {
                    self.change(table, key, Some(row));
                    step.rows += 1;
                }
                Err(failure) => {
                    tracing::error!(?failure, "a damaged row keeps its earlier data key in use");
                    step.unreadable += 1;
                }
            }
        }
        Ok(step)
    }

    fn change(&mut self, table: &str, key: Vec<u8>, row: Option<Row>) {
        let changes = self.changes.get_mut();
        match changes.get_mut(table) {
            Some(rows) => rows.insert(key, row),
            None => changes
                .entry(table.to_owned())
                .or_default()
                .insert(key, row),
        };
    }

    pub(super) fn is_unchanged(&self) -> bool {
        self.changes.borrow().is_empty()
    }

    /// Hands the changes to the engine. Gives the tables that changed.
    pub(super) fn apply(self, entropy: &dyn Entropy) -> Result<BTreeSet<String>, ApplyError> {
        let changes = self.changes.into_inner();
        let mut sealed = Vec::new();
        for (table, rows) in &changes {
            for (key, row) in rows {
                let value = match row {
                    None => None,
                    // Entries of the expiry table hold nothing to seal.
                    Some(row) if table == EXPIRY => Some(row.to_vec()),
                    Some(row) => Some(
                        self.sealer
                            .seal(&[table.as_bytes(), key], row, entropy)
                            .map_err(ApplyError::Unsealed)?,
                    ),
                };
                sealed.push((table, key, value));
            }
        }
        for (table, key, value) in sealed {
            self.batch
                .apply(table, key, value.as_deref())
                .map_err(ApplyError::Engine)?;
        }
        Ok(changes.into_keys().collect())
    }
}

/// What one transaction did that seals anew.
#[derive(Default)]
pub(super) struct Step {
    /// Rows that it sealed anew.
    pub rows: u64,
    /// Rows that it could not open.
    pub unreadable: u64,
    /// The last row that it looked at, where there may be more.
    pub last: Option<Vec<u8>>,
}

/// Why changes did not reach the engine.
pub(super) enum ApplyError {
    /// Nothing of this transaction was applied; others are untouched.
    Unsealed(Failure),
    /// The engine failed, and the whole batch with it.
    Engine(EngineError),
}

impl Read for Tx<'_> {
    fn row(&self, table: &'static str, key: &[u8]) -> Result<Option<Row>, Failure> {
        if let Some(own) = self
            .changes
            .borrow()
            .get(table)
            .and_then(|rows| rows.get(key))
        {
            return Ok(own.clone());
        }
        let sealed = self.batch.get(table, key).map_err(engine_failure)?;
        sealed
            .map(|sealed| open_row(self.sealer, table, key, &sealed))
            .transpose()
    }

    fn rows(&self, table: &'static str, scan: &Scan<'_>) -> Result<Vec<(Vec<u8>, Row)>, Failure> {
        let bounds = scan.bounds();
        if range_is_empty(&bounds) {
            return Ok(Vec::new());
        }
        let changes = self.changes.borrow();
        let own: BTreeMap<&Vec<u8>, &Option<Row>> = changes
            .get(table)
            .map(|rows| rows.range(bounds.clone()).collect())
            .unwrap_or_default();
        // Each own change can hide at most one stored row.
        let stored = self
            .batch
            .range(
                table,
                &bounds,
                scan.order,
                scan.limit.saturating_add(own.len()),
            )
            .map_err(engine_failure)?;
        let mut merged: BTreeMap<Vec<u8>, Row> = BTreeMap::new();
        for (key, sealed) in stored {
            if !own.contains_key(&key) {
                let row = open_row(self.sealer, table, &key, &sealed)?;
                merged.insert(key, row);
            }
        }
        for (key, row) in own {
            if let Some(row) = row {
                merged.insert(key.clone(), row.clone());
            }
        }
        Ok(match scan.order {
            Order::Ascending => merged.into_iter().take(scan.limit).collect(),
            Order::Descending => merged.into_iter().rev().take(scan.limit).collect(),
        })
    }
}

fn expiry_key(expires: Timestamp, table: &str, key: &[u8]) -> Vec<u8> {
    let mut entry = expires.unix().to_be_bytes().to_vec();
    entry.push(table.len() as u8);
    entry.extend(table.as_bytes());
    entry.extend(key);
    entry
}

fn read_expiry_key(entry: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = entry.get(8..)?.split_first()?;
    let (table, key) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(table).ok()?, key))
}
