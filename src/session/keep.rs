//! The rows of sessions: how long they live, and how many a person has.

use serde::{Deserialize, Serialize};

use super::record::{Kept, OfPerson};
use crate::base::{Failure, PersonKey, Timestamp};
use crate::crypto::CodeHash;
use crate::store::{Order, Read, Record, Scan, Tx};

/// A session that is not used ends after so many seconds. A use is noted once a minute, so it may be a minute less.
pub const IDLE_SECONDS: u64 = 30 * 60;

/// A session ends after so many seconds, however much it is used.
pub const ABSOLUTE_SECONDS: u64 = 12 * 60 * 60;

/// How many sessions a person can have; of more, the oldest goes.
pub const MOST_SESSIONS: usize = 10;

type SessionRow = (<OfPerson as Record>::Key, OfPerson);

/// Where a session stands.
pub(super) fn key(id: &CodeHash) -> Vec<u8> {
    id.as_bytes().to_vec()
}

impl Kept {
    /// When it ends, if it is not used before.
    pub(super) fn end(&self) -> Timestamp {
        let unused = self.used_at.plus(IDLE_SECONDS);
        let end = unused.min(self.created_at.plus(ABSOLUTE_SECONDS));
        match self.refresh_token {
            Some(_) => end,
            None => end.min(self.access_ends),
        }
    }
}

/// The session, unless it has ended.
pub(super) fn read(
    read: &dyn Read,
    id: &CodeHash,
    now: Timestamp,
) -> Result<Option<Kept>, Failure> {
    let kept = read.get::<Kept>(&key(id))?;
    Ok(kept.filter(|kept| now < kept.end()))
}

/// Keeps what has become of a session.
pub(super) fn put(tx: &mut Tx<'_>, id: &CodeHash, kept: &Kept) -> Result<(), Failure> {
    tx.put_until(&key(id), kept, kept.end())
}

/// Ends a session, if there is one.
pub(super) fn remove(tx: &mut Tx<'_>, id: &CodeHash) -> Result<(), Failure> {
    if let Some(kept) = tx.get::<Kept>(&key(id))? {
        tx.delete::<OfPerson>(&(kept.person, key(id)));
        tx.delete::<Kept>(&key(id));
    }
    Ok(())
}

/// The sessions of a person, the living ones and those that are over.
pub(super) fn of_person(read: &dyn Read, person: PersonKey) -> Result<Vec<SessionRow>, Failure> {
    read.list::<OfPerson>(&Scan {
        prefix: person.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: MOST_SESSIONS * 8,
    })
}

/// Ends the oldest sessions of a person until there is room for one more.
fn make_room(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    let mut living = Vec::new();
    for (at, row) in of_person(tx, person)? {
        match tx.get::<Kept>(&at.1)? {
            Some(_) => living.push((row.created_at, at)),
            None => tx.delete::<OfPerson>(&at),
        }
    }
    living.sort();
    let surplus = (living.len() + 1).saturating_sub(MOST_SESSIONS);
    for (_, at) in living.into_iter().take(surplus) {
        tx.delete::<Kept>(&at.1);
        tx.delete::<OfPerson>(&at);
    }
    Ok(())
}

/// A live session of the settings page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSession {
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When it was last used; noted once a minute.
    pub used_at: Timestamp,
    /// When it ends if it is not used before.
    pub expires_at: Timestamp,
}

/// Returns the sessions of `person` that are live at `now`.
///
/// # Errors
/// Those of the store.
pub fn live(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<LiveSession>, Failure> {
    let mut sessions = Vec::new();
    for ((_, id), _) in of_person(read, person)? {
        if let Some(kept) = read.get::<Kept>(&id)?.filter(|kept| now < kept.end()) {
            sessions.push(LiveSession {
                created_at: kept.created_at,
                used_at: kept.used_at,
                expires_at: kept.end(),
            });
        }
    }
    Ok(sessions)
}

/// Ends every session of `person` with the transaction.
///
/// # Errors
/// Those of the store.
pub fn end_all(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    loop {
        let rows = of_person(tx, person)?;
        for (at, _) in &rows {
            tx.delete::<Kept>(&at.1);
            tx.delete::<OfPerson>(at);
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

/// Keeps a session that begins at `now`.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    id: &CodeHash,
    kept: &Kept,
    now: Timestamp,
) -> Result<(), Failure> {
    make_room(tx, kept.person)?;
    let end = now.plus(ABSOLUTE_SECONDS);
    let of_person = OfPerson { created_at: now };
    tx.put_until(&(kept.person, key(id)), &of_person, end)?;
    put(tx, id, kept)
}
