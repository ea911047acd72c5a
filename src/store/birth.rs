//! A first store: whether it may be made, and how it is made whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::Database;
use redb::backends::FileBackend;

use crate::base::{Entropy, create_anew};
use crate::crypto::{KeyRing, MasterKey};

use super::engine;
use super::meta;
use super::open::{FILE_NAME, MasterKeyPlace};
use super::refusal::{OpenError, io_error, refused};
use super::witness::Witness;

/// Whether a first store may be made in `folder`: not where there was one.
///
/// # Errors
/// [`OpenError::StoreLost`] where what stands there belongs to a store that is gone; where the folder cannot be read.
pub fn let_begin(folder: &Path, master: &MasterKeyPlace) -> Result<(), OpenError> {
    let path = folder.join(FILE_NAME);
    if Witness::stands_in(folder) {
        return Err(lost(path, "the witness"));
    }
    // Only a first start that was broken off leaves a key of ours without a store.
    let key = &master.file;
    let left = master.ours && key.parent() == Some(folder) && !is_missing(key)?;
    if left && is_missing(&unfinished(&path))? {
        return Err(lost(path, "the master key"));
    }
    Ok(())
}

fn lost(store: PathBuf, beside: &'static str) -> OpenError {
    OpenError::StoreLost { store, beside }
}

pub(super) fn is_missing(path: &Path) -> Result<bool, OpenError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(io_error(path)(e)),
    }
}

/// The name of a store while it is made. As long as it stands there, the first start is not over.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("unfinished")
}

/// Notes that a first start has begun, before it leaves anything else behind.
pub(super) fn mark_begun(folder: &Path, path: &Path) -> Result<(), OpenError> {
    let mark = unfinished(path);
    empty(&mark)
        .and_then(|file| file.sync_all())
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(io_error(&mark))
}

/// An empty file of ours under that name.
pub(super) fn empty(path: &Path) -> io::Result<File> {
    create_anew(path, 0o600)
}

/// Makes a new store under another name, and gives it its own when it is whole on disk: what a
/// full disk or a kill breaks off is made anew the next time.
pub(super) fn create(
    folder: &Path,
    path: &Path,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<(), OpenError> {
    let unfinished = unfinished(path);
    let made = fill(&unfinished, master, entropy).and_then(|()| {
        fs::rename(&unfinished, path)
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(io_error(path))
    });
    if made.is_err() {
        // Its room is given back; its name still says that the first start is not over.
        empty(&unfinished).map_err(io_error(&unfinished))?;
    }
    made
}

fn fill(path: &Path, master: &MasterKey, entropy: &dyn Entropy) -> Result<(), OpenError> {
    let file = empty(path).map_err(io_error(path))?;
    let database = FileBackend::new(file)
        .and_then(|backend| engine::builder(true).create_with_backend(backend))
        .map_err(|e| refused(path, e))?;
    initialise(&database, path, master, entropy)?;
    database.close().map_err(|e| refused(path, e))
}

/// Writes what a new store needs to be opened: its format, and a key ring of fresh keys.
pub(super) fn initialise(
    database: &Database,
    path: &Path,
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<(), OpenError> {
    let ring = KeyRing::draw(entropy).map_err(OpenError::Start)?;
    let key = master.ring_key().map_err(OpenError::Start)?;
    let wrapped = ring.wrap(&key, entropy).map_err(OpenError::Start)?;
    meta::write_new(database, &wrapped).map_err(|e| refused(path, e))
}
