//! A mail as the page shows it: who, what about, the text, and the code in it.

use mail_parser::MessageParser;
use serde::Serialize;

use crate::base::{Timestamp, display_text};

const LONGEST_SUBJECT: usize = 200;
const LONGEST_ADDRESS: usize = 320;
const LONGEST_TEXT: usize = 16 * 1024;
/// The codes that the server mails have six digits, or eight.
const CODE_DIGITS: [usize; 2] = [6, 8];

/// One mail. Holds a code as a rule, so it is shown, never logged.
#[derive(Clone, Serialize)]
pub struct Letter {
    /// Counts up from 1 since the start.
    pub id: u64,
    /// When it arrived, RFC 3339.
    pub at: String,
    /// The sender as the mail names them, or else as the envelope does.
    pub from: String,
    /// Whom the envelope names.
    pub to: Vec<String>,
    /// Decoded.
    pub subject: String,
    /// The text for people, decoded, without marks that turn writing around.
    pub text: String,
    /// The first thing in the text that looks like a code, digits alone.
    pub code: Option<String>,
}

impl Letter {
    /// Reads a mail as it came over the wire. What cannot be read is shown empty.
    pub fn read(from: &str, to: &[String], raw: &[u8], now: Timestamp) -> Self {
        let message = MessageParser::default().parse(raw);
        let line = |text: &str| display_text(text, LONGEST_SUBJECT).unwrap_or_default();
        let address = |text: &str| display_text(text, LONGEST_ADDRESS).unwrap_or_default();
        let subject = message
            .as_ref()
            .and_then(|m| m.subject())
            .map(line)
            .unwrap_or_default();
        let text = message
            .as_ref()
            .and_then(|m| m.body_text(0))
            .map(|text| visible(&text))
            .unwrap_or_default();
        let sender = message
            .as_ref()
            .and_then(|m| m.from())
            .and_then(|from| from.first())
            .map(|from| match (from.name(), from.address()) {
                (Some(name), Some(address)) => format!("{name} <{address}>"),
                (name, address) => address.or(name).unwrap_or_default().to_owned(),
            });
        Letter {
            id: 0,
            at: now.to_string(),
            from: address(sender.as_deref().unwrap_or(from)),
            to: to.iter().map(|to| address(to)).collect(),
            code: code_in(&text),
            subject,
            text,
        }
    }
}

fn visible(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || *c == '\t' || !c.is_control())
        .filter(|c| {
            !matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}')
        })
        .take(LONGEST_TEXT)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// What stands on a line by itself and looks like a code, as in our own letters, whatever their language; else the
/// first that does anywhere.
fn code_in(text: &str) -> Option<String> {
    let by_itself = |line: &&str| !line.contains(char::is_alphabetic);
    let mut alone = text.lines().filter(by_itself);
    alone
        .find_map(code_in_line)
        .or_else(|| text.lines().find_map(code_in_line))
}

/// The first run of six or eight digits that stands alone, a space or hyphen
/// between its digits allowed ("123 456").
fn code_in_line(line: &str) -> Option<String> {
    line.split(|c: char| !(c.is_ascii_digit() || c == ' ' || c == '-' || c == '\u{a0}'))
        .map(|run| run.trim_matches([' ', '-', '\u{a0}']))
        .find_map(|run| {
            let digits: String = run.chars().filter(char::is_ascii_digit).collect();
            let groups = run.split([' ', '-', '\u{a0}']).collect::<Vec<_>>();
            // "2026-11-24" has eight digits too, but no even groups.
            let even = groups
                .iter()
                .all(|group| Some(group.len()) == groups.first().map(|first| first.len()));
            (CODE_DIGITS.contains(&digits.len()) && even && groups.len() <= 2).then_some(digits)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{CodeLetter, Purpose, Template};
    use crate::words::Language;

    #[test]
    fn a_code_is_found_where_there_is_one() {
        for (text, code) in [
            ("Your code is 123456.", Some("123456")),
            (
                "Your code:\n\n    123 456\n\nIt is good for 5 minutes.",
                Some("123456"),
            ),
            ("1234-5678", Some("12345678")),
            ("On 2026-11-24 at 12:00:05 UTC", None),
            ("Call 1234567 or 12345", None),
            (
                "Asked from 127.0.0.1 port 54321. Code 004711",
                Some("004711"),
            ),
            (
                "Votre demande n° 20261124 :\n\n    012345\n",
                Some("012345"),
            ),
            ("", None),
        ] {
            assert_eq!(code_in(text).as_deref(), code, "{text}");
        }
    }

    #[test]
    fn the_code_of_our_own_letters_is_found_in_every_language() {
        for language in Language::ALL {
            for purpose in [Purpose::TurnOn, Purpose::Change, Purpose::SignIn] {
                let content = CodeLetter {
                    service_name: "Example 123456",
                    contact: Some("+31 20 654321"),
                    code: "004711",
                    purpose,
                    minutes: 10,
                };
                let letter = Template::of(&content, language).unwrap();
                let found = code_in(&letter.text);
                assert_eq!(found.as_deref(), Some("004711"), "{language}");
            }
        }
    }

    #[test]
    fn what_is_no_mail_is_shown_as_little() {
        let now = Timestamp::from_unix(0);
        for raw in [
            &b""[..],
            b"\r\n\r\n",
            b"\xff\xfe\x00",
            b"Content-Type: multipart/mixed\r\n\r\n",
        ] {
            let letter = Letter::read("a@example.com", &[], raw, now);
            assert_eq!(letter.from, "a@example.com");
            assert!(letter.code.is_none());
        }
    }

    #[test]
    fn encoded_words_and_bodies_are_read() {
        let raw = b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\n\
            Subject: =?utf-8?b?RGVpbiBDb2RlIOKAkyBow6RoYQ==?=\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n\
            Gr=C3=BC=C3=9Fe, dein Code ist 12=\r\n3456.\r\n";
        let letter = Letter::read("", &[], raw, Timestamp::from_unix(0));
        assert_eq!(letter.from, "Jürgen <j@example.com>");
        assert_eq!(letter.subject, "Dein Code – häha");
        assert_eq!(letter.text, "Grüße, dein Code ist 123456.");
        assert_eq!(letter.code.as_deref(), Some("123456"));
    }
}
