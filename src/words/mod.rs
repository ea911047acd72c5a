//! What is said to people, in their language: one file a language under `assets/words`, for pages and mails alike.
//!
//! A sentence may hold `{name}`, which a value takes the place of, and may have forms for numbers, as its
//! language counts (Unicode CLDR, cardinal rules): `{"one": "{count} key", "other": "{count} keys"}`.

mod language;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rust_embed::RustEmbed;
use serde::{Deserialize, Serialize};

pub use language::{Language, Number, UnknownLanguage};

#[derive(RustEmbed)]
#[folder = "assets/words"]
struct Files;

/// What stands under one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sentence {
    /// Always the same.
    Plain(String),
    /// With a form for one, as the language counts, and one for other numbers.
    Counted {
        /// The form for one.
        one: String,
        /// The form for others.
        other: String,
    },
}

/// All sentences of a language by their keys.
pub type Sentences = BTreeMap<String, Sentence>;

static WORDS: LazyLock<BTreeMap<Language, Sentences>> = LazyLock::new(|| {
    let read = |language: Language| {
        let file = Files::get(&format!("{}.json", language.tag()))?;
        let sentences = serde_json::from_slice(&file.data).ok()?;
        Some((language, sentences))
    };
    Language::ALL.into_iter().filter_map(read).collect()
});

/// All sentences of `language`.
pub fn sentences(language: Language) -> &'static Sentences {
    static NONE: Sentences = Sentences::new();
    WORDS.get(&language).unwrap_or(&NONE)
}

/// A page whose scripts speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The settings page.
    Settings,
    /// The hosted prompt, which is met in the middle of a sign-in and says little.
    Prompt,
}

/// Beginnings of keys whose words no script needs: the server says them itself.
const OF_THE_SERVER: [&str; 3] = ["mail.", "sign_in.", "support."];
/// Beginnings of keys that the prompt's scripts need.
const OF_THE_PROMPT: [&str; 12] = [
    "copied",
    "fault",
    "refused",
    "copy.",
    "here.clock.",
    "key.",
    "language",
    "never",
    "problem.",
    "prompt.",
    "tries",
    "wait.",
];

impl Page {
    /// Both.
    pub const ALL: [Page; 2] = [Page::Settings, Page::Prompt];

    /// Its name, as it stands in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Page::Settings => "settings",
            Page::Prompt => "prompt",
        }
    }

    /// Whether its scripts get the words of `key`.
    pub fn says(self, key: &str) -> bool {
        let begins = |starts: &[&str]| starts.iter().any(|start| key.starts_with(start));
        match self {
            Page::Settings => !begins(&OF_THE_SERVER) && !key.starts_with("prompt."),
            Page::Prompt => begins(&OF_THE_PROMPT),
        }
    }
}

/// What the scripts of `page` say in `language`, as a module (ECMAScript) whose default export maps keys to text or to
/// `{one, other}`.
pub fn module(page: Page, language: Language) -> String {
    let members = sentences(language).iter().filter(|(key, _)| page.says(key));
    let members: BTreeMap<_, _> = members.collect();
    // All of JSON is also ECMAScript, since 2019.
    let object = serde_json::to_string(&members).unwrap_or_default();
    format!("export default {object};\n")
}

/// Whether there are words of that name.
pub fn is_said(key: &str) -> bool {
    sentences(Language::English).contains_key(key)
}

/// What `key` says in `language`, in the form for `count` where the sentence has forms; the key itself where
/// there are no such words. Names in braces are left as they are: see [`fill`].
pub fn find<'k>(language: Language, key: &'k str, count: Option<u64>) -> &'k str
where
    'static: 'k,
{
    let in_english = || sentences(Language::English).get(key);
    match sentences(language).get(key).or_else(in_english) {
        None => key,
        Some(Sentence::Plain(words)) => words,
        Some(Sentence::Counted { one, other }) => match language.number(count.unwrap_or(2)) {
            Number::One => one,
            Number::Other => other,
        },
    }
}

/// `sentence` with each `{name}` replaced by what `value` gives for it; as it is where it gives none.
pub fn fill<V: AsRef<str>>(sentence: &str, mut value: impl FnMut(&str) -> Option<V>) -> String {
    let mut filled = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((before, from)) = rest.split_once('{') {
        filled.push_str(before);
        match from.split_once('}') {
            Some((name, after)) => {
                match value(name) {
                    Some(value) => filled.push_str(value.as_ref()),
                    None => {
                        filled.push('{');
                        filled.push_str(name);
                        filled.push('}');
                    }
                }
                rest = after;
            }
            None => {
                filled.push('{');
                rest = from;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
