//! Finds users for an operator on the machine, who may name several.

use std::collections::BTreeSet;

use crate::base::{Failure, PersonKey};
use crate::crypto::Sealer;
use crate::store::{Key, Order, Read, Scan};

use super::names::{NameKind, hash};
use super::record::{Bearer, BearerKey, Profile};

/// Returns at most `limit` users of `issuer` who have `name` as a name of this `kind`, in whatever tenant they are. Names
/// are compared as in [`super::find`].
///
/// # Errors
/// Those of the store.
pub fn bearers(
    read: &dyn Read,
    keys: &Sealer,
    kind: NameKind,
    issuer: &str,
    name: &str,
    limit: usize,
) -> Result<Vec<PersonKey>, Failure> {
    let Some(hash) = hash(keys, kind, issuer, name) else {
        return Ok(Vec::new());
    };
    let rows = read.list::<Bearer>(&Scan {
        prefix: hash.as_bytes(),
        past: None,
        order: Order::Ascending,
        limit,
    })?;
    let mut users = Vec::new();
    for (BearerKey { person, .. }, _) in rows {
        // The index counts only if the profile says the same.
        let profile = read.get::<Profile>(&person)?;
        if profile.is_some_and(|profile| profile.names.of(kind) == Some(hash)) {
            users.push(person);
        }
    }
    Ok(users)
}

/// How many users are read at once.
const PAGE: usize = 1024;

/// Returns the issuers of all users. Reads every user: about a second for 200,000.
///
/// # Errors
/// Those of the store.
pub fn issuers(read: &dyn Read) -> Result<Vec<String>, Failure> {
    let mut issuers = BTreeSet::new();
    let mut past: Option<Vec<u8>> = None;
    loop {
        let page = read.list::<Profile>(&Scan {
            prefix: &[],
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        let Some((last, _)) = page.last() else {
            return Ok(issuers.into_iter().collect());
        };
        past = Some(last.encode());
        issuers.extend(page.into_iter().map(|(_, profile)| profile.issuer));
    }
}
