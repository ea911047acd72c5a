//! What is said to people, held against who says it: no page asks for words that are missing, and no words are kept
//! that nobody says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mfad::words::{Language, Page, Sentence, sentences};

/// Kinds of factors that answer a sign-in or prove somebody.
const KINDS: [&str; 4] = ["totp", "email", "webauthn", "backup_code"];
/// Those that can be set up by themselves.
const DEVICES: [&str; 3] = ["totp", "email", "webauthn"];

/// Codes that only programs meet: what a page sends is well formed. People would read `problem.other`.
const FOR_PROGRAMS: [&str; 5] = [
    "ambiguous_name",
    "bad_request",
    "method_not_allowed",
    "too_large",
    "unsupported_media_type",
];

/// Codes that no line of the history has for a reason: nothing of a person's is asked for when they are answered.
const IN_NO_HISTORY: [&str; 8] = [
    "forbidden",
    "head_too_large",
    "internal",
    "invalid",
    "invalid_token",
    "sign_in_failed",
    "timeout",
    "unauthenticated",
];

/// Steps on the way to something, which the page tells of only where they were refused.
const STEPS: [&str; 10] = [
    "totp.enable",
    "totp.replace",
    "email.enable",
    "email.send",
    "webauthn.begin",
    "webauthn.challenge",
    "webauthn.verify",
    "login.challenge",
    "login.email",
    "login.webauthn",
];

/// What is written only where it was done.
const NEVER_REFUSED: [&str; 6] = [
    "backup_codes.void",
    "factor.disable",
    "factor.lock",
    "factor.reset",
    "login.unfinished",
    "trusted_device.void",
];

/// Why a browser ends a ceremony (WebAuthn Level 3, sections 5.1.3 and 5.1.4; `UnknownError` and `NotReadableError`
/// are browsers' own).
const CEREMONY_ERRORS: [&str; 9] = [
    "AbortError",
    "ConstraintError",
    "InvalidStateError",
    "NotAllowedError",
    "NotReadableError",
    "NotSupportedError",
    "SecurityError",
    "TimeoutError",
    "UnknownError",
];

/// Words that another of the languages writes as English does.
const ALIKE: [&str; 13] = [
    "account",
    "april",
    "august",
    "backup",
    "codes",
    "minute",
    "minutes",
    "name",
    "november",
    "passkey",
    "september",
    "txt",
    "utc",
];

fn files(folder: &str, ending: &str, found: &mut BTreeMap<String, String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        match path.is_dir() {
            true => files(&name, ending, found),
            false if name.ends_with(ending) => {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
            false => {}
        }
    }
}

fn read(folder: &str, ending: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    files(folder, ending, &mut found);
    assert!(!found.is_empty(), "{folder}");
    found
}

fn scripts() -> BTreeMap<String, String> {
    let without_comments = |text: &str| {
        let lines = text.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && !line.starts_with('*') && !line.starts_with("/*")
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let scripts = read("assets/ui/js", ".js");
    let scripts = scripts.into_iter();
    scripts
        .map(|(name, text)| (name, without_comments(&text)))
        .collect()
}

/// The texts between two `quote`s on one line.
fn quoted(text: &str, quote: char) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(move |line| line.split(quote).skip(1).step_by(2))
}

/// Texts that have the shape of a key.
fn keys_in(text: &str, quote: char) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    quoted(text, quote).filter(move |text| !text.is_empty() && text.chars().all(part))
}

/// The first argument of each call of `function`: `say(off ? "state.off" : "state.on")`.
fn first_arguments<'t>(text: &'t str, function: &str) -> Vec<&'t str> {
    let start = format!("{function}(");
    let calls = text.match_indices(&start).filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.')
    });
    let argument = |(at, _): (usize, &str)| {
        let rest = &text[at + start.len()..];
        let mut depth = 0;
        let end = rest.find(|c| {
            match c {
                '(' | '{' | '[' => depth += 1,
                ')' | '}' | ']' if depth > 0 => depth -= 1,
                ')' | ',' if depth == 0 => return true,
                _ => {}
            }
            false
        });
        &rest[..end.unwrap_or(rest.len())]
    };
    calls.map(argument).collect()
}

