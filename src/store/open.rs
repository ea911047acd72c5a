//! Opening the file: permissions, master key, format.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, TableDefinition, TableError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::base::{Entropy, Failure};
use crate::crypto::{KeyRing, KeyRingError, MasterKey, MasterKeyError, Sealer};

use super::engine::{self, Opener};
use super::handle::Store;

/// Raised whenever a record changes its shape, so that an older program
/// refuses the file instead of misreading it.
pub(super) const FORMAT: u32 = 1;
/// What is not sealed, because it is needed to open the rest.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";
const META_KEY_RING: &str = "key ring";
const FILE_NAME: &str = "mfad.redb";

/// Where the master key is.
#[derive(Clone, Debug)]
pub enum MasterKeyPlace {
    /// A file of ours: made, with mode 0600, when a new store is made.
    Own(PathBuf),
    /// A credential that systemd hands over; never made here.
    Credential(PathBuf),
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be used.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder or file belongs to somebody else, or is not what it should be.
    #[error("{} {why}", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another process has the file open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file was written by a newer program.
    #[error("{} was written in format {found} by a newer mfad; this one knows formats up to {FORMAT}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// There is a store, and its master key is gone.
    #[error("{} exists, but its master key {} does not; without it nothing in the store can be read", store.display(), key.display())]
    MasterKeyLost {
        /// The store.
        store: PathBuf,
        /// Where the key was looked for.
        key: PathBuf,
    },
    /// The master key cannot be read or made.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The master key is another, or the key ring is damaged.
    #[error(transparent)]
    KeyRing(#[from] KeyRingError),
    /// The file is damaged.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// Randomness or a thread is not to be had.
    #[error("the store could not be started: {0:?}")]
    Start(Failure),
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
    let new = match fs::symlink_metadata(&path) {
        Ok(_) => false,
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => return Err(io_error(&path)(e)),
    };
    let master = master_key(&path, new, master, &*entropy)?;
    if new {
        create(folder, &path, &master, &*entropy)?;
    }
    guard_file(&path)?;
    let opener: Opener = {
        let path = path.clone();
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
    };
    open_with(&path, opener, &master, entropy)
}

/// Keeps others out while a store is found or made. Released when dropped.
fn alone_in(folder: &Path, store: &Path) -> Result<File, OpenError> {
    let lock = File::open(folder).map_err(io_error(folder))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(OpenError::InUse(store.to_owned())),
        Err(e) => Err(io_error(folder)(e.into())),
    }
}

/// Makes a new store under another name, and gives it its own when it is whole on disk: what a
/// full disk or a kill breaks off is made anew the next time.
fn create(
    folder: &Path,
    path: &Path,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<(), OpenError> {
    let unfinished = path.with_extension("unfinished");
    remove(&unfinished)?;
    let made = fill(&unfinished, master, entropy).and_then(|()| {
        fs::rename(&unfinished, path)
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(io_error(path))
    });
    if made.is_err() {
        remove(&unfinished)?;
    }
    made
}

fn fill(path: &Path, master: &MasterKey, entropy: &dyn Entropy) -> Result<(), OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io_error(path))?;
    let database = FileBackend::new(file)
        .and_then(|backend| engine::builder(true).create_with_backend(backend))
        .map_err(|e| refused(path, e))?;
    initialise(&database, path, master, entropy)?;
    database.close().map_err(|e| refused(path, e))
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(path)(e)),
        _ => Ok(()),
    }
}

