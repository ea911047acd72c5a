//! Opening the file: permissions, master key, format.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Database, DatabaseError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::base::{Entropy, Failure, Secret};
use crate::crypto::{MasterKey, MasterKeyError};

use super::birth::{create, is_missing, let_begin, mark_begun};
use super::compact::Pace;
use super::engine::{self, Opener};
use super::guard::{guard_file, make_private_folder};
use super::handle::{Foundation, Store};
use super::keys::Keys;
use super::meta::{self, FORMAT, Meta, Progress};
use super::refusal::{OpenError, io_error, refused};
use super::succession::Succession;
use super::upgrade::{self, LADDER};
use super::witness::{self, Seen, Witness};

pub(super) const FILE_NAME: &str = "mfad.redb";
/// How often, and how long apart, a lock that somebody holds is tried again.
const TRIES: u32 = 25;
const AGAIN: Duration = Duration::from_millis(10);

/// Where the master key is, and what opens it.
#[derive(Clone, Debug)]
pub struct MasterKeyPlace {
    /// Its file.
    pub file: PathBuf,
    /// Whether it is a file of ours: closed to others, and made when a new store is made. Else it is a
    /// credential that systemd hands over, and is never made here.
    pub ours: bool,
    /// What it is sealed with, and what a new one shall be sealed with; `None` where it is not.
    pub passphrase: Option<Secret<Vec<u8>>>,
}

impl MasterKeyPlace {
    /// A file of ours that is not sealed.
    pub fn own(file: PathBuf) -> Self {
        MasterKeyPlace {
            file,
            ours: true,
            passphrase: None,
        }
    }

    /// The key, which must be there.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn load(&self) -> Result<MasterKey, MasterKeyError> {
        MasterKey::load(&self.file, self.ours, self.passphrase.as_ref())
    }
}

/// Whether there is a store in `folder`, so that opening it would make none.
pub fn exists(folder: &Path) -> bool {
    folder.join(FILE_NAME).exists()
}

/// Opens the store in `folder`, or makes a new one: folder 0700, file 0600.
/// The integrity of the whole file is checked.
///
/// # Errors
/// [`OpenError`]. A store is never made over one that is there, be it emptied or
/// damaged, and a master key never beside a store that was sealed under another.
pub fn open(
    folder: &Path,
    master: &MasterKeyPlace,
    entropy: Arc<dyn Entropy>,
) -> Result<Store, OpenError> {
    make_private_folder(folder)?;
    let path = folder.join(FILE_NAME);
    let _alone = alone_in(folder, &path)?;
    let new = is_missing(&path)?;
    if new {
        let_begin(folder, master)?;
        mark_begun(folder, &path)?;
    }
    let master = master_key(&path, new, master, &*entropy)?;
    if new {
        create(folder, &path, &master, &*entropy)?;
    }
    guard_file(&path)?;
    let changes = match new {
        true => Vec::new(),
        false => upgrade::prepare(&path, &LADDER, &master, &*entropy)?,
    };
    let witness_key = master.witness_key().map_err(OpenError::Start)?;
    let witness = Witness::of(folder, witness_key, entropy.clone());
    let store = open_witnessed(
        &path,
        opener(&path),
        &master,
        entropy,
        Some(witness),
        Some(Pace::WHEN_IDLE),
    )?;
    for change in changes {
        tracing::info!(%change, "this start has changed the store");
    }
    Ok(store)
}

/// Opens the file at `path`, and never makes one.
pub(super) fn opener(path: &Path) -> Opener {
    let path = path.to_owned();
    Box::new(move |thorough| {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        // The engine would make a new database of an empty file, and everybody would be without a factor.
        if file.metadata()?.len() == 0 {
            return Err(DatabaseError::Storage(redb::StorageError::Corrupted(
                "the file is empty".to_owned(),
            )));
        }
        engine::builder(thorough).create_with_backend(FileBackend::new(file)?)
    })
}

/// Keeps others out while a store is found or made. Released when dropped.
pub(super) fn alone_in(folder: &Path, store: &Path) -> Result<File, OpenError> {
    let lock = File::open(folder).map_err(io_error(folder))?;
    let locked = patiently(
        || flock(&lock, FlockOperation::NonBlockingLockExclusive),
        |e| *e == Errno::WOULDBLOCK,
    );
    match locked {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(OpenError::InUse(store.to_owned())),
        Err(e) => Err(io_error(folder)(e.into())),
    }
}

/// Tries again for a quarter of a second what is held by somebody. A lock outlives whoever had it by a moment, where
/// that process starts another: until the new one has begun, it holds what its parent held.
fn patiently<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_held: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for _ in 0..TRIES {
        match attempt() {
            Err(error) if is_held(&error) => thread::sleep(AGAIN),
            done => return done,
        }
    }
    attempt()
}

