use serde::{Deserialize, Serialize};

use super::record::Kept;
use super::rule::{MOST_DEVICES, Standing, Token, end, standing};
use crate::base::{Entropy, Failure, PersonKey, Secret, Timestamp, TrustedDeviceId, display_text};
use crate::crypto::{CodeHash, Sealer};
use crate::store::{Order, Read, Scan, Store, Tx};

/// The most characters of what a browser calls itself.
const LONGEST_USER_AGENT: usize = 128;

/// A browser that is to be trusted.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Whose it is.
    pub person: PersonKey,
    /// At which login service it is trusted, and nowhere else.
    pub service_id: &'a str,
    /// What it calls itself: shown to the person, and believed in nothing.
    pub user_agent: Option<&'a str>,
    /// For how many days, as policy says; not 0, which forbids it.
    pub days: u64,
    /// From when.
    pub now: Timestamp,
}

/// What comes of a token.
#[derive(Debug)]
pub enum Trust {
    /// It is the device's own.
    Trusted {
        /// The next one, which alone is good from now on.
        device_token: Secret<String>,
    },
    /// It is no token of a trusted device of this person at this service.
    Unknown,
    /// It names such a device and is not the one that the device holds, so the browser's storage was copied. The
    /// device is revoked.
    Copied,
}

/// What a person sees of a device that they trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedDevice {
    /// `trd_…`
    pub id: TrustedDeviceId,
    /// The login service.
    pub service: String,
    /// What it calls itself.
    pub user_agent: Option<String>,
    /// When it was remembered.
    pub created_at: Timestamp,
    /// When it last stood in for a factor.
    pub last_used_at: Option<Timestamp>,
    /// When it is no longer trusted, as promised when it was remembered.
    pub expires_at: Timestamp,
}

impl TrustedDevice {
    /// When it is no longer trusted where policy allows `days` now.
    pub fn end(&self, days: u64) -> Timestamp {
        end(self.created_at, self.expires_at, days)
    }
}

/// Trusts a browser of `person` at one service for `days`, and gives its first token. See [`remember_as`].
///
/// # Errors
/// As [`remember_as`].
pub fn remember(
    tx: &mut Tx<'_>,
    keys: &Sealer,
    entropy: &dyn Entropy,
    person: PersonKey,
    service_id: &str,
    days: u64,
    now: Timestamp,
) -> Result<Secret<String>, Failure> {
    let new = New {
        person,
        service_id,
        user_agent: None,
        days,
        now,
    };
    remember_as(tx, keys, entropy, &new)
}

/// Trusts a browser, and gives its first token. Of more than [`MOST_DEVICES`] the oldest goes.
///
/// # Errors
/// `internal` where policy forbids it (`days` is 0): ask policy first. Those of the store and the randomness.
pub fn remember_as(
    tx: &mut Tx<'_>,
    keys: &Sealer,
    entropy: &dyn Entropy,
    new: &New<'_>,
) -> Result<Secret<String>, Failure> {
    if new.days == 0 {
        return Err(Failure::internal(
            "a device was to be trusted where policy forbids it",
        ));
    }
    let mut known = all(tx, new.person)?;
    known.sort_by_key(|(id, kept)| (new.now < kept.expires_at, kept.created_at, *id));
    let surplus = (known.len() + 1).saturating_sub(MOST_DEVICES);
    for (id, _) in known.into_iter().take(surplus) {
        tx.delete::<Kept>(&(new.person, id));
    }
    let token = Token::draw(TrustedDeviceId::draw(entropy)?, entropy)?;
    let kept = Kept {
        service: new.service_id.to_owned(),
        user_agent: new
            .user_agent
            .and_then(|text| display_text(text, LONGEST_USER_AGENT)),
        created_at: new.now,
        last_used_at: None,
        expires_at: end(new.now, Timestamp::MAX, new.days),
        current: hash(keys, new.person, new.service_id, &token),
        rotated_at: new.now,
        former: Vec::new(),
    };
    tx.put_until(&(new.person, token.device), &kept, kept.expires_at)?;
    Ok(token.to_text())
}

