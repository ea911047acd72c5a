//! Names that two users have at once.
//!
//! At many issuers users choose their names, and one of them can choose another's. A name means a user who has a second
//! factor if everybody else who has it came to it later and has none: a newcomer keeps nobody out. If there are two who
//! have a factor, or one without was there first, nobody can tell whose it is, and it means neither.

use crate::base::{Failure, PersonKey, Timestamp};
use crate::crypto::CodeHash;
use crate::store::{Order, Read, Scan, Tx};

use super::names::{Claim, NameKind, foremost};
use super::record::{Bearer, BearerKey, NotifiedOf, Profile};
use super::reserved::shown;
use super::service::{Enrolled, profile};

/// Other users of one name who are looked at.
const PAGE: usize = 256;
/// Users of one name for whose sake another one is notified.
const MOST_NOTIFIED: usize = 8;

/// A name that a user shares with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedName {
    /// The other one.
    pub other: PersonKey,
    /// Their subject at the issuer, which is that of both.
    pub other_subject: String,
    /// The name, in the form that is compared.
    pub name: String,
    /// Whom of the two it means.
    pub means: Meaning,
    /// Whether the user who is looked at is notified: once, of however many others.
    pub notifies_user: bool,
    /// Whether the other one is. Two who share an address share a mailbox, and one email says it there; none, if neither
    /// has a factor yet: accounts without number may name the same address.
    pub notifies_other: bool,
}

/// Whom of two users a name means that both have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The user who is looked at.
    User,
    /// The other one.
    Other,
    /// Neither, so sign-ins with it are refused.
    Neither,
}

/// Returns the names that `person` shares with others in a tenant of theirs, each other user once, and once more if both
/// have a second factor by then. Users of different tenants are no news to each other.
///
/// # Errors
/// Those of the store and of `enrolled`.
pub fn shared_names(
    tx: &mut Tx<'_>,
    person: PersonKey,
    enrolled: Enrolled<'_>,
    now: Timestamp,
) -> Result<Vec<SharedName>, Failure> {
    let mut shared = Vec::new();
    let Some(own) = profile(tx, person)? else {
        return Ok(shared);
    };
    let is_enrolled = enrolled(tx, person)?;
    for kind in NameKind::ALL {
        let Some(name) = own.names.of(kind) else {
            continue;
        };
        let Some(own_row) = tx.get::<Bearer>(&BearerKey::new(name, person))? else {
            continue;
        };
        let scan = Scan {
            prefix: name.as_bytes(),
            past: None,
            order: Order::Ascending,
            limit: PAGE,
        };
        for (key, mut row) in tx.list::<Bearer>(&scan)? {
            if key.person == person || shared.len() == MOST_NOTIFIED {
                continue;
            }
            let Some(other) = of_one_tenant(tx, &own, key.person, kind, name, now)? else {
                continue;
            };
            let is_other_enrolled = enrolled(tx, key.person)?;
            let both = is_enrolled && is_other_enrolled;
            if own_row.is_notified_of(key.person, both) || !row.notify_of(person, both) {
                continue;
            }
            let claims = [
                Claim {
                    person,
                    since: own_row.since,
                    is_enrolled,
                },
                Claim {
                    person: key.person,
                    since: row.since,
                    is_enrolled: is_other_enrolled,
                },
            ];
            let means = match foremost(&claims) {
                None => Meaning::Neither,
                Some(one) if one == person => Meaning::User,
                Some(_) => Meaning::Other,
            };
            tx.put(&key, &row)?;
            let share_mailbox = kind == NameKind::Email;
            let is_first = !shared.iter().any(|it: &SharedName| it.notifies_user);
            shared.push(SharedName {
                notifies_user: is_first && !share_mailbox,
                notifies_other: !share_mailbox || is_enrolled || is_other_enrolled,
                other: key.person,
                other_subject: other.subject,
                name: shown(kind, &own),
                means,
            });
        }
    }
    Ok(shared)
}

/// The other user of the name, if a login service could take one for the other.
fn of_one_tenant(
    read: &dyn Read,
    own: &Profile,
    other: PersonKey,
    kind: NameKind,
    name: CodeHash,
    now: Timestamp,
) -> Result<Option<Profile>, Failure> {
    let Some(other) = profile(read, other)? else {
        return Ok(None);
    };
    let (ours, theirs) = (own.tenants(now), other.tenants(now));
    let meet = ours.is_empty() || theirs.is_empty() || ours.iter().any(|it| theirs.contains(it));
    let is_shared = meet && other.names.of(kind) == Some(name);
    Ok(is_shared.then_some(other))
}

impl Bearer {
    fn is_notified_of(&self, other: PersonKey, both_enrolled: bool) -> bool {
        let known = self.notified.iter().find(|it| it.person == other);
        known.is_some_and(|known| known.both_enrolled || !both_enrolled)
    }

    /// Notes that they are notified of `other`; false if they were before, or of too many.
    fn notify_of(&mut self, other: PersonKey, both_enrolled: bool) -> bool {
        if self.is_notified_of(other, both_enrolled) {
            return false;
        }
        self.notified.retain(|it| it.person != other);
        if self.notified.len() >= MOST_NOTIFIED {
            return false;
        }
        self.notified.push(NotifiedOf {
            person: other,
            both_enrolled,
        });
        true
    }
}
