//! What takes the places in a letter's sentences, as its reader's language writes it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use time::OffsetDateTime;

use super::notice::{Foreign, Thing};
use crate::base::{Timestamp, display_text, plain_text};
use crate::words::{Language, fill, find, sentences};

/// Characters of one value: a name, an address, a time.
const LONGEST_VALUE: usize = 200;
/// Characters of a value that a stranger may have chosen.
const LONGEST_FOREIGN: usize = 64;

/// The values by their names, each one line without marks that deceive, so that no name can begin a paragraph of
/// its own. What is not known is not there.
#[derive(Default)]
pub struct Values {
    pub(super) named: BTreeMap<&'static str, String>,
    /// The number that sentences count.
    pub(super) count: Option<u64>,
    /// What a letter lists.
    pub(super) lines: Vec<String>,
}

/// Without the values: a code is among them.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<values>")
    }
}

/// What can stand in a sentence.
pub(super) trait Said {
    /// Adds to `values` what `language` says for it under `name`.
    fn say(&self, name: &'static str, language: Language, values: &mut Values);
}

impl Said for &str {
    fn say(&self, name: &'static str, _: Language, values: &mut Values) {
        values.named.insert(name, line(self));
    }
}

/// What has no letter and no digit is said as a dash.
impl Said for Foreign<'_> {
    fn say(&self, name: &'static str, _: Language, values: &mut Values) {
        let said = plain_text(self.0, LONGEST_FOREIGN);
        values
            .named
            .insert(name, said.unwrap_or_else(|| "–".to_owned()));
    }
}

impl<T: Said> Said for Option<T> {
    fn say(&self, name: &'static str, language: Language, values: &mut Values) {
        if let Some(value) = self {
            value.say(name, language, values);
        }
    }
}

impl Said for IpAddr {
    fn say(&self, name: &'static str, _: Language, values: &mut Values) {
        values.named.insert(name, self.to_string());
    }
}

impl Said for Timestamp {
    fn say(&self, name: &'static str, language: Language, values: &mut Values) {
        values.named.insert(name, moment(*self, language));
    }
}

/// The one number of a letter, `{count}` in its sentences, whatever it counts.
impl Said for u64 {
    fn say(&self, _: &'static str, _: Language, values: &mut Values) {
        values.named.insert("count", self.to_string());
        values.count = Some(*self);
    }
}

/// It decides which sentence is said.
impl Said for bool {
    fn say(&self, _: &'static str, _: Language, _: &mut Values) {}
}

/// Also its kind alone, as `{kind}`. Its name may have been chosen by a thief.
impl Said for Thing<'_> {
    fn say(&self, name: &'static str, language: Language, values: &mut Values) {
        let kind = kind(self.kind, language);
        let said = match self
            .name
            .and_then(|name| plain_text(name, LONGEST_FOREIGN))
            .filter(|name| says_more(name, self.kind))
        {
            None => kind.clone(),
            Some(name) => fill(find(language, "mail.named", None), |value| match value {
                "kind" => Some(kind.as_str()),
                "name" => Some(name.as_str()),
                _ => None,
            }),
        };
        values.named.insert(name, said);
        values.named.insert("kind", kind);
    }
}

fn line(text: &str) -> String {
    display_text(text, LONGEST_VALUE).unwrap_or_default()
}

fn kind(kind: &str, language: Language) -> String {
    let key = format!("mail.kind.{kind}");
    match sentences(language).contains_key(&key) {
        true => find(language, &key, None).to_owned(),
        false => line(kind),
    }
}

/// A name that is that of the kind, in whichever language it was given, says no more than the kind.
fn says_more(name: &str, kind_of: &str) -> bool {
    let form = |text: &str| plain_text(&text.to_lowercase(), LONGEST_FOREIGN);
    let name = form(name);
    let mut all = Language::ALL.into_iter();
    !all.any(|language| form(&kind(kind_of, language)) == name)
}

/// `24 November 2026, 12:00 UTC`.
fn moment(at: Timestamp, language: Language) -> String {
    let date = i64::try_from(at.unix()).ok();
    let Some(date) = date.and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok()) else {
        return at.to_string();
    };
    let month = format!("mail.month.{}", u8::from(date.month()));
    let day = u64::from(date.day());
    fill(find(language, "mail.date", Some(day)), |name| match name {
        "count" => Some(day.to_string()),
        "month" => Some(find(language, &month, None).to_owned()),
        "year" => Some(date.year().to_string()),
        "time" => Some(format!("{:02}:{:02}", date.hour(), date.minute())),
        _ => None,
    })
}
