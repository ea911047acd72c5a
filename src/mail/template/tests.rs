use std::collections::BTreeSet;

use super::*;
use crate::base::Timestamp;
use crate::mail::{
    BackupCodeUsed, BackupCodesRegenerated, BackupCodesVoid, Change, ChangeKind, CodeLetter,
    Digest, FactorAdded, FactorDisabled, FactorLocked, FactorRemoved, FactorReplaced,
    FactorUnlocked, FactorsReset, Foreign, KeyCopied, NameContested, NameShared, Occasion, Purpose,
    SignInUnfinished, Thing, TrustedDeviceCopied,
};

mod languages;
mod strangers;

const NOON: Timestamp = Timestamp::from_unix(1_795_521_600);

/// Renders a letter in one language.
struct Row(Language);

impl Row {
    fn of<C: Content>(&self, content: C) -> (&'static str, Rendered) {
        (C::NAME, Template::of(&content, self.0).unwrap())
    }
}

/// Every letter in English, with `text` wherever a text goes.
fn all(text: &str, contact: Option<&str>, number: u64) -> Vec<(&'static str, Rendered)> {
    all_in(Language::English, text, contact, number)
}

fn all_in(
    language: Language,
    text: &str,
    contact: Option<&str>,
    number: u64,
) -> Vec<(&'static str, Rendered)> {
    let row = Row(language);
    let occasion = Occasion {
        service_name: text,
        contact,
        at: NOON,
        ip: contact.map(|_| "2001:db8::7".parse().unwrap()),
        more_after: (number == 2).then(|| NOON.plus(3600)),
    };
    let factor = Thing {
        kind: text,
        name: Some(text),
    };
    vec![
        row.of(CodeLetter {
            service_name: text,
            contact,
            code: "012345",
            purpose: Purpose::TurnOn,
            minutes: number,
        }),
        row.of(CodeLetter {
            service_name: text,
            contact,
            code: "012345",
            purpose: Purpose::Change,
            minutes: number,
        }),
        row.of(CodeLetter {
            service_name: text,
            contact,
            code: "012345",
            purpose: Purpose::SignIn,
            minutes: number,
        }),
        row.of(FactorAdded { occasion, factor }),
        row.of(FactorRemoved {
            occasion,
            factor,
            by_operator: number == 1,
        }),
        row.of(FactorReplaced { occasion, factor }),
        row.of(FactorsReset { occasion }),
        row.of(BackupCodesRegenerated { occasion }),
        row.of(KeyCopied { occasion, factor }),
        row.of(Digest {
            occasion,
            changes: &changes(text, number),
            others: number,
        }),
        row.of(BackupCodesVoid { occasion }),
        row.of(BackupCodeUsed {
            occasion,
            left: number,
        }),
        row.of(FactorLocked {
            occasion,
            factor,
            until: NOON.plus(900),
        }),
        row.of(FactorUnlocked {
            occasion,
            factor,
            by_operator: number == 1,
        }),
        row.of(FactorDisabled {
            occasion,
            factor,
            wrong: number,
        }),
        row.of(SignInUnfinished {
            occasion,
            service: Foreign(text),
        }),
        row.of(TrustedDeviceCopied {
            occasion,
            service: Foreign(text),
        }),
        row.of(NameContested {
            occasion,
            name: Foreign(text),
            until: NOON.plus(900),
            by_former: number == 1,
        }),
        row.of(NameShared {
            occasion,
            name: Foreign(text),
            is_ambiguous: number == 1,
            is_meant: number == 2,
        }),
    ]
}

/// One change of each sort, or none if `number` is 0.
fn changes(text: &str, number: u64) -> Vec<Change> {
    let change = |what, of_factor: bool| Change {
        at: NOON.plus(60),
        what,
        factor: of_factor.then(|| text.to_owned()),
        name: of_factor.then(|| text.to_owned()),
        ip: (number != 1).then(|| "2001:db8::7".parse().unwrap()),
    };
    let all = [
        change(ChangeKind::Added, true),
        change(ChangeKind::Removed, true),
        change(ChangeKind::RemovedByOperator, true),
        change(ChangeKind::Replaced, true),
        change(ChangeKind::Reset, false),
        change(ChangeKind::BackupCodesRegenerated, false),
        change(ChangeKind::KeyCopied, true),
    ];
    all.into_iter().filter(|_| number > 0).collect()
}

