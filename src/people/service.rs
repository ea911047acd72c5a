use crate::auth::Person;
use crate::base::{Failure, PersonKey, Timestamp};
use crate::mail::Address;
use crate::store::{Read, Tx};

use super::record::Profile;

/// What is known of a person.
///
/// # Errors
/// Those of the store.
pub fn profile(read: &dyn Read, person: PersonKey) -> Result<Option<Profile>, Failure> {
    read.get(&person)
}

/// Notes what the token of `person` says of them. Costs a write only where it says something new.
///
/// # Errors
/// Those of the store.
pub fn meet(
    tx: &mut Tx<'_>,
    key: PersonKey,
    person: &Person,
    now: Timestamp,
) -> Result<(), Failure> {
    let known = tx.get::<Profile>(&key)?;
    let claimed = person
        .email
        .as_ref()
        .filter(|email| email.verified != Some(false));
    let email = claimed.and_then(|email| email.address.parse::<Address>().ok());
    let profile = Profile {
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        tenant: person.tenant.clone(),
        username: person.username.clone(),
        // A token without the claim does not make a known address unknown.
        email: email.or_else(|| known.as_ref().and_then(|known| known.email.clone())),
        met_at: known.as_ref().map_or(now, |known| known.met_at),
    };
    if known.as_ref() != Some(&profile) {
        tx.put(&key, &profile)?;
    }
    Ok(())
}
