//! Stores for the tests of every room.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::{MasterKeyPlace, OpenError, Order, Scan, Store, open};
use crate::base::OsEntropy;

/// A scan of a whole table.
pub const ALL_ROWS: Scan<'static> = Scan {
    prefix: &[],
    past: None,
    order: Order::Ascending,
    limit: usize::MAX,
};

/// A store in a folder of its own, which is removed with it.
pub struct TestStore {
    store: Store,
    folder: TempDir,
}

impl TestStore {
    /// Creates a store, next to its master key.
    pub fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open_in(folder.path()).unwrap();
        TestStore { store, folder }
    }

    /// The folder that the store and its master key are in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store if it is open, and opens it as the next process would.
    pub async fn restart(&mut self) {
        self.store.close().await;
        self.store = open_in(self.folder()).unwrap();
    }
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// The master key of a store in `folder`.
pub fn key_in(folder: &Path) -> MasterKeyPlace {
    MasterKeyPlace::own(folder.join("master.key"))
}

/// Opens the store in `folder`, or creates it.
///
/// # Errors
/// As [`open`].
pub fn open_in(folder: &Path) -> Result<Store, OpenError> {
    open(folder, &key_in(folder), Arc::new(OsEntropy))
}