fn english(content: &impl Content) -> Result<Rendered, Failure> {
    Template::of(content, Language::English)
}

#[test]
fn every_layout_is_one_of_a_letter() {
    let layouts = ["code", "layout", "notice"];
    let expected: BTreeSet<String> = layouts
        .iter()
        .flat_map(|name| ["html", "txt"].map(|kind| format!("{name}.{kind}")))
        .collect();
    let files: BTreeSet<String> = Files::iter().map(|file| file.into_owned()).collect();
    assert_eq!(files, expected);
}

#[test]
fn no_sentence_stands_in_a_layout() {
    for file in Files::iter() {
        let source = Files::get(&file).unwrap();
        let source = String::from_utf8(source.data.to_vec()).unwrap();
        let mut bare = String::new();
        let mut inside = 0_u32;
        for character in source.chars() {
            match character {
                '{' | '<' => inside += 1,
                '}' | '>' => inside -= 1,
                _ if inside == 0 => bare.push(character),
                _ => {}
            }
        }
        assert!(!bare.contains(char::is_alphabetic), "{file}: {bare}");
    }
}

#[test]
fn hostile_values_stay_values() {
    let hostile = "<img src=x onerror=alert(1)>\r\nBcc: eve@evil.example\r\n\r\n\u{202e}Click\0 \"'&{{ code }}{% raw %}";
    let every = Language::ALL.into_iter();
    for (name, letter) in every.flat_map(|one| all_in(one, hostile, Some(hostile), 3)) {
        let Rendered {
            subject,
            text,
            html,
        } = letter;
        assert!(!subject.contains(char::is_control), "{name}: {subject:?}");
        assert!(
            !html.contains("<img") && html.contains("&lt;img"),
            "{name}: {html}"
        );
        assert!(!html.contains("alert(1)>"), "{name}");
        assert!(html.contains("{{ code }}"), "{name}: not a template again");
        for body in [&text, &html] {
            assert!(!body.contains(['\r', '\0', '\u{202e}']), "{name}: {body}");
            // The value's second line has not become a line.
            assert!(
                !body.lines().any(|l| l == "Bcc: eve@evil.example"),
                "{name}"
            );
        }
        assert!(!text.contains("&lt;"), "{name}: text is not escaped");
    }
}

#[test]
fn a_value_begins_no_paragraph_of_its_own() {
    for language in Language::ALL {
        let plain = all_in(language, "x y", None, 1);
        let odd = all_in(language, "x\n\n  y", None, 1);
        for ((name, letter), (_, plain)) in odd.into_iter().zip(plain) {
            assert!(letter == plain, "{language} {name}: {}", letter.text);
        }
    }
}

#[test]
fn text_bodies_fit_a_narrow_window_and_html_asks_for_nothing_from_outside() {
    let long = "Verein für Rechenkunst und verwandte Künste an der Universität, Abteilung 7";
    for text in ["Example", long] {
        for contact in [None, Some("security@example.com")] {
            for number in [0, 1, 2, 100] {
                for (name, letter) in all(text, contact, number) {
                    for line in letter.text.lines() {
                        assert!(line.chars().count() <= COLUMNS, "{name}: {line}");
                    }
                    assert!(!letter.text.contains("\n\n\n"), "{name}: {}", letter.text);
                    for part in ["http", "src=", "href", "url(", "<script", "<img", "<a "] {
                        assert!(!letter.html.contains(part), "{name}: {part}");
                        assert!(!letter.text.contains(part), "{name}: {part}");
                    }
                    assert!(letter.html.starts_with("<!DOCTYPE html>"), "{name}");
                    for body in [&letter.text, &letter.html] {
                        assert!(body.contains(text.split(' ').next().unwrap()), "{name}");
                        let advice = [
                            "If it was not you",
                            "If you did not,",
                            "You need not tell anybody a code",
                        ];
                        assert!(advice.iter().any(|a| body.contains(a)), "{name}: {body}");
                        assert!(contact.is_none_or(|c| body.contains(c)), "{name}: {body}");
                    }
                }
            }
        }
    }
}

