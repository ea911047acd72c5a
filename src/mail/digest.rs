//! The email that stands for many: what happened to a user's factors within an hour.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::notice::{Content, Occasion, Thing};
use super::values::{Said, Values};
use crate::base::Timestamp;
use crate::words::{Language, fill, find};

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A factor was added.
    Added,
    /// A factor was removed.
    Removed,
    /// An operator removed a factor.
    RemovedByOperator,
    /// A factor took the place of another of its kind.
    Replaced,
    /// An operator removed all factors.
    Reset,
    /// New backup codes took the place of the old ones.
    BackupCodesRegenerated,
    /// A security key was refused, since there may be a copy of it.
    KeyCopied,
}

impl ChangeKind {
    /// As it stands in the keys of sentences.
    fn word(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::RemovedByOperator => "removed_by_operator",
            ChangeKind::Replaced => "replaced",
            ChangeKind::Reset => "reset",
            ChangeKind::BackupCodesRegenerated => "backup_codes_regenerated",
            ChangeKind::KeyCopied => "key_copied",
        }
    }
}

/// A change to a user's factors, kept until it stands in a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: ChangeKind,
    /// Of which kind the factor is, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// What the user calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// From which address, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

impl Change {
    /// One line of a digest.
    fn line(&self, language: Language) -> String {
        let mut values = Values::default();
        self.at.say("at", language, &mut values);
        self.ip.say("ip", language, &mut values);
        if let Some(kind) = &self.factor {
            let name = self.name.as_deref();
            Thing { kind, name }.say("factor", language, &mut values);
        }
        let say = |key: &str, values: &Values| {
            fill(find(language, key, None), |name| {
                values.named.get(name).map(String::as_str)
            })
        };
        let line = say(&format!("mail.digest.line.{}", self.what.word()), &values);
        if self.ip.is_none() {
            return line;
        }
        values.named.insert("line", line);
        say("mail.digest.line.from", &values)
    }
}

/// What happened to a user's factors within an hour in which there was too much for single emails.
#[derive(Clone, Copy, Debug)]
pub struct Digest<'a> {
    /// The hour: `at` is when it began.
    pub occasion: Occasion<'a>,
    /// Every change.
    pub changes: &'a [Change],
    /// How many other notifications were not sent.
    pub others: u64,
}

impl Content for Digest<'_> {
    const NAME: &'static str = "digest";
    const LAYOUT: &'static str = "notice";

    fn values(&self, language: Language) -> Values {
        let mut values = self.occasion.values(language);
        if self.others > 0 {
            self.others.say("count", language, &mut values);
            values.named.insert("others", self.others.to_string());
        }
        let changes = self.changes.iter();
        values.lines = changes.map(|change| change.line(language)).collect();
        values
    }

    fn news(&self) -> &'static [&'static str] {
        match self.changes {
            [] => &["news", "news.no_changes"],
            _ => &["news", "news.changes"],
        }
    }
}
