//! Bringing a copy back: the store is built under another name, healed by whoever knows its rows, and
//! takes its place in one step, as a new epoch. Until then nothing is touched.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::TableDefinition;
use redb::backends::FileBackend;

use crate::base::{Entropy, Failure, Timestamp, open_regular};
use crate::crypto::MasterKey;

use super::birth::empty;
use super::copy::{Copy, CopyError, CopyHead};
use super::engine::{self, EngineError};
use super::filler::Filler;
use super::guard::{guard_file, make_private_folder};
use super::handle::{Foundation, Store};
use super::keys::Keys;
use super::meta::{self, Meta, Progress, StoreId};
use super::open::{FILE_NAME, MasterKeyPlace, alone_in, master_key, open_witnessed, opener};
use super::refusal::{OpenError, io_error, refused};
use super::succession::Succession;
use super::tx::engine_failure;
use super::upgrade::{self, LADDER};
use super::witness::{Seen, Witness};

/// By how much the epoch rises where a witness stands there that cannot be read: nobody knows the epoch that it has
/// seen, and a file of that one must not be taken for a later one.
const FURTHER: u64 = 1_000;

type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// What is to take the place of the store.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A copy that mfad made.
    Copy(&'a Path),
    /// The file that stands there, whatever its witness says of it.
    Standing,
}

/// Why no copy was brought back. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder or the store in it cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The copy cannot be used.
    #[error("{}: {why}", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// Why.
        why: CopyError,
    },
    /// The clock is behind what the copy or the store have seen.
    #[error("the clock of this machine says {now}, which is before {seen}, when {what}")]
    Clock {
        /// What the clock says.
        now: Timestamp,
        /// What was there already.
        seen: Timestamp,
        /// What was done then.
        what: &'static str,
    },
    /// Its rows could not be healed.
    #[error("the rows of the copy could not be made safe: {0:?}")]
    Rows(Failure),
}

/// A store that waits to take its place. Dropped, it is forgotten.
pub struct Restoring {
    /// Keeps servers out.
    _alone: File,
    folder: PathBuf,
    path: PathBuf,
    built: PathBuf,
    store: Store,
    replaced: Option<Store>,
    /// The old file while it is there, whatever it holds: no server may open it meanwhile.
    held: bool,
    witness: Witness,
    id: StoreId,
    /// Where the copy was made, and where it goes on from.
    was: Progress,
    will_be: Progress,
    head: Option<CopyHead>,
    rows: u64,
}

/// Builds the store from `source` beside the one in `folder`, without the tables of `void`. No server may run on it.
///
/// # Errors
/// [`RestoreError`]. The master key is never made.
pub fn begin(
    folder: &Path,
    place: &MasterKeyPlace,
    source: Source<'_>,
    void: &[&str],
    now: Timestamp,
    entropy: Arc<dyn Entropy>,
) -> Result<Restoring, RestoreError> {
    make_private_folder(folder)?;
    let path = folder.join(FILE_NAME);
    let alone = alone_in(folder, &path)?;
    let master = master_key(&path, false, place, &*entropy)?;
    let held = fs::symlink_metadata(&path).is_ok();
    if held {
        free(&path)?;
    }
    let witness = || -> Result<Witness, OpenError> {
        let key = master.witness_key().map_err(OpenError::Start)?;
        Ok(Witness::of(folder, key, entropy.clone()))
    };
    let seen = witness()?.read(None).map_err(io_error(witness()?.path()))?;
    let seen = seen.ok().flatten();
    // Also where it is sealed under another master key.
    let stood = match held {
        true => upgrade::look(&path)?.and_then(|meta| meta.known),
        false => None,
    };
    let stood = stood.map(|(_, progress)| progress);
    let built = path.with_extension("restoring");
    let made = build(&path, &built, &master, source, void, now).inspect_err(|_| {
        // What is half built is nobody's.
        let _ = fs::remove_file(&built);
    })?;
    let replaced = match source {
        // As it was last used here, or not at all: what is older knows of nothing that was used since.
        Source::Copy(_) if held => {
            let opened = witness().and_then(|witness| {
                open_witnessed(
                    &path,
                    opener(&path),
                    &master,
                    entropy.clone(),
                    Some(witness),
                    None,
                )
            });
            match opened {
                Ok(store) => Some(store),
                Err(OpenError::InUse(path)) => {
                    let _ = fs::remove_file(&built);
                    return Err(OpenError::InUse(path).into());
                }
                Err(_) => None,
            }
        }
        _ => None,
    };
    let old = replaced
        .as_ref()
        .and_then(|store| store.progress().ok())
        .map(|(_, progress)| progress);
    let came_to = [Some(made.was), old, stood, seen.map(|seen| seen.progress())];
    let latest = |of: fn(Progress) -> u64| came_to.into_iter().flatten().map(of).max();
    let further = match seen.is_none() && Witness::stands_in(folder) {
        true => FURTHER,
        false => 1,
    };
    let will_be = Progress {
        epoch: latest(|it| it.epoch).unwrap_or(0).saturating_add(further),
        changes: latest(|it| it.changes).unwrap_or(0).saturating_add(1),
    };
    let ready = start(&built, &made, will_be, &master, entropy.clone());
    let (id, store) = ready.inspect_err(|_| {
        let _ = fs::remove_file(&built);
    })?;
    Ok(Restoring {
        _alone: alone,
        folder: folder.to_owned(),
        witness: witness()?,
        path,
        built,
        store,
        replaced,
        held,
        id,
        was: made.was,
        will_be,
        head: made.head,
        rows: made.rows,
    })
}

