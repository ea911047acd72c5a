use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::store::Record;

/// The last copy that was made of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCopy {
    /// The moment that it holds.
    pub made_at: Timestamp,
    /// Rows in it.
    pub rows: u64,
}

impl Record for LastCopy {
    /// There is one: 0.
    type Key = u64;
    const TABLE: &'static str = "last copy";
}
