use crate::auth::Person;
use crate::base::{Failure, PersonKey, Timestamp};
use crate::crypto::Sealer;
use crate::mail::Address;
use crate::store::{Order, Read, Scan, Tx};

use super::language::{Wish, learnt};
use super::record::{Operator, Profile};
use super::reserved::Contest;
use super::shared::SharedName;
use super::{addresses, names, reserved, shared, tenants};

/// Seconds that an operator is known as one after a token of theirs said so: 90 days. Not each of their
/// tokens does, since clients ask for the scope only where they need it.
const OPERATOR_FOR: u64 = 90 * 86_400;
/// Seconds after which it is noted again.
pub(super) const NOTED_AGAIN: u64 = 86_400;

/// What is known of a person.
///
/// # Errors
/// Those of the store.
pub fn profile(read: &dyn Read, person: PersonKey) -> Result<Option<Profile>, Failure> {
    read.get(&person)
}

/// A second factor's part in what is learnt: whether a user has one.
pub type Enrolled<'a> = &'a dyn Fn(&dyn Read, PersonKey) -> Result<bool, Failure>;

/// What is new about the names of a user.
#[derive(Default)]
pub struct NameNews {
    /// Names of theirs that are reserved for others.
    pub contests: Vec<Contest>,
    /// Names of theirs that others have too.
    pub shared: Vec<SharedName>,
}

/// Notes what the token of `person` says of them, which language they asked in, and under which names they are found.
/// Costs a write only where it says something new.
///
/// Whether they have a second factor, `enrolled` says: a name that they give up is then reserved. Gives the names that
/// they bear and that are reserved for others, or that others have too, where that is new.
///
/// # Errors
/// Those of the store and of `enrolled`.
pub fn meet(
    tx: &mut Tx<'_>,
    keys: &Sealer,
    key: PersonKey,
    person: &Person,
    wish: Wish,
    enrolled: Enrolled<'_>,
    now: Timestamp,
) -> Result<NameNews, Failure> {
    if person.operator {
        note_operator(tx, key, now)?;
    }
    let known = tx.get::<Profile>(&key)?;
    let profile = learnt_of(tx, keys, key, known.as_ref(), person, wish, enrolled, now)?;
    if known.as_ref() != Some(&profile) {
        let known_names = known.as_ref().map(|known| known.names).unwrap_or_default();
        names::enter(tx, key, known_names, profile.names, now)?;
        let before = known.as_ref().map_or(&[][..], |known| &known.given_up);
        reserved::enter(tx, key, before, &profile.given_up)?;
        tx.put(&key, &profile)?;
    }
    let has_new_name = known.is_none_or(|known| known.names != profile.names);
    Ok(NameNews {
        contests: reserved::contests(tx, key, &profile, now)?,
        shared: match has_new_name {
            true => shared::shared_names(tx, key, enrolled, now)?,
            false => Vec::new(),
        },
    })
}

/// Whether the token of a user whom the server has met says something new of them.
///
/// # Errors
/// Those of the store and of `enrolled`.
pub fn has_news(
    read: &dyn Read,
    keys: &Sealer,
    key: PersonKey,
    person: &Person,
    wish: Wish,
    enrolled: Enrolled<'_>,
    now: Timestamp,
) -> Result<bool, Failure> {
    let Some(known) = read.get::<Profile>(&key)? else {
        return Ok(false);
    };
    let profile = learnt_of(read, keys, key, Some(&known), person, wish, enrolled, now)?;
    Ok(profile != known)
}

/// What is known of a user after their token was seen, where `known` was before.
#[expect(
    clippy::too_many_arguments,
    reason = "what was known, what is said, and when"
)]
fn learnt_of(
    read: &dyn Read,
    keys: &Sealer,
    key: PersonKey,
    known: Option<&Profile>,
    person: &Person,
    wish: Wish,
    enrolled: Enrolled<'_>,
    now: Timestamp,
) -> Result<Profile, Failure> {
    let claimed = person
        .email
        .as_ref()
        .filter(|email| email.verified != Some(false));
    let email = claimed.and_then(|email| email.address.parse::<Address>().ok());
    // A token without the claim does not make a known address unknown.
    let known_email = known.and_then(|known| known.email.clone());
    let email = email.or_else(|| known_email.clone());
    // A user may have had a factor before anything said where to write to.
    let enrolled_email = match known.and_then(|known| known.enrolled_email.clone()) {
        None if known_email.is_none() && email.is_some() && enrolled(read, key)? => email.clone(),
        enrolled_email => enrolled_email,
    };
    let former_emails = addresses::former(known, email.as_ref(), now);
    let names = names::names(keys, person, known);
    Ok(Profile {
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        tenants: tenants::learnt(
            known.map_or(&[], |known| &known.tenants),
            person.tenant.as_deref(),
            now,
        ),
        username: person
            .username
            .clone()
            .or_else(|| known.and_then(|known| known.username.clone())),
        email,
        enrolled_email,
        former_emails,
        language: learnt(
            known.and_then(|known| known.language),
            wish,
            person.language,
        ),
        met_at: known.map_or(now, |known| known.met_at),
        names,
        given_up: match known {
            Some(known) => reserved::after(read, key, known, names, enrolled, now)?,
            None => Vec::new(),
        },
    })
}

fn note_operator(tx: &mut Tx<'_>, key: PersonKey, now: Timestamp) -> Result<(), Failure> {
    let noted = tx.get::<Operator>(&key)?;
    if noted.is_some_and(|noted| noted.seen_at <= now && now.since(noted.seen_at) < NOTED_AGAIN) {
        return Ok(());
    }
    tx.put_until(&key, &Operator { seen_at: now }, now.plus(OPERATOR_FOR))
}

/// At most `limit` people whose tokens made them operators within the last 90 days.
///
/// # Errors
/// Those of the store.
pub fn operators(read: &dyn Read, limit: usize) -> Result<Vec<PersonKey>, Failure> {
    let scan = Scan {
        prefix: &[],
        past: None,
        order: Order::Ascending,
        limit,
    };
    let rows = read.list::<Operator>(&scan)?;
    Ok(rows.into_iter().map(|(person, _)| person).collect())
}

/// Whether a token made `person` an operator within the last 90 days.
///
/// # Errors
/// Those of the store.
pub fn is_operator(read: &dyn Read, person: PersonKey) -> Result<bool, Failure> {
    Ok(read.get::<Operator>(&person)?.is_some())
}
