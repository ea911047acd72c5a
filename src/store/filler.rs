//! Fills a new database with the rows of another, as the engine has them.

use std::ops::Bound;

use redb::{Database, TableDefinition, WriteTransaction};

use super::copy::{CopyError, Entry};
use super::engine::{self, EngineError};
use super::tx::engine_failure;

/// Bytes of rows that one commit takes.
const BATCH: usize = 4 << 20;

type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// Writes rows into a new database, some at a time.
pub struct Filler<'d> {
    database: &'d Database,
    transaction: Option<WriteTransaction>,
    table: String,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    gathered: usize,
}

impl<'d> Filler<'d> {
    /// Into `database`, which nobody else writes.
    pub fn new(database: &'d Database) -> Result<Self, CopyError> {
        Ok(Filler {
            transaction: Some(engine::begin(database).map_err(failed)?),
            database,
            table: String::new(),
            rows: Vec::new(),
            gathered: 0,
        })
    }

    /// The next row, or the table in which those that follow stand.
    pub fn take(&mut self, entry: Entry) -> Result<(), CopyError> {
        match entry {
            Entry::Table(name) => {
                self.put()?;
                self.table = name;
            }
            Entry::Row(key, value) => {
                self.gathered += key.len() + value.len();
                self.rows.push((key, value));
            }
        }
        if self.gathered >= BATCH {
            self.put()?;
            self.commit()?;
            self.transaction = Some(engine::begin(self.database).map_err(failed)?);
            self.gathered = 0;
        }
        Ok(())
    }

    fn put(&mut self) -> Result<(), CopyError> {
        let Some(transaction) = self.transaction.as_ref().filter(|_| !self.rows.is_empty()) else {
            return Ok(());
        };
        let wrong = |e: redb::Error| failed(e.into());
        let mut table = transaction
            .open_table(Definition::new(&self.table))
            .map_err(|e| wrong(e.into()))?;
        // They come in order, and so each page is filled before the next is begun.
        let mut end = table
            .upper_bound_mut(Bound::<&[u8]>::Unbounded)
            .map_err(|e| wrong(e.into()))?;
        for (key, value) in self.rows.drain(..) {
            end.insert_before(key.as_slice(), value.as_slice())
                .map_err(|e| wrong(e.into()))?;
        }
        end.close().map_err(|e| wrong(e.into()))?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), CopyError> {
        match self.transaction.take() {
            Some(transaction) => engine::commit(transaction).map_err(failed),
            None => Ok(()),
        }
    }

    /// Commits what is left.
    pub fn finish(mut self) -> Result<(), CopyError> {
        self.put()?;
        self.commit()
    }
}

/// What the engine said, as what became of the copy.
pub fn failed(error: EngineError) -> CopyError {
    CopyError::Store(engine_failure(error))
}
