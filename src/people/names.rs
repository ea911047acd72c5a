//! Whom a login service means that knows people by a name.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::auth::Person;
use crate::base::{Failure, PersonKey};
use crate::crypto::{CodeHash, Sealer};
use crate::store::{Key, Order, Read, Scan, Tx};

use super::record::{Bearer, BearerKey, Names, Profile};

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
}

/// Without the person.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Nobody => "Nobody",
            Found::One(_) => "One",
            Found::Several => "Several",
        })
    }
}

impl NameKind {
    fn word(self) -> &'static [u8] {
        match self {
            NameKind::Username => b"username",
            NameKind::Email => b"email",
        }
    }
}

/// Whom the people of `issuer` call `name`, among those whose tenant `may` be asked about. Case makes no difference,
/// nor does the way in which Unicode composes characters.
///
/// # Errors
/// Those of the store.
pub fn find(
    read: &dyn Read,
    keys: &Sealer,
    kind: NameKind,
    issuer: &str,
    name: &str,
    may: &dyn Fn(Option<&str>) -> bool,
) -> Result<Found, Failure> {
    let Some(hash) = hash(keys, kind, issuer, name) else {
        return Ok(Found::Nobody);
    };
    let mut found = Found::Nobody;
    let mut past: Option<Vec<u8>> = None;
    // Most tenants have an admin: those of others must not stand in the way of one's own.
    for _ in 0..MOST_BEARERS / PAGE {
        let bearers = read.list::<Bearer>(&Scan {
            prefix: hash.as_bytes(),
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        let is_last = bearers.len() < PAGE;
        past = bearers.last().map(|(key, _)| key.encode());
        for (BearerKey { person, .. }, _) in bearers {
            let Some(profile) = read.get::<Profile>(&person)? else {
                continue;
            };
            if profile.names.of(kind) != Some(hash) || !may(profile.tenant.as_deref()) {
                continue;
            }
            if found != Found::Nobody {
                return Ok(Found::Several);
            }
            found = Found::One(person);
        }
        if is_last {
            return Ok(found);
        }
    }
    Ok(Found::Several)
}

/// The names that `person` is found by after their token was seen, where `known` were they before.
///
/// The issuer's last word counts. A token without a claim says nothing of it, as one that was issued for fewer
/// scopes; one that names another address takes the old one away, verified or not, since the old one may be
/// somebody else's by now.
pub(super) fn names(keys: &Sealer, person: &Person, known: Names) -> Names {
    let hash = |kind, name: &str| hash(keys, kind, &person.issuer, name);
    let username = match &person.username {
        Some(name) => hash(NameKind::Username, name),
        None => known.username,
    };
    let email = match &person.email {
        None => known.email,
        Some(email) => {
            let named = hash(NameKind::Email, &email.address);
            match email.verified {
                Some(true) => named,
                None if named == known.email => named,
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
) -> Result<(), Failure> {
    for kind in [NameKind::Username, NameKind::Email] {
        let (old, new) = (before.of(kind), after.of(kind));
        if old == new {
            continue;
        }
        if let Some(name) = old {
            tx.delete::<Bearer>(&BearerKey::new(name, person));
        }
        if let Some(name) = new {
            tx.put(&BearerKey::new(name, person), &Bearer {})?;
        }
    }
    Ok(())
}

pub(super) fn hash(keys: &Sealer, kind: NameKind, issuer: &str, name: &str) -> Option<CodeHash> {
    let name = normal(name)?;
    Some(keys.code_hash(&[b"name", kind.word(), issuer.as_bytes()], &name))
}

/// `name` in the form that is compared; `None` where nobody could go by it, since it has blanks around it or
/// something in it that cannot be typed, or is too long.
pub fn normal(name: &str) -> Option<String> {
    let odd = name.is_empty()
        || name.chars().take(LONGEST + 1).count() > LONGEST
        || name.starts_with(char::is_whitespace)
        || name.ends_with(char::is_whitespace)
        || name.chars().any(char::is_control);
    (!odd).then(|| {
        let folded = name.nfc().flat_map(char::to_lowercase);
        // Both are the small form of one capital; only their place in the word differs.
        let folded = folded.map(|c| if c == 'ς' { 'σ' } else { c });
        // Some letters compose in lower case alone.
        folded.nfc().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::Target;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    #[test]
    fn names_are_compared_without_case_and_composition_and_with_all_else() {
        let table = [
            ("Alice", Some("alice")),
            ("ALICE@EXAMPLE.COM", Some("alice@example.com")),
            ("e\u{301}va", Some("\u{e9}va")),
            ("E\u{301}VA", Some("\u{e9}va")),
            ("\u{c9}va", Some("\u{e9}va")),
            ("ИВАН", Some("иван")),
            ("H\u{331}assan", Some("\u{1e96}assan")),
            ("\u{1e96}assan", Some("\u{1e96}assan")),
            ("ΟΔΥΣΣΕΥΣ", Some("οδυσσευσ")),
            ("Οδυσσεύς", Some("οδυσσεύσ")),
            ("a b", Some("a b")),
            ("alice.", Some("alice.")),
            // Looks alike and is another: Cyrillic.
            ("\u{430}lice", Some("\u{430}lice")),
            // Full width is no composition.
            ("ａlice", Some("ａlice")),
            ("", None),
            (" alice", None),
            ("alice ", None),
            ("alice\u{a0}", None),
            ("\u{2003}alice", None),
            ("ali\nce", None),
            ("ali\0ce", None),
            ("alice\u{7f}", None),
        ];
        for (name, form) in table {
            assert_eq!(normal(name).as_deref(), form, "{name:?}");
        }
        assert!(normal(&"é".repeat(255)).is_some());
        assert!(normal(&"é".repeat(256)).is_none());
    }

    /// A name has one form, in whatever case and composition it is written.
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
            let Some(form) = normal(&name) else {
                return false;
            };
            assert_eq!(form.nfc().collect::<String>(), form);
            // Written in another way it can be longer than any name.
            let same = |other: String| {
                other.chars().count() > LONGEST || normal(&other).as_ref() == Some(&form)
            };
            assert!(same(form.clone()), "{form:?}");
            assert!(
                same(name.nfd().collect()) && same(name.nfc().collect()),
                "composition of {name:?}"
            );
            assert!(same(name.to_lowercase()), "lower case of {name:?}");
            // Some letters have a capital that is also another's: the dotless i, the long s.
            let capitals: String = name.chars().flat_map(char::to_uppercase).collect();
            let back: String = capitals.chars().flat_map(char::to_lowercase).collect();
            let there: String = name.chars().flat_map(char::to_lowercase).collect();
            assert!(back != there || same(capitals), "upper case of {name:?}");
            true
        });
    }
}
