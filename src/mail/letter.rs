//! One letter to one person.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::notice::Content;
use super::template::{Rendered, Template};
use crate::base::{Entropy, Failure, MessageId};
use crate::words::Language;

/// One letter, in words and in HTML. Its body may hold a code: `Debug` shows
/// only the identifier and the masked address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Part of the Message-ID: the same each time the letter is sent again, so
    /// that mail programs can tell a copy.
    pub id: MessageId,
    /// Whom we write to.
    pub to: Address,
    /// In which language.
    #[serde(default)]
    pub language: Language,
    /// One line.
    pub subject: String,
    /// The words for text programs, LF at the end of lines.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

impl Letter {
    /// Writes `content` to `to`, in `language`.
    ///
    /// # Errors
    /// `internal` where the template cannot be rendered, and as [`Entropy::fill`].
    pub fn compose(
        to: Address,
        content: &impl Content,
        language: Language,
        entropy: &dyn Entropy,
    ) -> Result<Letter, Failure> {
        Letter::put(to, Template::of(content, language)?, language, entropy)
    }

    /// Writes `content` to each of `addresses`, in `language`: a letter for each, so that no address learns of another.
    ///
    /// # Errors
    /// As [`Letter::compose`].
    pub fn compose_each(
        addresses: Vec<Address>,
        content: &impl Content,
        language: Language,
        entropy: &dyn Entropy,
    ) -> Result<Vec<Letter>, Failure> {
        let rendered = Template::of(content, language)?;
        let letters = addresses.into_iter();
        letters
            .map(|to| Letter::put(to, rendered.clone(), language, entropy))
            .collect()
    }

    fn put(
        to: Address,
        rendered: Rendered,
        language: Language,
        entropy: &dyn Entropy,
    ) -> Result<Letter, Failure> {
        Ok(Letter {
            id: MessageId::draw(entropy)?,
            to,
            language,
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        })
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({} to {:?})", self.id, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::OsEntropy;
    use crate::mail::{CodeLetter, Purpose};

    #[test]
    fn a_letter_shows_neither_its_code_nor_its_address() {
        let content = CodeLetter {
            service_name: "Example",
            contact: None,
            code: "481516",
            purpose: Purpose::SignIn,
            minutes: 5,
        };
        let to: Address = "alice@example.com".parse().unwrap();
        let letter = Letter::compose(to, &content, Language::German, &OsEntropy).unwrap();
        assert!(letter.text.contains("481516") && letter.html.contains("481516"));
        let shown = format!("{letter:?}");
        assert!(
            !shown.contains("481516") && !shown.contains("alice"),
            "{shown}"
        );
        assert!(!letter.subject.contains("481516"), "gateways log subjects");
        let json = serde_json::to_string(&letter).unwrap();
        assert!(serde_json::from_str::<Letter>(&json).unwrap() == letter);
        // One that waited in the outbox while the server learned other languages.
        let mut older: serde_json::Value = serde_json::from_str(&json).unwrap();
        older.as_object_mut().unwrap().remove("language");
        let older: Letter = serde_json::from_value(older).unwrap();
        assert_eq!(older.language, Language::English);
    }
}