#[test]
fn letters_say_what_happened() {
    let letters = all("Example", Some("the help desk"), 1);
    let expected: &[(&str, &[&str])] = &[
        ("code", &["012345", "turn on email codes", "1 minute."]),
        (
            "factor_added",
            &["24 November 2026, 12:00 UTC", "2001:db8::7"],
        ),
        ("factor_removed", &["by an operator"]),
        ("backup_code_used", &["Only one is left"]),
        ("factor_locked", &["24 November 2026, 12:15 UTC"]),
        (
            "factor_disabled",
            &["1 wrong code was", "ask the help desk to help"],
        ),
        (
            "backup_codes_void",
            &[
                "restored from a backup",
                "What should you do?",
                "Make new backup codes",
                "turn to the help desk",
            ],
        ),
        (
            "sign_in_unfinished",
            &[
                "signing in to Example as you at 24 November 2026, 12:00 UTC from IP address 2001:db8::7, and did not finish the second step within three minutes",
                "your password is known to somebody",
                "Change your password",
            ],
        ),
        (
            "trusted_device_copied",
            &[
                "the same mark twice",
                "the browser was forgotten",
                "restored from a backup",
                "may have copied the browser’s data",
            ],
        ),
        (
            "name_contested",
            &[
                "which was yours before",
                "refused until 24 November 2026, 12:15 UTC",
                "What should you do?",
                "ask an operator to release it",
            ],
        ),
        (
            "name_shared",
            &[
                "Two accounts at Example",
                "sign-ins with that name are refused until only one account has it",
                "What should you do?",
                "ask an operator to have it changed",
            ],
        ),
    ];
    for (name, words) in expected {
        let (_, letter) = letters.iter().find(|(n, _)| n == name).unwrap();
        let text = letter.text.replace('\n', " ");
        for word in *words {
            assert!(text.contains(word), "{name}: {text}");
            assert!(letter.html.contains(word), "{name}: {}", letter.html);
        }
    }
}

#[test]
fn who_has_few_backup_codes_left_is_told_to_make_new_ones() {
    for (left, words) in [
        (0, "None are left: make new ones"),
        (1, "Only one is left: make new ones"),
        (2, "Only 2 are left: make new ones"),
        (3, "Only 3 are left: make new ones"),
        (4, "4 are left."),
        (9, "9 are left."),
    ] {
        let occasion = Occasion {
            service_name: "Example",
            contact: None,
            at: NOON,
            ip: None,
            more_after: None,
        };
        let letter = english(&BackupCodeUsed { occasion, left }).unwrap();
        let text = letter.text.replace('\n', " ");
        let settings = "make new ones in your security settings";
        for body in [&text, &letter.html] {
            assert!(body.contains(words), "{left}: {body}");
            assert_eq!(body.contains(settings), left <= 3, "{left}: {body}");
        }
    }
}

#[test]
fn a_code_says_what_it_is_for_and_what_it_means_where_nobody_asked_for_it() {
    let letter = |purpose| {
        let letter = english(&CodeLetter {
            service_name: "Example",
            contact: None,
            code: "012345",
            purpose,
            minutes: 10,
        });
        let letter = letter.unwrap();
        (letter.text.replace('\n', " "), letter.html)
    };
    for (purpose, words) in [
        (
            Purpose::TurnOn,
            "your code to turn on email codes at Example",
        ),
        (
            Purpose::Change,
            "your code to confirm a change to your security settings at Example",
        ),
        (Purpose::SignIn, "your code to finish signing in at Example"),
    ] {
        let (text, html) = letter(purpose);
        for body in [text, html] {
            assert!(body.contains(words), "{body}");
            let sign_in = purpose == Purpose::SignIn;
            // Whoever is asked for a code at a sign-in has given the password.
            assert_eq!(body.contains("somebody knows your password."), sign_in);
            assert_eq!(body.contains("Change your password now"), sign_in);
            assert_eq!(body.contains("You can ignore this mail"), !sign_in);
        }
    }
}