/// Whether no server has the file open.
fn free(path: &Path) -> Result<(), OpenError> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(io_error(path))?;
    match FileBackend::new(file) {
        Ok(_) => Ok(()),
        Err(e) if engine::is_in_use(&e) => Err(OpenError::InUse(path.to_owned())),
        Err(e) => Err(refused(path, e)),
    }
}

struct Built {
    meta: Meta,
    was: Progress,
    head: Option<CopyHead>,
    rows: u64,
}

fn build(
    path: &Path,
    built: &Path,
    master: &MasterKey,
    source: Source<'_>,
    void: &[&str],
    now: Timestamp,
) -> Result<Built, RestoreError> {
    let in_engine = |e: EngineError| RestoreError::Rows(engine_failure(e));
    let (database, meta, head, rows) = match source {
        Source::Copy(from) => {
            let bad = |why| RestoreError::Copy {
                path: from.to_owned(),
                why,
            };
            let file = File::open(from).map_err(|e| bad(e.into()))?;
            let copy = Copy::open(BufReader::new(file)).map_err(bad)?;
            let head = copy.head().clone();
            let key = master.copy_key().map_err(RestoreError::Rows)?;
            let file = empty(built).map_err(io_error(built))?;
            let database = FileBackend::new(file)
                .and_then(|backend| engine::builder(true).create_with_backend(backend))
                .map_err(|e| refused(built, e))?;
            let mut filler = Filler::new(&database).map_err(bad)?;
            let read = copy.read(&key, &mut |entry| filler.take(entry));
            let (meta, rows) = read.map_err(bad)?;
            filler.finish().map_err(bad)?;
            if now < head.made_at {
                return Err(RestoreError::Clock {
                    now,
                    seen: head.made_at,
                    what: "the copy was made",
                });
            }
            (database, meta, Some(head), rows)
        }
        Source::Standing => {
            guard_file(path)?;
            let mut file = empty(built).map_err(io_error(built))?;
            open_regular(path)
                .and_then(|mut standing| std::io::copy(&mut standing, &mut file))
                .map_err(io_error(built))?;
            drop(file);
            let database = opener(built)(true).map_err(|e| refused(path, e))?;
            let meta = meta::read(&database).map_err(|e| refused(path, e))?;
            if meta.format > meta::FORMAT {
                return Err(OpenError::newer(path, &meta).into());
            }
            (database, meta, None, 0)
        }
    };
    let transaction = engine::begin(&database).map_err(in_engine)?;
    for table in void {
        transaction
            .delete_table(Definition::new(table))
            .map_err(|e| refused(built, e))?;
    }
    engine::commit(transaction).map_err(in_engine)?;
    database.close().map_err(|e| refused(built, e))?;
    let none = Progress {
        epoch: 0,
        changes: 0,
    };
    Ok(Built {
        was: meta.known.map_or(none, |(_, progress)| progress),
        meta,
        head,
        rows,
    })
}