/// Judges the token that a browser brings for `person` at one service, where policy allows `days` now.
/// The current one is used up by it.
///
/// # Errors
/// Those of the store and the randomness.
#[expect(
    clippy::too_many_arguments,
    reason = "whose, where, what and when are one question"
)]
pub fn check(
    tx: &mut Tx<'_>,
    keys: &Sealer,
    entropy: &dyn Entropy,
    person: PersonKey,
    service_id: &str,
    token: &str,
    days: u64,
    now: Timestamp,
) -> Result<Trust, Failure> {
    let Some(token) = Token::read(token) else {
        return Ok(Trust::Unknown);
    };
    let key = (person, token.device);
    let Some(mut kept) = tx.get::<Kept>(&key)? else {
        return Ok(Trust::Unknown);
    };
    if kept.service != service_id || now >= end(kept.created_at, kept.expires_at, days) {
        return Ok(Trust::Unknown);
    }
    match standing(&kept, &hash(keys, person, service_id, &token), now) {
        Standing::OtherTab => Ok(Trust::Unknown),
        Standing::Copy => {
            tx.delete::<Kept>(&key);
            Ok(Trust::Copied)
        }
        Standing::Current => {
            let next = Token::draw(token.device, entropy)?;
            let current = hash(keys, person, service_id, &next);
            kept.former = vec![std::mem::replace(&mut kept.current, current)];
            kept.rotated_at = now;
            kept.last_used_at = Some(now);
            tx.put_until(&key, &kept, kept.expires_at)?;
            Ok(Trust::Trusted {
                device_token: next.to_text(),
            })
        }
    }
}

/// Trusts none of a person's devices any more: after every change to their factors, whoever
/// sits at one proves themselves anew.
///
/// # Errors
/// Those of the store.
pub fn forget_all(tx: &mut Tx<'_>, person: PersonKey) -> Result<(), Failure> {
    for (id, _) in all(tx, person)? {
        tx.delete::<Kept>(&(person, id));
    }
    Ok(())
}

/// Trusts no device of anybody any more, in a store that was brought back from a copy and that nobody else has: its
/// tokens may have been used up since. Gives who had one that was good at `now`, each once.
///
/// # Errors
/// Those of the store; then some may be left.
pub async fn heal(store: &Store, now: Timestamp) -> Result<Vec<PersonKey>, Failure> {
    let forgotten = store.each::<Kept, PersonKey, _>(move |tx, key, kept| {
        tx.delete::<Kept>(key);
        Ok((now < kept.expires_at).then_some(key.0))
    });
    let mut people = forgotten.await?;
    // Those of one person stand together.
    people.dedup();
    Ok(people)
}

/// The devices that a person trusts at `now`, the newest first.
///
/// # Errors
/// Those of the store.
pub fn list(
    read: &dyn Read,
    person: PersonKey,
    now: Timestamp,
) -> Result<Vec<TrustedDevice>, Failure> {
    let mut devices: Vec<TrustedDevice> = all(read, person)?
        .into_iter()
        .filter(|(_, kept)| now < kept.expires_at)
        .map(|(id, kept)| TrustedDevice {
            id,
            service: kept.service,
            user_agent: kept.user_agent,
            created_at: kept.created_at,
            last_used_at: kept.last_used_at,
            expires_at: kept.expires_at,
        })
        .collect();
    devices.sort_by_key(|device| std::cmp::Reverse((device.created_at, device.id)));
    Ok(devices)
}

/// Trusts that device of the person no more. False where there is none of that name.
///
/// # Errors
/// Those of the store.
pub fn revoke(tx: &mut Tx<'_>, person: PersonKey, id: TrustedDeviceId) -> Result<bool, Failure> {
    let key = (person, id);
    let known = tx.get::<Kept>(&key)?.is_some();
    if known {
        tx.delete::<Kept>(&key);
    }
    Ok(known)
}

fn all(read: &dyn Read, person: PersonKey) -> Result<Vec<(TrustedDeviceId, Kept)>, Failure> {
    let scan = Scan {
        prefix: person.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: MOST_DEVICES * 2,
    };
    let rows = read.list::<Kept>(&scan)?;
    Ok(rows.into_iter().map(|((_, id), kept)| (id, kept)).collect())
}

/// A token is good for its person, service and device alone.
fn hash(keys: &Sealer, person: PersonKey, service_id: &str, token: &Token) -> CodeHash {
    let owner = [
        b"trusted device",
        person.as_bytes().as_slice(),
        service_id.as_bytes(),
        token.device.as_bytes(),
    ];
    keys.code_hash(&owner, &token.secret_text())
}
