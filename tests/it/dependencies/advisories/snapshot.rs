//! The committed snapshot of advisories: reading and writing it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use mfad::base::Timestamp;
use serde::Deserialize;
use time::{Date, Month};

use crate::dependencies::versions::{Requirement, Version};

/// The path of the snapshot from the root of the repository.
pub const PATH: &str = "tests/dependencies/advisories.toml";

const HEAD: &str = "\
# What the RustSec advisory database (https://rustsec.org) says of the packages in Cargo.lock.
# Written by tests/dependencies/refresh and read by tests/it/dependencies/advisories.rs.
#
# database    the day of the database's last commit
# covers      the packages that were looked up in it
# advisories  those about one of these packages, without the withdrawn ones:
#   informational  unmaintained, unsound or notice; where absent, it is a vulnerability
#   patched        the versions in which it is fixed, as ranges
#   unaffected     the versions that never had it; a version in none of the ranges is affected
";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// A day, as in `2026-01-31`.
    pub database: String,
    pub covers: BTreeSet<String>,
    pub advisories: Vec<Advisory>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    pub id: String,
    pub package: String,
    pub informational: Option<Informational>,
    pub patched: Vec<Requirement>,
    pub unaffected: Vec<Requirement>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Informational {
    Unmaintained,
    Unsound,
    Notice,
}

impl Informational {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unmaintained => "unmaintained",
            Self::Unsound => "unsound",
            Self::Notice => "notice",
        }
    }
}

impl Advisory {
    pub fn affects(&self, version: &Version) -> bool {
        let mut unaffected = self.patched.iter().chain(&self.unaffected);
        !unaffected.any(|range| range.contains(version))
    }

    /// Names the advisory and says what to do about it.
    pub fn advice(&self) -> String {
        let kind = self
            .informational
            .map_or("vulnerability", Informational::as_str);
        let patched: Vec<&str> = self.patched.iter().map(Requirement::as_str).collect();
        let way = match patched.as_slice() {
            [] => "no version is patched, so replace it".to_owned(),
            ranges => format!("update it to {}", ranges.join(" or ")),
        };
        let id = &self.id;
        format!("{id} ({kind}): {way}, or add it with a reason to EXCEPTIONS")
    }
}

impl Snapshot {
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    pub fn committed() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
        Self::parse(&fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Counts the whole days since the day of the database.
    pub fn age_days(&self, now: Timestamp) -> u64 {
        let parts: Vec<u16> = self
            .database
            .split('-')
            .map(|part| part.parse().unwrap())
            .collect();
        let [year, month, day] = parts.try_into().unwrap();
        let month = Month::try_from(month as u8).unwrap();
        let date = Date::from_calendar_date(year.into(), month, day as u8).unwrap();
        let begin = date.midnight().assume_utc().unix_timestamp();
        now.unix().saturating_sub(begin.try_into().unwrap()) / 86_400
    }

    /// Writes the snapshot in order, so that the same facts give the same text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}database = {}\n", quoted(&self.database));
        text.push_str("covers = [");
        let mut line = 0;
        let mut initial = None;
        for name in &self.covers {
            let name_quoted = quoted(name);
            // A new line for each initial: a new package moves only the names of its own.
            if initial != name.chars().next() || line + name_quoted.len() + 2 > 100 {
                text.push_str("\n   ");
                line = 3;
            }
            initial = name.chars().next();
            line += name_quoted.len() + 2;
            write!(text, " {name_quoted},").unwrap();
        }
        text.push_str("\n]\nadvisories = [\n");
        let mut sorted: Vec<&Advisory> = self.advisories.iter().collect();
        sorted.sort_by_key(|advisory| (&advisory.package, &advisory.id));
        for advisory in sorted {
            let (id, package) = (quoted(&advisory.id), quoted(&advisory.package));
            write!(text, "    {{ id = {id}, package = {package}").unwrap();
            if let Some(kind) = advisory.informational {
                write!(text, ", informational = {}", quoted(kind.as_str())).unwrap();
            }
            let (patched, unaffected) = (list(&advisory.patched), list(&advisory.unaffected));
            writeln!(text, ", patched = {patched}, unaffected = {unaffected} }},").unwrap();
        }
        text.push_str("]\n");
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(ranges: &[Requirement]) -> String {
    let ranges: Vec<&str> = ranges.iter().map(Requirement::as_str).collect();
    toml::Value::from(ranges).to_string()
}
