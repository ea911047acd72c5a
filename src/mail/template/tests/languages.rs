//! Every letter in every language.

use super::*;
use crate::words::Sentence;

/// Every letter there is, with every sentence that it can say.
fn variants(language: Language) -> Vec<(&'static str, Rendered)> {
    let contacts = [None, Some("help@example.com")];
    let numbers = [0, 1, 2, 9];
    let each = contacts
        .into_iter()
        .flat_map(|contact| numbers.map(|number| (contact, number)));
    each.flat_map(|(contact, number)| all_in(language, "Example", contact, number))
        .collect()
}

/// A body with its lines run together.
fn run_on(text: &str) -> String {
    text.split([' ', '\n'])
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_sentence_of_every_language_is_said_in_some_letter() {
    for language in Language::ALL {
        let letters = variants(language);
        let bodies: Vec<String> = letters
            .iter()
            .map(|(_, letter)| format!("{} {}", letter.subject, run_on(&letter.text)))
            .collect();
        for (key, sentence) in sentences(language) {
            // The dates of a year, and words for kinds, are looked at elsewhere.
            let own = key.starts_with("mail.month.") || key.starts_with("mail.kind.");
            if !key.starts_with("mail.") || own || key == "mail.named" {
                continue;
            }
            let forms = match sentence {
                Sentence::Plain(words) => vec![words],
                // NOON is no first of a month.
                Sentence::Counted { other, .. } if key == "mail.date" => vec![other],
                Sentence::Counted { one, other } => vec![one, other],
            };
            for form in forms {
                let parts: Vec<&str> = form.split(['{', '}']).step_by(2).collect();
                let said = |body: &String| {
                    let mut rest = Some(body.as_str());
                    for part in &parts {
                        rest = rest
                            .and_then(|rest| rest.split_once(part))
                            .map(|(_, rest)| rest);
                    }
                    rest.is_some()
                };
                assert!(
                    bodies.iter().any(said),
                    "{language}: nobody says {key}: {form}"
                );
            }
        }
    }
}

#[test]
fn every_letter_is_whole_in_every_language() {
    let long = "Verein für Rechenkunst und verwandte Künste an der Universität, Abteilung 7";
    for language in Language::ALL {
        let mut all_letters = variants(language);
        all_letters.extend(all_in(language, long, Some("security@example.com"), 7));
        let mut english = variants(Language::English);
        english.extend(all(long, Some("security@example.com"), 7));
        for ((name, letter), (_, english)) in all_letters.into_iter().zip(english) {
            let Rendered {
                subject,
                text,
                html,
            } = &letter;
            for part in [subject, text, html] {
                assert!(!part.contains(['{', '}', '~']), "{language} {name}: {part}");
                let mut keys = sentences(language)
                    .keys()
                    .filter(|key| key.starts_with("mail."));
                assert!(!keys.any(|key| part.contains(key.as_str())), "{part}");
                assert!(!part.contains("  \n"), "{language} {name}: {part}");
                let service = ["Example", "Verein für Rechenkunst"];
                assert!(
                    service.iter().any(|s| part.contains(s)),
                    "{language} {name}: {part}"
                );
            }
            assert!(
                subject.chars().count() < LONGEST_SUBJECT || subject.contains("Verein"),
                "{subject}"
            );
            for line in text.lines() {
                assert!(line.chars().count() <= COLUMNS, "{language} {name}: {line}");
            }
            assert!(text.contains("\n-- \n"), "{language} {name}: {text}");
            assert!(
                html.contains(&format!("<html lang=\"{language}\">")),
                "{html}"
            );
            assert_eq!(html.matches("<p").count(), html.matches("</p>").count());
            for contact in ["help@example.com", "security@example.com"] {
                let told = english.text.contains(contact);
                assert_eq!(
                    run_on(text).contains(contact),
                    told,
                    "{language} {name}: {text}"
                );
                assert_eq!(html.contains(contact), told, "{language} {name}: {html}");
            }
            if name == "code" {
                assert!(text.contains("\n\n    012345\n\n"), "{language}: {text}");
                assert!(html.contains(">012345<"), "{language}: {html}");
            }
            if language != Language::English && !text.contains("Verein") {
                assert_ne!(*subject, english.subject, "{language} {name}");
                let words: BTreeSet<&str> = english.text.split_whitespace().collect();
                let theirs: BTreeSet<&str> = text.split_whitespace().collect();
                let same = theirs.iter().filter(|word| words.contains(*word)).count();
                assert!(
                    same * 3 < theirs.len(),
                    "{language} {name} is English: {text}"
                );
            }
        }
    }
}

#[test]
fn text_and_html_say_the_same() {
    for language in Language::ALL {
        for (name, letter) in variants(language) {
            let text = run_on(&letter.text).replace(" -- Example. ", " ");
            let html = letter.html.split_once("<body").unwrap().1;
            // Past the service's name, which stands above the HTML.
            let html = html.split_once("</p>").unwrap().1;
            let mut plain = String::new();
            for piece in html.split('<') {
                plain.push(' ');
                plain.push_str(piece.split_once('>').map_or(piece, |(_, words)| words));
            }
            let plain = run_on(&plain);
            let plain = plain
                .replace("&#x27;", "'")
                .replace("&quot;", "\"")
                .replace("&amp;", "&");
            assert_eq!(text, plain, "{language} {name}");
        }
    }
}

#[test]
fn dates_and_kinds_are_in_the_readers_language() {
    // 1 March 2026 00:05 UTC, and noon of 24 November.
    let first = Timestamp::from_unix(1_772_323_500);
    for (language, at, date) in [
        (Language::English, NOON, "24 November 2026, 12:00 UTC"),
        (Language::Dutch, NOON, "24 november 2026, 12:00 UTC"),
        (Language::German, NOON, "24. November 2026, 12:00 UTC"),
        (Language::French, NOON, "24 novembre 2026, 12:00 UTC"),
        (
            Language::Spanish,
            NOON,
            "24 de noviembre de 2026, 12:00 UTC",
        ),
        (Language::English, first, "1 March 2026, 00:05 UTC"),
        (Language::Dutch, first, "1 maart 2026, 00:05 UTC"),
        (Language::German, first, "1. März 2026, 00:05 UTC"),
        (Language::French, first, "1er mars 2026, 00:05 UTC"),
        (Language::Spanish, first, "1 de marzo de 2026, 00:05 UTC"),
    ] {
        let occasion = Occasion {
            service_name: "Example",
            contact: None,
            at,
            ip: None,
            more_after: None,
        };
        for kind in ["totp", "email", "webauthn", "backup_code"] {
            let factor = Thing {
                kind,
                name: Some("„Ω“ 7"),
            };
            let letter = Template::of(&FactorAdded { occasion, factor }, language).unwrap();
            let key = format!("mail.kind.{kind}");
            let said = find(language, &key, None);
            for body in [run_on(&letter.text), run_on(&letter.html)] {
                assert!(body.contains(date), "{language}: {body}");
                assert!(
                    body.contains(said) && body.contains("Ω 7"),
                    "{language}: {body}"
                );
            }
            assert!(letter.subject.ends_with(said) || language == Language::English);
        }
    }
}