/// Opens through any engine handle: the seam for tests that make the disk fail.
#[cfg(test)]
pub(super) fn open_with(
    path: &Path,
    opener: Opener,
    master: &MasterKey,
    entropy: Arc<dyn Entropy>,
) -> Result<Store, OpenError> {
    open_witnessed(path, opener, master, entropy, None, None)
}

/// Opens what the witness does not doubt. Without a witness nothing is doubted, and without a `pace` nothing is
/// compacted: where another file must not take the place of this one.
pub(super) fn open_witnessed(
    path: &Path,
    opener: Opener,
    master: &MasterKey,
    entropy: Arc<dyn Entropy>,
    witness: Option<Witness>,
    pace: Option<Pace>,
) -> Result<Store, OpenError> {
    let database = patiently(|| opener(true), engine::is_in_use).map_err(|e| match e {
        e if engine::is_in_use(&e) => OpenError::InUse(path.to_owned()),
        e => refused(path, e),
    })?;
    let found = meta::read(&database).map_err(|e| refused(path, e))?;
    if found.format > FORMAT {
        return Err(OpenError::newer(path, &found));
    }
    let succession = Succession::of(&found, master, &*entropy)?;
    let ring = succession
        .as_ref()
        .map_or(&found, |it| &it.meta)
        .ring
        .clone();
    let keys = Keys::open(master, ring)?;
    let seen = match &witness {
        Some(witness) => {
            let before = succession.as_ref().map(|it| it.before.witness_key());
            let before = before.transpose().map_err(OpenError::Start)?;
            let seen = witness.read(before.as_ref());
            let seen = seen.map_err(io_error(witness.path()))?;
            let agreed = seen.and_then(|seen| {
                witness::compare(found.known, seen.as_ref())?;
                Ok(seen)
            });
            agreed.map_err(|doubt| OpenError::Doubted {
                store: path.to_owned(),
                doubt,
            })?
        }
        None => None,
    };
    let found = match succession {
        Some(succession) => take_over(path, &database, succession, seen, witness.as_ref())?,
        None => found,
    };
    let known = match found.known {
        Some(known) => known,
        None => name(path, &database, seen, witness.as_ref(), &*entropy)?,
    };
    let named = Meta {
        known: Some(known),
        ..found
    };
    let meta = upgrade::climb(&database, named, &LADDER, &keys.sealer, &*entropy);
    let meta = meta.map_err(|why| OpenError::NotUpgraded {
        path: path.to_owned(),
        why,
    })?;
    let copy_key = Arc::new(master.copy_key().map_err(OpenError::Start)?);
    let foundation = Foundation {
        database,
        opener,
        keys,
        known: meta.known.unwrap_or(known),
        path: path.to_owned(),
        witness,
        copy_key,
        entropy,
        pace,
    };
    Store::start(foundation).map_err(|e| OpenError::Start(Failure::internal(e)))
}

/// Has the new master key take over. The witness hears of it first: should this break off, the key before opens it no
/// more, and the new one goes on.
fn take_over(
    path: &Path,
    database: &Database,
    succession: Succession,
    seen: Option<Seen>,
    witness: Option<&Witness>,
) -> Result<Meta, OpenError> {
    if let Some((witness, seen)) = witness.zip(seen) {
        witness.write(&seen).map_err(io_error(witness.path()))?;
    }
    let Succession { meta, .. } = succession;
    meta::commit(database, &meta).map_err(|e| refused(path, e))?;
    Ok(meta)
}

/// Gives a store its name. The witness hears of it first: should this break off, it is done again.
fn name(
    path: &Path,
    database: &Database,
    seen: Option<Seen>,
    witness: Option<&Witness>,
    entropy: &dyn Entropy,
) -> Result<(meta::StoreId, Progress), OpenError> {
    let (epoch, changes) = (1, 0);
    let store = match seen {
        Some(seen) => seen.store(),
        None => meta::draw_id(entropy).map_err(OpenError::Start)?,
    };
    if let Some(witness) = witness {
        let named = Seen::new(store, Progress { epoch, changes });
        witness.write(&named).map_err(io_error(witness.path()))?;
    }
    let changes = changes + 1;
    let progress = Progress { epoch, changes };
    meta::name(database, store, progress).map_err(|e| refused(path, e))?;
    Ok((store, progress))
}

pub(super) fn master_key(
    store: &Path,
    new: bool,
    place: &MasterKeyPlace,
    entropy: &dyn Entropy,
) -> Result<MasterKey, OpenError> {
    match place.load() {
        Err(MasterKeyError::Missing(key)) if !new => Err(OpenError::MasterKeyLost {
            store: store.to_owned(),
            key,
        }),
        Err(MasterKeyError::Missing(key)) if place.ours => {
            let passphrase = place.passphrase.as_ref();
            Ok(MasterKey::create(&key, passphrase, entropy)?)
        }
        loaded => Ok(loaded?),
    }
}
