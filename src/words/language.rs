//! Which languages there are, and whose turn it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language that pages and mails are written in.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Language {
    /// English, which also stands in where nobody says otherwise.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Dutch.
    #[serde(rename = "nl")]
    Dutch,
    /// German.
    #[serde(rename = "de")]
    German,
    /// French.
    #[serde(rename = "fr")]
    French,
    /// Spanish.
    #[serde(rename = "es")]
    Spanish,
}

/// The forms that the languages here have for numbers (Unicode CLDR, cardinal rules). Millions in French and
/// Spanish have a form of their own, which nothing here counts up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// `1`, and in French `0` too.
    One,
    /// All others.
    Other,
}

/// Not the tag of a language that is spoken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no language of mfad's: those are en, nl, de, fr and es")]
pub struct UnknownLanguage(String);

impl Language {
    /// All, in the order in which they are offered.
    pub const ALL: [Language; 5] = [
        Language::English,
        Language::Dutch,
        Language::German,
        Language::French,
        Language::Spanish,
    ];

    /// Its tag (RFC 5646): `nl`.
    pub const fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::Dutch => "nl",
            Language::German => "de",
            Language::French => "fr",
            Language::Spanish => "es",
        }
    }

    /// Its name as those who speak it write it.
    pub const fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::Dutch => "Nederlands",
            Language::German => "Deutsch",
            Language::French => "Français",
            Language::Spanish => "Español",
        }
    }

    /// The language of a tag such as `nl`, `nl-BE` or, as OpenID providers also write it, `nl_BE` (lookup of
    /// RFC 4647 section 3.4).
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next()?;
        let mut all = Self::ALL.into_iter();
        all.find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// The one of ours that stands first in what an `Accept-Language` says (RFC 9110 section 12.5.4); `None` where it
    /// names none. Weights that cannot be read count as 1.
    pub fn preferred(accept_language: &str) -> Option<Self> {
        let ranges = accept_language.split(',').filter_map(|range| {
            let mut parts = range.split(';');
            let language = Self::of_tag(parts.next()?)?;
            let weight = parts.find_map(|part| match part.trim().split_once('=') {
                Some((name, weight)) if name.eq_ignore_ascii_case("q") => Some(weight),
                _ => None,
            });
            let weight: Option<f32> = weight.and_then(|q| q.trim().parse().ok());
            // `inf` and `nan` can be read as numbers, and are no weights.
            let weight = weight.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0);
            (weight > 0.0).then_some((language, weight))
        });
        // The first of equals.
        let heavier =
            |best: (Self, f32), next: (Self, f32)| if next.1 > best.1 { next } else { best };
        ranges.reduce(heavier).map(|(language, _)| language)
    }

    /// The form of words for `count`.
    pub const fn number(self, count: u64) -> Number {
        match (self, count) {
            (_, 1) | (Language::French, 0) => Number::One,
            _ => Number::Other,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;
    fn from_str(tag: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|language| tag.eq_ignore_ascii_case(language.tag()));
        found.ok_or_else(|| UnknownLanguage(tag.to_owned()))
    }
}