#[test]
fn an_unfinished_sign_in_from_nowhere_known_leaves_no_gap() {
    let occasion = Occasion {
        service_name: "Example",
        contact: None,
        at: NOON,
        ip: None,
        more_after: None,
    };
    let letter = english(&SignInUnfinished {
        occasion,
        service: Foreign("Wiki"),
    })
    .unwrap();
    assert_eq!(letter.subject, "Unfinished sign-in to your Example account");
    let text = letter.text.replace('\n', " ");
    assert!(text.contains("in to Wiki as you at 24 November 2026, 12:00 UTC, and did not"));
    assert!(!letter.html.contains("IP address"));
}

#[test]
fn a_name_that_says_no_more_than_the_kind_is_not_said_twice() {
    let occasion = Occasion {
        service_name: "Example",
        contact: None,
        at: NOON,
        ip: None,
        more_after: None,
    };
    let english = Language::English;
    for (language, kind, name, said) in [
        (
            english,
            "totp",
            "Authenticator app",
            ": authenticator app. ",
        ),
        (
            english,
            "webauthn",
            "The blue one",
            ": security key “The blue one”. ",
        ),
        (
            english,
            "email",
            "a•••@example.com",
            ": email codes “a example com”. ",
        ),
        (
            Language::Dutch,
            "totp",
            "Authenticator app",
            ": authenticator-app. ",
        ),
        (
            english,
            "totp",
            "Authenticator-App",
            ": authenticator app. ",
        ),
        (
            Language::Dutch,
            "webauthn",
            "De blauwe",
            ": beveiligingssleutel ‘De blauwe’. ",
        ),
        (
            Language::German,
            "webauthn",
            "Blau",
            ": Sicherheitsschlüssel „Blau“. ",
        ),
        (
            Language::French,
            "webauthn",
            "Bleue",
            "\u{a0}: clé de sécurité «\u{a0}Bleue\u{a0}». ",
        ),
        (
            Language::Spanish,
            "webauthn",
            "Azul",
            ": llave de seguridad «Azul». ",
        ),
    ] {
        let name = Some(name);
        let factor = Thing { kind, name };
        let letter = Template::of(&FactorAdded { occasion, factor }, language);
        let text = letter.unwrap().text.replace('\n', " ");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_missing_value_or_sentence_is_a_fault_and_no_gap() {
    struct Forgetful<const KNOWN: bool>;
    impl<const KNOWN: bool> Content for Forgetful<KNOWN> {
        const NAME: &'static str = if KNOWN { "code" } else { "nothing" };
        const LAYOUT: &'static str = "code";
        fn values(&self, _: Language) -> Values {
            let mut values = Values::default();
            if !KNOWN {
                values.named.insert("service_name", "Example".to_owned());
            }
            values
        }
        fn news(&self) -> &'static [&'static str] {
            &["news"]
        }
    }
    assert!(english(&Forgetful::<true>).is_err(), "no value");
    assert!(english(&Forgetful::<false>).is_err(), "no sentence");
}

#[test]
fn paragraphs_flow_and_indented_lines_stand() {
    let typed = "\n\none two\nthree\n\n\n\n    a  b\n  c\n\nend\n\n";
    assert_eq!(flow(typed), "one two three\n\n    a  b\n  c\n\nend\n");
    assert_eq!(flow("one\n--\ntwo\nthree\n"), "one\n-- \ntwo three\n");
    let words = "word ".repeat(40);
    assert!(flow(&words).lines().all(|l| l.len() <= COLUMNS));
    let long = "x".repeat(100);
    assert_eq!(flow(&format!("a {long} b")), format!("a\n{long}\nb\n"));
}
