//! A start that changes nothing: all of it is done over the file, and what is written stays in memory.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

use crate::base::Entropy;

use super::engine::{self, Opener};
use super::guard::own_file;
use super::handle::Store;
use super::meta;
use super::open::{FILE_NAME, MasterKeyPlace, alone_in, master_key, open_witnessed};
use super::refusal::{OpenError, refused};
use super::succession::Succession;
use super::upgrade::{self, Change, LADDER};
use super::witness::Witness;

/// Bytes that are held together.
const BLOCK: usize = 4096;

/// How a start would go.
pub struct Rehearsal {
    /// The store as it would be. What is written to it is forgotten when it is closed.
    pub store: Store,
    /// The format of the file as it is.
    pub format: u32,
    /// The version of the program that last had it open for writing; `None` for one from before this was noted.
    pub written_by: Option<String>,
    /// What the start would change, in this order.
    pub changes: Vec<Change>,
}

/// Does all that [`super::open`] does with the store that is in `folder`, and leaves file, witness and folder as
/// they are. Needs memory for whatever would be written.
///
/// # Errors
/// Those of [`super::open`].
pub fn rehearse(
    folder: &Path,
    place: &MasterKeyPlace,
    entropy: Arc<dyn Entropy>,
) -> Result<Rehearsal, OpenError> {
    let path = folder.join(FILE_NAME);
    let _alone = alone_in(folder, &path)?;
    let master = master_key(&path, false, place, &*entropy)?;
    own_file(&path)?;
    let untouched = untouched(&path);
    let database = untouched(false).map_err(|e| match e {
        e if engine::is_in_use(&e) => OpenError::InUse(path.clone()),
        e => refused(&path, e),
    })?;
    let is = meta::read(&database).map_err(|e| refused(&path, e))?;
    database.close().map_err(|e| refused(&path, e))?;
    let succession = Succession::of(&is, &master, &*entropy)?;
    let changes = upgrade::changes(&path, &is, &LADDER, succession.as_ref());
    let witness_key = master.witness_key().map_err(OpenError::Start)?;
    let witness = Witness::of(folder, witness_key, entropy.clone()).kept_still();
    let store = open_witnessed(&path, untouched, &master, entropy, Some(witness), None)?;
    Ok(Rehearsal {
        store,
        format: is.format,
        written_by: is.written_by,
        changes,
    })
}

/// Opens the file at `path`, and keeps what is written away from it.
fn untouched(path: &Path) -> Opener {
    let path = path.to_owned();
    Box::new(move |thorough| {
        let overlay = Overlay::of(&path)?;
        // As where it is opened for good.
        if overlay.written().length == 0 {
            let why = "the file is empty".to_owned();
            return Err(redb::StorageError::Corrupted(why).into());
        }
        engine::builder(thorough).create_with_backend(overlay)
    })
}

/// A file, and what was written over it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    written: Mutex<Written>,
}

struct Written {
    /// What is beyond this in the file was cut off once, and reads as zeros.
    of_file: u64,
    length: u64,
    blocks: BTreeMap<u64, Box<[u8; BLOCK]>>,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} blocks over a file", self.blocks.len())
    }
}

/// The parts of `length` bytes from `offset` that lie in one block each: its number, where in it, and how many.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let (mut at, mut left) = (offset, length);
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let within = (at % BLOCK as u64) as usize;
        let part = (BLOCK - within).min(left);
        let found = (at / BLOCK as u64, within, part);
        at += part as u64;
        left -= part;
        Some(found)
    })
}

fn beyond() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

impl Overlay {
    /// Over the file at `path`, with nothing written yet.
    pub fn of(path: &Path) -> Result<Overlay, DatabaseError> {
        // Opened for writing as well, without which it could not be locked against others.
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Overlay {
            file: FileBackend::new(file)?,
            written: Mutex::new(Written {
                of_file: length,
                length,
                blocks: BTreeMap::new(),
            }),
        })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as the file has it, with zeros where that has ended.
    fn block_of_file(&self, number: u64, of_file: u64) -> io::Result<Box<[u8; BLOCK]>> {
        let mut block = Box::new([0; BLOCK]);
        let from = number.saturating_mul(BLOCK as u64);
        let there = of_file.saturating_sub(from).min(BLOCK as u64) as usize;
        if let Some(there) = block.get_mut(..there).filter(|there| !there.is_empty()) {
            self.file.read(from, there)?;
        }
        Ok(block)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let written = self.written();
        if offset.saturating_add(out.len() as u64) > written.length {
            return Err(beyond());
        }
        let mut rest = out;
        for (number, within, part) in parts(offset, rest.len()) {
            let (now, later) = rest.split_at_mut_checked(part).ok_or_else(beyond)?;
            let block = match written.blocks.get(&number) {
                Some(block) => block,
                None => &self.block_of_file(number, written.of_file)?,
            };
            let there = block.get(within..within + part).ok_or_else(beyond)?;
            now.copy_from_slice(there);
            rest = later;
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        let mut written = self.written();
        written.of_file = written.of_file.min(length);
        written.length = length;
        let (kept, within) = (length / BLOCK as u64, (length % BLOCK as u64) as usize);
        written.blocks.retain(|number, _| *number <= kept);
        if let Some(cut) = written
            .blocks
            .get_mut(&kept)
            .and_then(|block| block.get_mut(within..))
        {
            cut.fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut written = self.written();
        let end = offset.saturating_add(data.len() as u64);
        written.length = written.length.max(end);
        let of_file = written.of_file;
        let mut rest = data;
        for (number, within, part) in parts(offset, data.len()) {
            let (now, later) = rest.split_at_checked(part).ok_or_else(beyond)?;
            let block = match written.blocks.entry(number) {
                Entry::Occupied(block) => block.into_mut(),
                Entry::Vacant(place) => place.insert(self.block_of_file(number, of_file)?),
            };
            let there = block.get_mut(within..within + part);
            there.ok_or_else(beyond)?.copy_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(from, to)
    }

    fn try_lock_shared_range(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(from, to)
    }

    fn lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(from, to)
    }

    fn lock_shared_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(from, to)
    }

    fn unlock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(from, to)
    }

    fn query_lock_range(&self, from: Bound<u64>, to: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(from, to)
    }
}