/// Writes what a new store needs to be opened: its format, and a key ring of fresh keys.
pub(super) fn initialise(
    database: &Database,
    path: &Path,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<(), OpenError> {
    let ring = KeyRing::draw(entropy).map_err(OpenError::Start)?;
    let wrapped = ring.wrap(master, entropy).map_err(OpenError::Start)?;
    write_meta(database, &wrapped).map_err(|e| refused(path, e))
}

/// Opens through any engine handle: the seam for tests that make the disk fail.
pub(super) fn open_with(
    path: &Path,
    opener: Opener,
    master: &MasterKey,
    entropy: Arc<dyn Entropy>,
) -> Result<Store, OpenError> {
    let database = opener(true).map_err(|e| match e {
        e if engine::is_in_use(&e) => OpenError::InUse(path.to_owned()),
        e => refused(path, e),
    })?;
    let (format, wrapped) = read_meta(&database).map_err(|e| refused(path, e))?;
    if format > FORMAT {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: format,
        });
    }
    let sealer = Arc::new(Sealer::new(&KeyRing::unwrap(master, &wrapped)?)?);
    Store::start(database, opener, wrapped, path.to_owned(), sealer, entropy)
        .map_err(|e| OpenError::Start(Failure::internal(e)))
}

/// What the engine says of a file: the disk's fault, or the contents'.
fn refused(path: &Path, error: impl Into<redb::Error>) -> OpenError {
    match error.into() {
        // So it calls contents that are not its own.
        redb::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => OpenError::Io {
            path: path.to_owned(),
            source,
        },
        why => OpenError::Damaged {
            path: path.to_owned(),
            why: why.to_string(),
        },
    }
}

/// The file's format, and its wrapped key ring, by which it is known again.
pub(super) fn read_meta(database: &Database) -> Result<(u32, Vec<u8>), redb::Error> {
    let lost = || redb::Error::Corrupted("the file lacks its own description".to_owned());
    let table = match database.begin_read()?.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Err(lost()),
        Err(e) => return Err(e.into()),
    };
    let format = table
        .get(META_FORMAT)?
        .and_then(|value| Some(u32::from_be_bytes(value.value().try_into().ok()?)));
    let ring = table
        .get(META_KEY_RING)?
        .map(|value| value.value().to_vec());
    format.zip(ring).ok_or_else(lost)
}

fn write_meta(database: &Database, wrapped: &[u8]) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(META)?;
        table.insert(META_FORMAT, FORMAT.to_be_bytes().as_slice())?;
        table.insert(META_KEY_RING, wrapped)?;
    }
    transaction.commit()?;
    Ok(())
}

fn master_key(
    store: &Path,
    new: bool,
    place: &MasterKeyPlace,
    entropy: &dyn Entropy,
) -> Result<MasterKey, OpenError> {
    let (path, private) = match place {
        MasterKeyPlace::Own(path) => (path, true),
        MasterKeyPlace::Credential(path) => (path, false),
    };
    match MasterKey::load(path, private) {
        Err(MasterKeyError::Missing(key)) if !new => Err(OpenError::MasterKeyLost {
            store: store.to_owned(),
            key,
        }),
        Err(MasterKeyError::Missing(_)) if private => Ok(MasterKey::create(path, entropy)?),
        loaded => Ok(loaded?),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io {
        path: path.clone(),
        source,
    }
}

fn make_private_folder(folder: &Path) -> Result<(), OpenError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Ok(()) => {}
        Err(e) => return Err(io_error(folder)(e)),
    }
    let found = fs::metadata(folder).map_err(io_error(folder))?;
    guard(folder, &found, 0o700)
}

fn guard_file(path: &Path) -> Result<(), OpenError> {
    let found = fs::symlink_metadata(path).map_err(io_error(path))?;
    if !found.is_file() {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "is not a regular file",
        });
    }
    if found.nlink() > 1 {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "has a second name (hard link), under which others may reach it",
        });
    }
    guard(path, &found, 0o600)
}

/// What is ours is closed to others; what is not ours is refused.
fn guard(path: &Path, found: &fs::Metadata, mode: u32) -> Result<(), OpenError> {
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "belongs to another user",
        });
    }
    if found.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = %format!("{:04o}", found.mode() & 0o7777), "others could read this; closing it to them");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_error(path))?;
    }
    Ok(())
}
