//! Why a store could not be opened.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::Failure;
use crate::crypto::{KeyRingError, MasterKeyError};

use super::keys::KeysError;
use super::meta::{FORMAT, Meta, PROGRAM, by};
use super::witness::Doubt;

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
    #[error(
        "{} was written in format {found} by {}; this is mfad {PROGRAM}, which knows formats up to {FORMAT}",
        path.display(), by(.program.as_deref())
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The version of that program, where the file says so.
        program: Option<String>,
    },
    /// The file was written by an older program, and could not be made into what this one writes.
    #[error("{} could not be brought to format {FORMAT}, and is as it was: {why:?}", path.display())]
    NotUpgraded {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: Failure,
    },
    /// There is a store, and its master key is gone.
    #[error("{} exists, but its master key {} does not; without it nothing in the store can be read", store.display(), key.display())]
    MasterKeyLost {
        /// The store.
        store: PathBuf,
        /// Where the key was looked for.
        key: PathBuf,
    },
    /// There was a store, and what stood beside it still does.
    #[error("{} is gone, but {beside} of it still stands there", store.display())]
    StoreLost {
        /// The store.
        store: PathBuf,
        /// What stands there.
        beside: &'static str,
    },
    /// It is not the store that was last used here, or an older copy of it.
    #[error("{} {doubt}", store.display())]
    Doubted {
        /// The store.
        store: PathBuf,
        /// Why.
        doubt: Doubt,
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

impl OpenError {
    pub(super) fn newer(path: &Path, meta: &Meta) -> OpenError {
        OpenError::Newer {
            path: path.to_owned(),
            found: meta.format,
            program: meta.written_by.clone(),
        }
    }
}

impl From<KeysError> for OpenError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Ring(error) => OpenError::KeyRing(error),
            KeysError::Start(failure) => OpenError::Start(failure),
        }
    }
}

/// What the engine says of a file: the disk's fault, or the contents'.
pub(super) fn refused(path: &Path, error: impl Into<redb::Error>) -> OpenError {
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

/// What the system says of a file.
pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io {
        path: path.clone(),
        source,
    }
}
