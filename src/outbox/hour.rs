//! How much a user is notified of at once. Whoever holds a token can make changes as fast as they like, and strangers can
//! lock factors: neither must be able to flood a mailbox, nor to hide a change among other notifications.

use crate::base::{Failure, PersonKey, Timestamp};
use crate::mail::{Address, Change};
use crate::store::{Order, Read, Scan, Tx};

use super::record::{DigestDue, Hour};

/// Notifications of one user that are sent on their own within an hour. Changes to factors have as many for themselves:
/// others do not use them up.
pub const HOURLY_NOTIFICATIONS: usize = 20;
/// Seconds of an hour.
const HOUR: u64 = 3600;
/// Changes that a digest lists: those of two days, as an hour may begin in one and end in the next. Others are counted.
const MOST_CHANGES: usize = 1_000;
/// Addresses that a digest goes to, of those that were notified within the hour. The first ones stay, so that nobody who
/// has the issuer name many addresses pushes out the user's own.
const MOST_ADDRESSES: usize = 32;
/// Users whose digests are looked for at once.
const ROUND: usize = 64;

/// Whether a notification is sent on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is, and so may be the next.
    Sent,
    /// It is. Others wait until then, when a digest follows.
    LastUntil(Timestamp),
    /// It is not: the digest says it.
    Withheld,
}

/// What happened within an hour in which there was too much for single notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// When the hour began.
    pub began_at: Timestamp,
    /// Every change to the user's factors.
    pub changes: Vec<Change>,
    /// How many other notifications were not sent.
    pub others: u64,
    /// Where the user was notified within the hour.
    pub addresses: Vec<Address>,
}

impl Hour {
    /// Returns the hour that runs for `person`, or begins one.
    ///
    /// # Errors
    /// Those of the store.
    pub fn of(read: &dyn Read, person: PersonKey, now: Timestamp) -> Result<Hour, Failure> {
        let hour = read.get::<Hour>(&person)?;
        Ok(hour.filter(|hour| !hour.is_over(now)).unwrap_or(Hour {
            began_at: now,
            notified: 0,
            changed: 0,
            changes: Vec::new(),
            uncounted: 0,
            addresses: Vec::new(),
        }))
    }

    /// An hour that the clock has not reached is from before it stepped back.
    fn is_over(&self, now: Timestamp) -> bool {
        now < self.began_at || now >= self.ends_at()
    }

    fn ends_at(&self) -> Timestamp {
        self.began_at.plus(HOUR)
    }

    /// Whether not everything in it was sent on its own, or some of it only because it was a change.
    fn has_digest(&self) -> bool {
        self.notified > HOURLY_NOTIFICATIONS
    }

    /// Takes one notification to `addresses` in, of a change if `is_change`, and says whether it is sent on its own.
    pub fn admit(&mut self, is_change: bool, addresses: &[Address]) -> Admission {
        self.add_addresses(addresses);
        let (before, changed) = (self.notified, self.changed);
        self.notified = self.notified.saturating_add(1);
        if is_change {
            self.changed = self.changed.saturating_add(1);
        }
        if before + 1 < HOURLY_NOTIFICATIONS {
            return Admission::Sent;
        }
        if before < HOURLY_NOTIFICATIONS || (is_change && changed < HOURLY_NOTIFICATIONS) {
            return Admission::LastUntil(self.ends_at());
        }
        if !is_change {
            self.uncounted = self.uncounted.saturating_add(1);
        }
        Admission::Withheld
    }

    /// Lists a change for the digest, if there will be one.
    pub fn list(&mut self, change: Change) {
        match self.changes.len() < MOST_CHANGES {
            true => self.changes.push(change),
            false => self.uncounted = self.uncounted.saturating_add(1),
        }
    }

    /// Notes where the user was notified.
    pub fn add_addresses(&mut self, addresses: &[Address]) {
        for address in addresses {
            if self.addresses.len() < MOST_ADDRESSES && !self.addresses.contains(address) {
                self.addresses.push(address.clone());
            }
        }
    }

    /// Keeps it as the hour of `person`: until it is over, or until its digest is taken.
    ///
    /// # Errors
    /// Those of the store.
    pub fn keep(&self, tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
        if !self.has_digest() {
            return tx.put_until(&person, self, self.ends_at());
        }
        tx.put(&(self.ends_at().unix(), person), &DigestDue {})?;
        tx.put(&person, self)
    }
}

/// Ends the hour of `person` if it is over, and returns its digest if there is one.
///
/// # Errors
/// Those of the store.
pub fn take_digest(
    tx: &mut Tx<'_>,
    person: PersonKey,
    now: Timestamp,
) -> Result<Option<Digest>, Failure> {
    let hour = tx.get::<Hour>(&person)?;
    let Some(hour) = hour.filter(|hour| hour.is_over(now) && hour.has_digest()) else {
        return Ok(None);
    };
    tx.delete::<Hour>(&person);
    tx.delete::<DigestDue>(&(hour.ends_at().unix(), person));
    Ok(Some(Digest {
        began_at: hour.began_at,
        changes: hour.changes,
        others: hour.uncounted,
        addresses: hour.addresses,
    }))
}

/// Returns some of the users whose digest is due at `now`.
///
/// # Errors
/// Those of the store.
pub fn digests_due(read: &dyn Read, now: Timestamp) -> Result<Vec<PersonKey>, Failure> {
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit: ROUND,
    };
    let due = read.list::<DigestDue>(&scan)?.into_iter();
    let due = due.take_while(|((at, _), _)| *at <= now.unix());
    Ok(due.map(|((_, person), _)| person).collect())
}
