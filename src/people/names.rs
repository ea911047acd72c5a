//! Whom a login service means that knows people by a name.

use std::fmt;

use crate::auth::Person;
use crate::base::{Failure, PersonKey, Timestamp, prepared_address, prepared_name};
use crate::crypto::{CodeHash, Sealer};
use crate::store::{Key, Order, Read, Record, Scan, Tx};

use super::record::{Bearer, BearerKey, Names, Profile, Reserved};

/// How many people a name is looked up among, whosever they are. Beyond, nobody is meant by it.
pub const MOST_BEARERS: usize = 1024;
/// How many of them are read at once.
const PAGE: usize = 64;
/// The most characters of a name that anybody is found by: those of a claim.
const LONGEST: usize = 255;

/// What sort of name. A name of one sort finds nobody who bears it as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// `preferred_username`.
    Username,
    /// An `email` that the issuer has verified.
    Email,
}

/// Whom a name means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nobody whom the server has met.
    Nobody,
    /// This person.
    One(PersonKey),
    /// More than one, and so no one.
    Several,
    /// Somebody whom it must not mean here: of another tenant, or who had the name before.
    Barred,
}

/// Without the person.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Nobody => "Nobody",
            Found::One(_) => "One",
            Found::Several => "Several",
            Found::Barred => "Barred",
        })
    }
}

impl NameKind {
    pub(super) const ALL: [NameKind; 2] = [NameKind::Username, NameKind::Email];

    fn word(self) -> &'static [u8] {
        match self {
            NameKind::Username => b"username",
            NameKind::Email => b"email",
        }
    }
}

/// A name that is looked up.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// What sort of name.
    pub kind: NameKind,
    /// Whose people.
    pub issuer: &'a str,
    /// The name, however it is spelled.
    pub name: &'a str,
    /// When it is looked up.
    pub now: Timestamp,
}

/// What somebody of a name is to the one who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// May be meant.
    Meant,
    /// May be meant, and has a second factor.
    Enrolled,
    /// Must not be meant, and no one may come in under a name of theirs, unless it also means someone who may.
    Barred,
    /// Must not be meant, and no one may come in under a name of theirs, whoever else bears it.
    Blocking,
    /// As if they were not there.
    Ignored,
}

/// Whom a name means, among those who `fit`. Spellings that a directory takes for one name are one name
/// ([`prepared_name`]). Among several who have it, it means one who has a second factor, if the others came to it later and have
/// none; and else nobody.
///
/// # Errors
/// Those of the store and of `fit`.
pub fn find(
    read: &dyn Read,
    keys: &Sealer,
    lookup: &Lookup<'_>,
    fit: &dyn Fn(PersonKey, &Profile) -> Result<Fit, Failure>,
) -> Result<Found, Failure> {
    let Some(hash) = hash(keys, lookup.kind, lookup.issuer, lookup.name) else {
        return Ok(Found::Nobody);
    };
    let (mut meant, mut barred, mut blocked) = (Vec::new(), false, false);
    let all = each::<Bearer>(read, hash, &mut |person, profile, bearer| {
        if profile.names.of(lookup.kind) != Some(hash) {
            return Ok(());
        }
        match fit(person, profile)? {
            fit @ (Fit::Meant | Fit::Enrolled) => meant.push(Claim {
                person,
                since: bearer.since,
                is_enrolled: fit == Fit::Enrolled,
            }),
            Fit::Barred => barred = true,
            Fit::Blocking => blocked = true,
            Fit::Ignored => {}
        }
        Ok(())
    })?;
    // Whoever had the name before may still be let in under it elsewhere.
    let all_reserved = each::<Reserved>(read, hash, &mut |person, profile, _| {
        if profile.reserves(hash, lookup.now).is_none() {
            return Ok(());
        }
        match fit(person, profile)? {
            Fit::Meant | Fit::Enrolled | Fit::Blocking => blocked = true,
            Fit::Barred => barred = true,
            Fit::Ignored => {}
        }
        Ok(())
    })?;
    Ok(match meant.as_slice() {
        _ if blocked || !all_reserved => Found::Barred,
        _ if !all => Found::Several,
        [one] => Found::One(one.person),
        [] if barred => Found::Barred,
        [] => Found::Nobody,
        several => foremost(several).map_or(Found::Several, Found::One),
    })
}