/// What is written into the history, as the sources name it.
fn actions() -> BTreeSet<String> {
    let rooms = [
        "totp",
        "email",
        "webauthn",
        "backup_codes",
        "factor",
        "session",
        "trusted_device",
        "login",
    ];
    let mut actions = BTreeSet::new();
    let mut sources = read("src/factor", ".rs");
    sources.extend(read("src/login", ".rs"));
    for source in sources.values() {
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for key in keys_in(source, '"') {
            let room = key.split_once('.').map(|(room, _)| room);
            if room.is_some_and(|room| rooms.contains(&room)) {
                actions.insert(key.to_owned());
            }
        }
    }
    // Names of ceremonies, which browsers give them.
    actions.remove("webauthn.create");
    actions.remove("webauthn.get");
    assert!(actions.len() > 20, "{actions:?}");
    actions
}

fn codes() -> BTreeSet<String> {
    let all = mfad::http::all_codes().into_iter();
    all.map(|code| code.name.to_owned()).collect()
}

/// Keys that scripts put together, as the scripts write them, and all that can come of it.
fn put_together() -> BTreeMap<&'static str, BTreeSet<String>> {
    let each = |all: &[&str], start: &str, end: &str| -> BTreeSet<String> {
        all.iter().map(|one| format!("{start}{one}{end}")).collect()
    };
    let some = |all: &BTreeSet<String>, without: &[&str], start: &str| -> BTreeSet<String> {
        let named = all.iter().filter(|one| !without.contains(&one.as_str()));
        named.map(|one| format!("{start}{one}")).collect()
    };
    // A code has words for all pages, or for the settings page alone.
    let said = sentences(Language::English);
    let mut with_unreachable = codes();
    with_unreachable.insert("unreachable".to_owned());
    let in_words: BTreeSet<String> = with_unreachable
        .iter()
        .filter(|code| !FOR_PROGRAMS.contains(&code.as_str()) && *code != "sign_in_failed")
        .flat_map(|code| {
            let both = [format!("problem.{code}"), format!("here.{code}")];
            let there: Vec<_> = both.iter().filter(|key| said.contains_key(*key)).collect();
            match there.is_empty() {
                true => vec![both[0].clone()],
                false => there.into_iter().cloned().collect(),
            }
        })
        .collect();
    let without = [&FOR_PROGRAMS[..], &IN_NO_HISTORY[..]].concat();
    BTreeMap::from([
        ("${here}.${name}", BTreeSet::new()),
        ("problem.${name}", in_words),
        ("key.${deed}.${name}", {
            each(&["InvalidStateError", "NotAllowedError"], "key.get.", "")
        }),
        ("key.${name}", each(&CEREMONY_ERRORS, "key.", "")),
        ("prompt.${method}", each(&KINDS, "prompt.", "")),
        ("prove.${other}", each(&KINDS, "prove.", "")),
        ("kind.${kind}", each(&KINDS, "kind.", "")),
        ("kind.${factor}", each(&["backup_codes"], "kind.", "")),
        ("kind.${event.factor}", each(&KINDS, "kind.", "")),
        ("keys.kind.${kind}", {
            let kinds = ["synced", "laptop", "phone", "usb", "key"];
            each(&kinds, "keys.kind.", "")
        }),
        ("keys.name.${kind}", {
            each(&["synced", "phone", "usb", "key"], "keys.name.", "")
        }),
        ("email.missing.${tip}", {
            each(&["spam", "wait", "address"], "email.missing.", "")
        }),
        (
            "safety.off.${off.type}",
            each(&["totp", "email"], "safety.off.", ""),
        ),
        ("next.${kind}", each(&DEVICES, "next.", "")),
        ("next.${kind}.add", each(&DEVICES, "next.", ".add")),
        ("did.${action}", some(&actions(), &STEPS, "did.")),
        ("did.${action}.named", {
            each(&["register", "rename"], "did.webauthn.", ".named")
        }),
        (
            "tried.${action}",
            some(&actions(), &NEVER_REFUSED, "tried."),
        ),
        ("why.${reason}", some(&codes(), &without, "why.")),
    ])
}

#[test]
fn scripts_put_keys_together_as_is_known_here() {
    let starts = starts();
    let known: BTreeSet<&str> = put_together().into_keys().collect();
    let mut found = BTreeSet::new();
    let scripts = scripts();
    for text in scripts.values() {
        for template in quoted(text, '`').filter(|text| text.contains("${")) {
            let of_words = template
                .split_once('.')
                .is_some_and(|(start, rest)| starts.contains(start) && !rest.contains(' '));
            if of_words || template == "${here}.${name}" {
                found.insert(template);
            }
        }
    }
    assert_eq!(found, known);
}

