//! Which language a person is written to in.

use serde::{Deserialize, Serialize};

use crate::base::{Failure, PersonKey};
use crate::store::{Read, Tx};
use crate::words::Language;

use super::record::Profile;

/// What a request says of the language that whoever sent it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// What was chosen on a page of ours.
    pub chosen: Option<Language>,
    /// What the browser asks for.
    pub accepted: Option<Language>,
}

/// The language that is noted of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Which.
    pub language: Language,
    /// Whether they chose it themselves: what a token or a browser says does not take its place then.
    pub chosen: bool,
}

/// What is noted after the person asked with `wish` and a token that names the language `claimed`, where `known` was
/// noted before.
pub(super) fn learnt(known: Option<Noted>, wish: Wish, claimed: Option<Language>) -> Option<Noted> {
    let noted = |chosen: bool| move |language: Language| Noted { language, chosen };
    let chosen = wish.chosen.map(noted(true));
    let chosen = chosen.or(known.filter(|known| known.chosen));
    let said = claimed.or(wish.accepted).map(noted(false));
    chosen.or(said).or(known)
}

/// The language that `person` is written to in: what is noted of them; else what the request says on whose account
/// they are written to, which may be a stranger's; else `usual`.
///
/// # Errors
/// Those of the store.
pub fn language(
    read: &dyn Read,
    person: PersonKey,
    wish: Wish,
    usual: Language,
) -> Result<Language, Failure> {
    let noted = read
        .get::<Profile>(&person)?
        .and_then(|known| known.language);
    let noted = noted.map(|noted| noted.language);
    Ok(noted.or(wish.chosen).or(wish.accepted).unwrap_or(usual))
}

/// Notes what somebody chose who has just proved to be `person`, if the server has met them. Costs a write only
/// where it is new.
///
/// # Errors
/// Those of the store.
pub fn choose(tx: &mut Tx<'_>, person: PersonKey, language: Language) -> Result<(), Failure> {
    let Some(mut profile) = tx.get::<Profile>(&person)? else {
        return Ok(());
    };
    let chosen = Noted {
        language,
        chosen: true,
    };
    if profile.language.replace(chosen) == Some(chosen) {
        return Ok(());
    }
    tx.put(&person, &profile)
}
