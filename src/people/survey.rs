//! What operators should know of users: those of one issuer who bear one name, and those of no tenant.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::base::{Failure, PersonKey, Timestamp};
use crate::store::{Key, Order, Read, Scan};

use super::names::NameKind;
use super::record::{Bearer, BearerKey, Profile};

/// Rows that are read at once.
const PAGE: usize = 256;

/// Several users of one issuer whom one name means, so that services that know them by it are refused
/// (`ambiguous_name`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twins {
    /// Whose users they are.
    pub issuer: String,
    /// How the name is spelled, each way once.
    pub spellings: BTreeSet<String>,
    /// How many bear it.
    pub bearers: usize,
    /// Whether the spellings were different names until the format 2, which compares them as directories do.
    pub were_apart: bool,
}

/// What operators should know of the users that the server has met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Some of the names that several users bear: first those that were apart.
    pub twins: Vec<Twins>,
    /// How many such names there are.
    pub twin_names: usize,
    /// How many of them were apart.
    pub were_apart: usize,
    /// Users with a second factor who were seen in no tenant: services that are confined to one refuse them.
    pub in_no_tenant: usize,
}

/// Looks through all users, of whom `enrolled` says who has a second factor. Tells of `most` names.
///
/// # Errors
/// Those of the store and of `enrolled`.
pub fn survey(
    read: &dyn Read,
    most: usize,
    enrolled: &dyn Fn(&dyn Read, PersonKey) -> Result<bool, Failure>,
    now: Timestamp,
) -> Result<Survey, Failure> {
    let mut survey = Survey {
        in_no_tenant: in_no_tenant(read, enrolled, now)?,
        ..Survey::default()
    };
    let mut alike = Vec::new();
    twins(read, &mut |twins| {
        survey.twin_names += 1;
        survey.were_apart += usize::from(twins.were_apart);
        let found = match twins.were_apart {
            true => &mut survey.twins,
            false => &mut alike,
        };
        if found.len() < most {
            found.push(twins);
        }
    })?;
    let room = most.saturating_sub(survey.twins.len());
    survey.twins.extend(alike.into_iter().take(room));
    Ok(survey)
}

fn in_no_tenant(
    read: &dyn Read,
    enrolled: &dyn Fn(&dyn Read, PersonKey) -> Result<bool, Failure>,
    now: Timestamp,
) -> Result<usize, Failure> {
    let mut count = 0;
    let mut past: Option<Vec<u8>> = None;
    loop {
        let rows = read.list::<Profile>(&Scan {
            prefix: &[],
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        let Some((last, _)) = rows.last() else {
            return Ok(count);
        };
        past = Some(last.encode());
        for (person, profile) in rows {
            if profile.tenants(now).is_empty() && enrolled(read, person)? {
                count += 1;
            }
        }
    }
}

/// Has `take` look at each name that several users bear.
fn twins(read: &dyn Read, take: &mut dyn FnMut(Twins)) -> Result<(), Failure> {
    let mut group = Group::default();
    let mut past: Option<Vec<u8>> = None;
    loop {
        let rows = read.list::<Bearer>(&Scan {
            prefix: &[],
            past: past.as_deref(),
            order: Order::Ascending,
            limit: PAGE,
        })?;
        past = rows.last().map(|(key, _)| key.encode());
        let is_last = rows.is_empty();
        let keys = rows.into_iter().map(|(key, _)| Some(key));
        // The end closes the last group.
        for key in keys.chain(is_last.then_some(None)) {
            let same = key.as_ref().zip(group.name.as_ref());
            if same.is_none_or(|(key, name)| key.name() != name) {
                if let Some(twins) = std::mem::take(&mut group).twins() {
                    take(twins);
                }
                group.name = key.as_ref().map(|key| *key.name());
            }
            if let Some(key) = key {
                group.take(read, &key)?;
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Those of one name.
#[derive(Default)]
struct Group {
    name: Option<[u8; 32]>,
    issuer: String,
    spellings: BTreeSet<String>,
    bearers: usize,
}

impl Group {
    fn take(&mut self, read: &dyn Read, key: &BearerKey) -> Result<(), Failure> {
        let Some(profile) = read.get::<Profile>(&key.person)? else {
            return Ok(());
        };
        let bears = |kind: &NameKind| profile.names.of(*kind).is_some_and(|it| key.has(it));
        let Some(kind) = NameKind::ALL.into_iter().find(bears) else {
            return Ok(());
        };
        self.bearers += 1;
        self.spellings.extend(match kind {
            NameKind::Username => profile.username,
            NameKind::Email => profile.email.map(|email| email.as_str().to_owned()),
        });
        self.issuer = profile.issuer;
        Ok(())
    }

    fn twins(self) -> Option<Twins> {
        let before = |name: &String| name.nfc().collect::<String>().to_lowercase();
        let apart: BTreeSet<String> = self.spellings.iter().map(before).collect();
        let twins = Twins {
            issuer: self.issuer,
            bearers: self.bearers,
            were_apart: apart.len() > 1,
            spellings: self.spellings,
        };
        (twins.bearers > 1).then_some(twins)
    }
}