/// Keys that a script writes out.
fn asked_by<'t>(
    text: &'t str,
    starts: &BTreeSet<&str>,
    actions: &BTreeSet<String>,
) -> BTreeSet<&'t str> {
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    for function in ["say", "sentence", "isSaid"] {
        let arguments = first_arguments(text, function);
        asked.extend(arguments.iter().flat_map(|argument| keys_in(argument, '"')));
    }
    // In tables and variables, too.
    let doors: BTreeSet<&str> = text
        .lines()
        .filter(|line| {
            ["door", "name: \"", "opener("]
                .iter()
                .any(|word| line.contains(word))
        })
        .flat_map(|line| keys_in(line, '"'))
        .collect();
    asked.extend(keys_in(text, '"').filter(|key| {
        let dotted = key
            .split_once('.')
            .is_some_and(|(start, _)| starts.contains(start));
        dotted && !actions.contains(*key) && !doors.contains(key)
    }));
    asked
}

/// What keys begin with.
fn starts() -> BTreeSet<&'static str> {
    sentences(Language::English)
        .keys()
        .filter_map(|key| key.split('.').next())
        .collect()
}

#[test]
fn what_is_asked_for_is_there() {
    let said = sentences(Language::English);
    let (starts, actions) = (starts(), actions());
    let mut missing = BTreeSet::new();
    for (name, text) in scripts() {
        let asked = asked_by(&text, &starts, &actions).into_iter();
        let asked = asked.filter(|key| !said.contains_key(*key));
        missing.extend(asked.map(|key| format!("{name}: {key}")));
    }
    for (from, keys) in put_together() {
        let keys = keys.into_iter().filter(|key| !said.contains_key(key));
        missing.extend(keys.map(|key| format!("{from}: {key}")));
    }
    for (name, text) in templates() {
        let keys = said_in_templates(&text).filter(|key| !said.contains_key(*key));
        missing.extend(keys.map(|key| format!("{name}: {key}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The modules that `name` loads, itself among them.
fn loaded<'t>(name: &str, scripts: &'t BTreeMap<String, String>) -> BTreeMap<&'t str, &'t str> {
    let mut loaded = BTreeMap::new();
    let mut waiting = vec![name.to_owned()];
    while let Some(name) = waiting.pop() {
        let (name, text) = scripts
            .get_key_value(&name)
            .unwrap_or_else(|| panic!("{name}"));
        if loaded.insert(name.as_str(), text.as_str()).is_some() {
            continue;
        }
        let froms = text.split(" from \"").skip(1);
        for from in froms.filter_map(|rest| rest.split_once('"').map(|(from, _)| from)) {
            let mut path: Vec<&str> = name.split('/').collect();
            path.pop();
            for part in from.split('/') {
                match part {
                    "." => {}
                    ".." => drop(path.pop()),
                    part => path.push(part),
                }
            }
            waiting.push(path.join("/"));
        }
    }
    loaded
}

#[test]
fn a_page_gets_the_words_that_its_scripts_say() {
    let said = sentences(Language::English);
    let (starts, actions, scripts) = (starts(), actions(), scripts());
    let mut missing = BTreeSet::new();
    for (page, main) in [(Page::Settings, "main"), (Page::Prompt, "prompt")] {
        let modules = loaded(&format!("assets/ui/js/{main}.js"), &scripts);
        assert!(modules.len() > 8, "{modules:?}");
        for (name, text) in modules {
            let asked = asked_by(text, &starts, &actions).into_iter();
            let mut asked: BTreeSet<String> = asked.map(str::to_owned).collect();
            for (template, keys) in put_together() {
                if text.contains(template) {
                    // A page has those of its own; "here" are those of the settings page.
                    let own = |key: &String| page == Page::Settings || !key.starts_with("here.");
                    asked.extend(keys.into_iter().filter(own));
                }
            }
            let asked = asked.into_iter();
            let asked = asked.filter(|key| said.contains_key(key) && !page.says(key));
            missing.extend(asked.map(|key| format!("{page:?}: {name}: {key}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Pages with gaps, in files and in sources.
fn templates() -> BTreeMap<String, String> {
    let mut templates = read("assets/ui", ".html");
    templates.extend(read("src/http", ".rs"));
    templates
}

fn said_in_templates(text: &str) -> impl Iterator<Item = &str> {
    let gaps = text.split("{{say ").skip(1);
    gaps.filter_map(|rest| rest.split_once("}}"))
        .map(|(key, _)| key)
        .filter(|key| *key != "KEY")
}

#[test]
fn what_is_there_is_said_somewhere() {
    let mut used: BTreeSet<String> = put_together().into_values().flatten().collect();
    for text in scripts().values() {
        used.extend(keys_in(text, '"').map(str::to_owned));
    }
    for text in templates().values() {
        used.extend(said_in_templates(text).map(str::to_owned));
    }
    for text in read("src", ".rs").values() {
        used.extend(keys_in(text, '"').map(str::to_owned));
    }
    let unused: Vec<_> = sentences(Language::English)
        .keys()
        // Each letter's words are held against the letters where these are written.
        .filter(|key| !key.starts_with("mail.") && !used.contains(*key))
        .collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

fn forms(sentence: &Sentence) -> Vec<&str> {
    match sentence {
        Sentence::Plain(words) => vec![words],
        Sentence::Counted { one, other } => vec![one, other],
    }
}

/// The words of a sentence, without the names of its values.
fn words_of(sentence: &str) -> Vec<String> {
    let outside = sentence
        .split('{')
        .map(|part| part.split_once('}').map_or(part, |(_, after)| after));
    let words = outside.flat_map(|part| part.split(|c: char| !c.is_alphabetic()));
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[test]
fn a_translation_is_one() {
    let english = sentences(Language::English);
    let mut same = Vec::new();
    for language in Language::ALL {
        if language == Language::English {
            continue;
        }
        for (key, sentence) in sentences(language) {
            let (ours, theirs) = (forms(&english[key]), forms(sentence));
            let copied = ours.iter().zip(&theirs).any(|(ours, theirs)| {
                let words = words_of(theirs);
                ours == theirs && !words.iter().all(|word| ALIKE.contains(&word.as_str()))
            });
            if copied {
                same.push(format!("{language}: {key}: {theirs:?}"));
            }
        }
    }
    assert!(same.is_empty(), "{same:#?}");
}

#[test]
fn each_language_is_written_in_its_own_signs() {
    let mut strange = Vec::new();
    for language in Language::ALL {
        for (key, sentence) in sentences(language) {
            for words in forms(sentence) {
                let mut wrong = words.contains(['\'', '"']) || words.contains("...");
                wrong |= words.contains("  ") || words.trim() != words;
                wrong |= match language {
                    Language::English | Language::Dutch => words.contains(['„', '«', '»']),
                    Language::German => words.contains(['”', '«', '»', '’', '‘']),
                    Language::French => {
                        let before = |sign: char| words.contains(&format!(" {sign}"));
                        let after = words.contains("« ") || words.contains(['“', '”', '„']);
                        [':', ';', '!', '?', '»'].into_iter().any(before) || after
                    }
                    Language::Spanish => {
                        let opened = words.matches('¿').count() == words.matches('?').count();
                        words.contains(['“', '”', '„']) || !opened
                    }
                };
                if wrong {
                    strange.push(format!("{language}: {key}: {words}"));
                }
            }
        }
    }
    assert!(strange.is_empty(), "{strange:#?}");
}

/// What a button says, and the name of it for those who hear it.
const SEEN_AND_HEARD: [(&str, &str); 12] = [
    ("keys.add", "keys.add.heading"),
    ("remove", "keys.remove.heading"),
    ("rename", "keys.rename.heading"),
    ("replace", "totp.replace.heading"),
    ("session.sign_out", "sessions.sign_out.label"),
    ("set_up", "email.add.heading"),
    ("set_up", "totp.add.heading"),
    ("trusted.remove", "trusted.remove.label"),
    ("turn_off", "email.remove.heading"),
    ("turn_off", "totp.remove.heading"),
    ("unlock", "email.unlock.heading"),
    ("unlock", "totp.unlock.heading"),
];

/// Whoever speaks to a machine says what they see (WCAG 2.2, 2.5.3).
#[test]
fn what_is_heard_of_a_button_holds_what_is_seen_of_it() {
    for language in Language::ALL {
        for (seen, heard) in SEEN_AND_HEARD {
            let said = |key| mfad::words::find(language, key, None).to_lowercase();
            let (seen_words, heard_words) = (said(seen), said(heard));
            assert!(
                heard_words.contains(&seen_words),
                "{language}: {seen} ({seen_words}) is not in {heard} ({heard_words})"
            );
        }
    }
}
