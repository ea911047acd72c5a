use crate::base::Failure;
use crate::store::{Read, Tx};

use super::record::LastCopy;

const THE_ONE: u64 = 0;

/// Remembers a copy that was made.
///
/// # Errors
/// Those of the store.
pub fn note(tx: &mut Tx<'_>, copy: LastCopy) -> Result<(), Failure> {
    tx.put(&THE_ONE, &copy)
}

/// The last copy that was made; `None` where there was none yet.
///
/// # Errors
/// Those of the store.
pub fn last(read: &dyn Read) -> Result<Option<LastCopy>, Failure> {
    read.get(&THE_ONE)
}