/// What stands behind a user's claim to a name.
pub(super) struct Claim {
    pub person: PersonKey,
    /// Since when they have it; `None` is before any moment.
    pub since: Option<Timestamp>,
    /// Whether they have a second factor.
    pub is_enrolled: bool,
}

/// Whom a name means that several have: the only one of them with a second factor, if nobody had it before.
pub(super) fn foremost(claims: &[Claim]) -> Option<PersonKey> {
    let mut enrolled = claims.iter().filter(|claim| claim.is_enrolled);
    let (first, None) = (enrolled.next()?, enrolled.next()) else {
        return None;
    };
    let is_first = claims.iter().all(|claim| first.since <= claim.since);
    is_first.then_some(first.person)
}

/// Has `look` at each user with a row in this table under the name. False where they are more than are looked at.
fn each<R: Record<Key = BearerKey>>(
    read: &dyn Read,
    name: CodeHash,
    look: &mut dyn FnMut(PersonKey, &Profile, R) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let mut past: Option<Vec<u8>> = None;
    // Most tenants have an admin: those of others must not stand in the way of one's own.
    for _ in 0..MOST_BEARERS / PAGE {
        let rows = read.list::<R>(&Scan {
            prefix: name.as_bytes(),
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        let is_last = rows.len() < PAGE;
        past = rows.last().map(|(key, _)| key.encode());
        for (key, row) in rows {
            if let Some(profile) = read.get::<Profile>(&key.person)? {
                look(key.person, &profile, row)?;
            }
        }
        if is_last {
            return Ok(true);
        }
    }
    let one_more = read.list::<R>(&Scan {
        prefix: name.as_bytes(),
        past: past.as_deref(),
        order: Order::Ascending,
        limit: 1,
    })?;
    Ok(one_more.is_empty())
}

/// The names that `person` is found by after their token was seen, where `known` is what was known before.
///
/// The issuer's last word counts. A token without a claim says nothing of it, as one that was issued for fewer
/// scopes; one that names another address takes the old one away, verified or not, since the old one may be
/// somebody else's by now.
pub(super) fn names(keys: &Sealer, person: &Person, known: Option<&Profile>) -> Names {
    let before = known.map(|known| known.names).unwrap_or_default();
    // What is spelled as it was has the hash that it had.
    let hash = |kind, name: &str, was: Option<&str>| match before.of(kind) {
        Some(hash) if was == Some(name) => Some(hash),
        _ => hash(keys, kind, &person.issuer, name),
    };
    let username = match &person.username {
        Some(name) => {
            let was = known.and_then(|known| known.username.as_deref());
            hash(NameKind::Username, name, was)
        }
        None => before.username,
    };
    let email = match &person.email {
        None => before.email,
        Some(email) => {
            let was = known.and_then(|known| known.email.as_ref());
            let was = was.map(|address| address.as_str());
            let named = hash(NameKind::Email, &email.address, was);
            match email.verified {
                Some(true) => named,
                None if named == before.email => named,
                _ => None,
            }
        }
    };
    Names { username, email }
}

/// Takes `person` from where `before` finds them to where `after` does.
pub(super) fn enter(
    tx: &mut Tx<'_>,
    person: PersonKey,
    before: Names,
    after: Names,
    now: Timestamp,
) -> Result<(), Failure> {
    for kind in NameKind::ALL {
        let (old, new) = (before.of(kind), after.of(kind));
        if old == new {
            continue;
        }
        if let Some(name) = old {
            tx.delete::<Bearer>(&BearerKey::new(name, person));
        }
        if let Some(name) = new {
            let bearer = Bearer {
                since: Some(now),
                notified: Vec::new(),
            };
            tx.put(&BearerKey::new(name, person), &bearer)?;
        }
    }
    Ok(())
}

/// Whether another user went by `name` before `person` did.
pub(super) fn was_anothers_before(
    read: &dyn Read,
    person: PersonKey,
    name: CodeHash,
) -> Result<bool, Failure> {
    let Some(own) = read.get::<Bearer>(&BearerKey::new(name, person))? else {
        return Ok(false);
    };
    let bearers = read.list::<Bearer>(&Scan {
        prefix: name.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit: MOST_BEARERS,
    })?;
    // A row from before this was recorded is older than any that has a time.
    Ok(bearers
        .iter()
        .any(|(key, other)| key.person != person && other.since < own.since))
}

/// The keyed hash that a name is found by; `None` where nobody can go by it.
pub(super) fn hash(keys: &Sealer, kind: NameKind, issuer: &str, name: &str) -> Option<CodeHash> {
    let name = prepared(kind, name)?;
    Some(keys.code_hash(&[b"name", kind.word(), issuer.as_bytes()], &name))
}

/// `name` in the form that is compared; `None` where nobody can go by it, since nothing of it is left, it has control
/// characters in it or is too long.
pub fn prepared(kind: NameKind, name: &str) -> Option<String> {
    if name.chars().take(LONGEST + 1).count() > LONGEST {
        return None;
    }
    match kind {
        NameKind::Username => prepared_name(name),
        NameKind::Email => prepared_address(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::Target;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn a_name_has_255_characters_at_the_most() {
        for kind in NameKind::ALL {
            assert!(prepared(kind, &"é".repeat(255)).is_some());
            assert!(prepared(kind, &"é".repeat(256)).is_none());
        }
    }

    /// A name has one form, in whatever case and composition it is written, and with whatever does not show.
    #[test]
    fn fuzz_names() {
        let piece = select(
            &[
                "a",
                "H",
                "\u{331}",
                "\u{301}",
                "İ",
                "ı",
                "Σ",
                "ς",
                "σ",
                "ß",
                "ẞ",
                "K",
                "Å",
                "ǅ",
                "@example.com",
                " ",
                "\u{345}",
                "\u{a0}",
                "\u{390}",
                "Ⅷ",
                "ﬁ",
                "\u{1f88}",
                "\u{10a0}",
                "\u{13a0}",
            ][..],
        );
        let generated = vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes());
        Target::new("names").check(generated, |input| {
            let name = String::from_utf8_lossy(input);
            let form_of = |name: &str| prepared(NameKind::Username, name);
            let Some(form) = form_of(&name) else {
                return false;
            };
            assert_eq!(form.nfkc().collect::<String>(), form);
            // Written in another way it can be longer than any name.
            let same = |other: String| {
                other.chars().count() > LONGEST || form_of(&other).as_ref() == Some(&form)
            };
            assert!(same(form.clone()), "{form:?}");
            assert!(
                same(name.nfd().collect()) && same(name.nfkc().collect()),
                "composition of {name:?}"
            );
            assert!(same(name.to_lowercase()), "lower case of {name:?}");
            let spread: String = name.chars().flat_map(|c| [c, '\u{ad}']).collect();
            assert!(same(spread), "{name:?} with soft hyphens");
            // Some letters have a capital that is also another's: the dotless i, the long s.
            let capitals: String = name.chars().flat_map(char::to_uppercase).collect();
            let back: String = capitals.chars().flat_map(char::to_lowercase).collect();
            let there: String = name.chars().flat_map(char::to_lowercase).collect();
            assert!(back != there || same(capitals), "upper case of {name:?}");
            true
        });
    }
}