/// Opens what was built, as that store in its new epoch.
fn start(
    built: &Path,
    made: &Built,
    will_be: Progress,
    master: &MasterKey,
    entropy: Arc<dyn Entropy>,
) -> Result<(StoreId, Store), RestoreError> {
    let succession = Succession::of(&made.meta, master, &*entropy)?;
    let found = succession.map_or_else(|| made.meta.clone(), |it| it.meta);
    let keys = Keys::open(master, found.ring.clone()).map_err(OpenError::from)?;
    let id = match made.meta.known {
        Some((id, _)) => id,
        None => meta::draw_id(&*entropy).map_err(RestoreError::Rows)?,
    };
    let opener = opener(built);
    let database = opener(true).map_err(|e| refused(built, e))?;
    let meta = Meta {
        known: Some((id, will_be)),
        ..found
    };
    let transaction =
        engine::begin(&database).map_err(|e| RestoreError::Rows(engine_failure(e)))?;
    meta::write(&transaction, &meta).map_err(|e| refused(built, e))?;
    engine::commit(transaction).map_err(|e| RestoreError::Rows(engine_failure(e)))?;
    // What an older program wrote is made into what this one writes; the copy itself is the way back.
    let meta = upgrade::climb(&database, meta, &LADDER, &keys.sealer, &*entropy)
        .map_err(RestoreError::Rows)?;
    let foundation = Foundation {
        database,
        opener,
        keys,
        known: meta.known.unwrap_or((id, will_be)),
        path: built.to_owned(),
        witness: None,
        copy_key: Arc::new(master.copy_key().map_err(RestoreError::Rows)?),
        entropy,
        pace: None,
    };
    let started = Store::start(foundation).map_err(Failure::internal);
    Ok((id, started.map_err(RestoreError::Rows)?))
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What the copy says of itself; `None` for the file that stood there.
    pub head: Option<CopyHead>,
    /// Rows that the copy held.
    pub rows: u64,
    /// The epoch of the copy, and that of the store from now on.
    pub epochs: (u64, u64),
    /// Where the store is that stood there before.
    pub kept: Option<PathBuf>,
}

impl Restoring {
    /// The store that waits, for whoever makes its rows safe.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The store whose place it takes, where that is as it was last used: it knows what has been used since.
    pub fn replaced(&self) -> Option<&Store> {
        self.replaced.as_ref()
    }

    /// When the copy was made; `None` for the file that stood there.
    pub fn made_at(&self) -> Option<Timestamp> {
        self.head.as_ref().map(|head| head.made_at)
    }

    /// The epoch of the copy, and that of the store from now on.
    pub fn epochs(&self) -> (u64, u64) {
        (self.was.epoch, self.will_be.epoch)
    }

    /// Forgets what was built.
    pub async fn give_up(self) {
        self.store.close().await;
        if let Some(replaced) = &self.replaced {
            replaced.close().await;
        }
        let _ = fs::remove_file(&self.built);
    }

    /// Puts the store in its place, in one step; the one that was there stays beside it under a name with
    /// the time `now`.
    ///
    /// # Errors
    /// Where the disk fails: then the store that was there still is.
    pub async fn put_in_place(self, now: Timestamp) -> Result<Placed, RestoreError> {
        let came_to = self.store.progress();
        self.store.close().await;
        if let Some(replaced) = &self.replaced {
            replaced.close().await;
        }
        let (_, came_to) = came_to.map_err(RestoreError::Rows)?;
        let kept = match self.held {
            true => Some(keep(&self.path, now).map_err(io_error(&self.path))?),
            false => None,
        };
        fs::rename(&self.built, &self.path)
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(io_error(&self.path))?;
        // Last: a store that is ahead of its witness is in order.
        self.witness
            .write(&Seen::new(self.id, came_to))
            .map_err(io_error(self.witness.path()))?;
        Ok(Placed {
            head: self.head,
            rows: self.rows,
            epochs: (self.was.epoch, self.will_be.epoch),
            kept,
        })
    }
}

/// Gives the store a second name, under which it stays when another takes its first.
fn keep(path: &Path, now: Timestamp) -> std::io::Result<PathBuf> {
    let at = now.to_string().replace([':', '-'], "");
    let mut number = 1;
    loop {
        let ending = match number {
            1 => format!("redb.before-restore-{at}"),
            number => format!("redb.before-restore-{at}-{number}"),
        };
        let kept = path.with_extension(ending);
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(kept),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && number < 100 => number += 1,
            Err(e) => return Err(e),
        }
    }
}
