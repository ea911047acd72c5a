//! Names that users gave up.
//!
//! At many issuers users choose their names. A login service may go on to let somebody in under a name that has changed
//! at the issuer, and the next user to choose it must not answer for them, nor they for the next one. So a name that a
//! user with a second factor gives up means nobody for a while.

use crate::base::{Code, Failure, Kind, PersonKey, Timestamp};
use crate::crypto::{CodeHash, Sealer};
use crate::store::{Key, Order, Read, Scan, Tx};

use super::names::{self, NameKind};
use super::record::{BearerKey, Names, Profile, Reservation, Reserved};
use super::service::Enrolled;

/// Names of one user that are reserved at once. One more is not, so that none that is can be pushed out.
pub const MOST_RESERVED: usize = 8;
/// Seconds for which a name is reserved: 400 days.
pub const RESERVED_FOR: u64 = 400 * 86_400;
/// Users of one reserved name who are notified of it.
const MOST_NOTIFIED: usize = 8;
/// Rows that are read at once.
const PAGE: usize = 256;

/// Nobody has given up that name, or not lately.
pub const NAME_NOT_RESERVED: Code = Code {
    name: "name_not_reserved",
    kind: Kind::NotFound,
    title: "That name is not reserved",
};

/// Somebody bears a name that is reserved for another user.
pub struct Contest {
    /// The user who gave it up.
    pub owner: PersonKey,
    /// Their subject at the issuer, which is that of both.
    pub owner_subject: String,
    /// The name, in the form that is compared.
    pub name: String,
    /// Until when it means neither of them.
    pub until: Timestamp,
}

/// What is reserved for the user `known` after a token by which they go by `names`.
pub(super) fn after(
    read: &dyn Read,
    person: PersonKey,
    known: &Profile,
    names: Names,
    enrolled: Enrolled<'_>,
    now: Timestamp,
) -> Result<Vec<Reservation>, Failure> {
    let bears = |name: CodeHash| {
        NameKind::ALL
            .iter()
            .any(|kind| names.of(*kind) == Some(name))
    };
    // Who takes a name back has it again.
    let kept = known
        .given_up
        .iter()
        .filter(|it| now < it.until && !bears(it.name));
    let mut reserved: Vec<Reservation> = kept.cloned().collect();
    let lost = NameKind::ALL
        .iter()
        .filter_map(|kind| known.names.of(*kind));
    let lost: Vec<CodeHash> = lost.filter(|name| !bears(*name)).collect();
    if lost.is_empty() || !enrolled(read, person)? {
        return Ok(reserved);
    }
    for name in lost {
        // Whoever takes another user's name and gives it up again must not keep them out.
        if names::was_anothers_before(read, person, name)? {
            continue;
        }
        reserved.retain(|it| it.name != name);
        if reserved.len() == MOST_RESERVED {
            tracing::warn!("a user gave up more names than are reserved for one");
            continue;
        }
        let until = now.plus(RESERVED_FOR);
        reserved.push(Reservation { name, until });
    }
    Ok(reserved)
}

/// Takes the rows of `person` from what `before` reserves to what `after` does.
pub(super) fn enter(
    tx: &mut Tx<'_>,
    person: PersonKey,
    before: &[Reservation],
    after: &[Reservation],
) -> Result<(), Failure> {
    for gone in before.iter().filter(|it| !after.contains(it)) {
        tx.delete::<Reserved>(&BearerKey::new(gone.name, person));
    }
    for new in after.iter().filter(|it| !before.contains(it)) {
        let key = BearerKey::new(new.name, person);
        tx.put_until(&key, &Reserved::default(), new.until)?;
    }
    Ok(())
}

/// The names of `person` that are reserved for others, those once each of which they were not notified yet.
pub(super) fn contests(
    tx: &mut Tx<'_>,
    person: PersonKey,
    profile: &Profile,
    now: Timestamp,
) -> Result<Vec<Contest>, Failure> {
    let mut contests = Vec::new();
    for kind in NameKind::ALL {
        let Some(name) = profile.names.of(kind) else {
            continue;
        };
        let scan = Scan {
            prefix: name.as_bytes(),
            past: None,
            order: Order::Ascending,
            limit: PAGE,
        };
        for (key, mut row) in tx.list::<Reserved>(&scan)? {
            let is_news = key.person != person
                && row.notified.len() < MOST_NOTIFIED
                && !row.notified.contains(&person);
            let owner = match is_news {
                true => tx.get::<Profile>(&key.person)?,
                false => None,
            };
            let until = owner.as_ref().and_then(|it| it.reserves(name, now));
            let Some((owner, until)) = owner.zip(until) else {
                continue;
            };
            row.notified.push(person);
            tx.put_until(&key, &row, until)?;
            contests.push(Contest {
                owner: key.person,
                owner_subject: owner.subject,
                name: shown(kind, profile),
                until,
            });
        }
    }
    Ok(contests)
}

/// The user's name of that kind, in the form that is compared.
pub(super) fn shown(kind: NameKind, profile: &Profile) -> String {
    let name = match kind {
        NameKind::Username => profile.username.as_deref(),
        NameKind::Email => profile.email.as_ref().map(|email| email.as_str()),
    };
    let form = name.and_then(|name| names::prepared(kind, name));
    form.unwrap_or_default()
}

/// Ends what reserves `name` at `issuer`, or at all issuers: from now on it means whoever bears it. Gives for whom it
/// was reserved: their subjects, each with its issuer.
///
/// # Errors
/// `name_not_reserved` where it is reserved for none; those of the store.
pub fn release_name(
    tx: &mut Tx<'_>,
    keys: &Sealer,
    name: &str,
    issuer: Option<&str>,
) -> Result<Vec<(String, String)>, Failure> {
    let mut ended = Vec::new();
    let mut past: Option<Vec<u8>> = None;
    loop {
        let rows = tx.list::<Reserved>(&Scan {
            prefix: &[],
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        let Some((last, _)) = rows.last() else {
            break;
        };
        past = Some(last.encode());
        for (key, _) in rows {
            let Some(mut owner) = tx.get::<Profile>(&key.person)? else {
                continue;
            };
            if issuer.is_some_and(|issuer| issuer != owner.issuer) {
                continue;
            }
            let hashes = NameKind::ALL.map(|kind| names::hash(keys, kind, &owner.issuer, name));
            let Some(hash) = hashes.into_iter().flatten().find(|hash| key.has(*hash)) else {
                continue;
            };
            owner.given_up.retain(|it| it.name != hash);
            tx.put(&key.person, &owner)?;
            tx.delete::<Reserved>(&key);
            ended.push((owner.subject, owner.issuer));
        }
    }
    match ended.is_empty() {
        true => Err(Failure::new(NAME_NOT_RESERVED, "That name is not reserved for anybody").with(
            "hint",
            "spelling makes no difference; a name is reserved for 400 days after a user with a second factor gave it up",
        )),
        false => Ok(ended),
    }
}
