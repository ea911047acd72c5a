//! The rows of sessions: how long they live, and how many a person has.

use std::cmp::Reverse;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::proof::SessionId;
use super::record::{Kept, OfPerson};
use crate::base::{Failure, PersonKey, PublicSessionId, Timestamp};
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

/// When a session of the settings page was used, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSession {
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When it was last used; noted once a minute.
    pub used_at: Timestamp,
    /// When it ends if it is not used before.
    pub expires_at: Timestamp,
}

/// A live session of the settings page, as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSession {
    /// Names it: the beginning of the hash under which the store finds it, which does not lead back to the cookie.
    pub id: PublicSessionId,
    /// When it was used, and when it ends.
    pub live: LiveSession,
    /// What the browser called itself when it signed in.
    pub user_agent: Option<String>,
    /// The address from which it signed in.
    pub ip: Option<IpAddr>,
}

/// How a session is named that stands at `key`.
pub(super) fn public_id(key: &[u8]) -> Option<PublicSessionId> {
    let first = key.first_chunk::<16>()?;
    Some(PublicSessionId::from_bytes(*first))
}

/// Returns the sessions of `person` that are live at `now`, the newest first.
///
/// # Errors
/// Those of the store.
pub fn list(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<ListedSession>, Failure> {
    let mut sessions = Vec::new();
    for ((_, key), _) in of_person(read, person)? {
        let kept = read.get::<Kept>(&key)?.filter(|kept| now < kept.end());
        let (Some(kept), Some(id)) = (kept, public_id(&key)) else {
            continue;
        };
        sessions.push(ListedSession {
            id,
            live: LiveSession {
                created_at: kept.created_at,
                used_at: kept.used_at,
                expires_at: kept.end(),
            },
            user_agent: kept.user_agent.clone(),
            ip: kept.ip,
        });
    }
    sessions.sort_by_key(|session| Reverse((session.live.created_at, session.id)));
    Ok(sessions)
}

/// Returns when the live sessions of `person` were used, in the order of [`list`].
///
/// # Errors
/// Those of the store.
pub fn live(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<LiveSession>, Failure> {
    let sessions = list(read, person, now)?.into_iter();
    Ok(sessions.map(|session| session.live).collect())
}

/// Ends the session of `person` that is named so. False if they have no such session that is live at `now`.
///
/// # Errors
/// Those of the store.
pub fn end_one(
    tx: &mut Tx<'_>,
    person: PersonKey,
    id: PublicSessionId,
    now: Timestamp,
) -> Result<bool, Failure> {
    let mut was_live = false;
    for (at, _) in of_person(tx, person)? {
        if public_id(&at.1) == Some(id) {
            let kept = tx.get::<Kept>(&at.1)?;
            was_live |= kept.is_some_and(|kept| now < kept.end());
            tx.delete::<Kept>(&at.1);
            tx.delete::<OfPerson>(&at);
        }
    }
    Ok(was_live)
}

/// Ends every session of `person` with the transaction.
///
/// # Errors
/// Those of the store.
pub fn end_all(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    end_others(tx, person, None)
}

/// Ends the sessions of `person` with the transaction, except for `except`: a renewal that is under way brings none back.
///
/// # Errors
/// Those of the store.
pub fn end_others(
    tx: &mut Tx<'_>,
    person: PersonKey,
    except: Option<SessionId>,
) -> Result<(), Failure> {
    let except = except.map(|session| key(&session.0));
    loop {
        let mut rows = of_person(tx, person)?;
        rows.retain(|(at, _)| Some(&at.1) != except.as_ref());
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
