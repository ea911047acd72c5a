//! Where users are notified of changes to their factors. The issuer names a user's address, and someone who got into the
//! account there can have it name another: what was the user's address before goes on to be notified.

use crate::base::{Failure, PersonKey, Timestamp};
use crate::mail::Address;
use crate::store::{Read, Tx};

use super::record::{FormerAddress, Profile};
use super::service::profile;

/// Seconds that a former address is notified: 30 days.
pub const NOTIFIED_FOR: u64 = 30 * 86_400;
/// Former addresses of one user, besides the one at which the latest factor was confirmed.
pub const MOST_FORMER: usize = 7;

/// Returns the addresses at which `person` is notified at `now`, each once: the one that the issuer names, the one at
/// which the latest factor was confirmed, and former ones.
///
/// # Errors
/// Those of the store.
pub fn addresses(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<Address>, Failure> {
    let Some(profile) = profile(read, person)? else {
        return Ok(Vec::new());
    };
    let former = profile.former_emails.into_iter();
    let former = former.filter(|it| now < it.until).map(|it| it.address);
    let mut addresses: Vec<_> = profile
        .email
        .into_iter()
        .chain(profile.enrolled_email)
        .chain(former)
        .collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

/// Records that `person` confirmed a factor: at `mailbox` if codes are sent to it, else at the address that the issuer
/// names. The address at which the factor before was confirmed becomes a former one.
///
/// # Errors
/// Those of the store.
pub fn record_enrollment(
    tx: &mut Tx<'_>,
    person: PersonKey,
    mailbox: Option<Address>,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(mut profile) = profile(tx, person)? else {
        return Ok(());
    };
    let Some(address) = mailbox.or_else(|| profile.email.clone()) else {
        return Ok(());
    };
    if profile.enrolled_email.as_ref() == Some(&address) {
        return Ok(());
    }
    profile.former_emails.retain(|it| it.address != address);
    if let Some(before) = profile.enrolled_email.replace(address) {
        add(&mut profile.former_emails, before, true, now);
    }
    tx.put(&person, &profile)
}

/// Records that codes are no longer sent to `mailbox`, which goes on to be notified for a while.
///
/// # Errors
/// Those of the store.
pub fn record_former(
    tx: &mut Tx<'_>,
    person: PersonKey,
    mailbox: Address,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(mut profile) = profile(tx, person)? else {
        return Ok(());
    };
    add(&mut profile.former_emails, mailbox, true, now);
    tx.put(&person, &profile)
}

/// Returns the former addresses of the user who is `known` so far, once the issuer names `email`.
pub(super) fn former(
    known: Option<&Profile>,
    email: Option<&Address>,
    now: Timestamp,
) -> Vec<FormerAddress> {
    let Some(known) = known else {
        return Vec::new();
    };
    let all = known.former_emails.iter();
    let mut former: Vec<_> = all.filter(|it| now < it.until).cloned().collect();
    if let Some(before) = &known.email
        && Some(before) != email
        // It needs no place among them.
        && Some(before) != known.enrolled_email.as_ref()
    {
        add(&mut former, before.clone(), false, now);
    }
    former
}

/// Adds an address. If there are too many, the oldest at which no factor was confirmed makes room: however often the
/// issuer names another, it pushes out none at which one was.
fn add(former: &mut Vec<FormerAddress>, address: Address, is_enrolled: bool, now: Timestamp) {
    let known = former.iter().position(|it| it.address == address);
    let was_enrolled = known.is_some_and(|at| former.remove(at).is_enrolled);
    former.push(FormerAddress {
        address,
        until: now.plus(NOTIFIED_FOR),
        is_enrolled: is_enrolled || was_enrolled,
    });
    if former.len() > MOST_FORMER {
        let without = former.iter().position(|it| !it.is_enrolled);
        former.remove(without.unwrap_or_default());
    }
}
