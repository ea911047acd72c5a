use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::store::Record;

/// The latest time that was believed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Newest {
    pub at: Timestamp,
}

impl Record for Newest {
    /// There is one: 0.
    type Key = u64;
    const TABLE: &'static str = "clock";
}
