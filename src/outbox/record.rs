use serde::{Deserialize, Serialize};

use crate::base::{MessageId, PersonKey, Timestamp};
use crate::mail::{Address, Change, Letter};
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

/// What a user was notified of within an hour, which begins with the first notification.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hour {
    pub(super) began_at: Timestamp,
    /// Notifications, whether they were sent on their own or not.
    pub(super) notified: usize,
    /// Those of them that are changes.
    pub(super) changed: usize,
    /// Every change.
    pub(super) changes: Vec<Change>,
    /// How many were not sent on their own and are not among `changes`.
    pub(super) uncounted: u64,
    /// Where the user was notified.
    pub(super) addresses: Vec<Address>,
}

impl Record for Hour {
    type Key = PersonKey;
    const TABLE: &'static str = "notification hours";
}

/// A user to whom a digest is due.
#[derive(Serialize, Deserialize)]
pub(super) struct DigestDue {}

impl Record for DigestDue {
    /// When it is due (seconds since the epoch), and to whom.
    type Key = (u64, PersonKey);
    const TABLE: &'static str = "digests due";
}
