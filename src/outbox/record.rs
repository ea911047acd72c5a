use serde::{Deserialize, Serialize};

use crate::base::{MessageId, PersonKey, Timestamp};
use crate::mail::Letter;
use crate::store::Record;

/// A mail on its way.
#[derive(Serialize, Deserialize)]
pub(super) struct Waiting {
    pub letter: Letter,
    pub written_at: Timestamp,
    pub tries: u32,
}

impl Record for Waiting {
    /// When it is due (seconds since the epoch), and which it is.
    type Key = (u64, MessageId);
    const TABLE: &'static str = "outbox";
}

/// When notices went to a person, for the last hour; the newest last.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Notices {
    pub sent: Vec<Timestamp>,
}

impl Record for Notices {
    type Key = PersonKey;
    const TABLE: &'static str = "notices";
}
