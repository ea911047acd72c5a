//! The map in the crate's documentation, held against the sources: one crate
//! cannot keep its rooms apart by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FACTORS: [&str; 4] = ["totp", "email", "webauthn", "backup_codes"];

/// Libraries that only some rooms may name, and where.
const LIBRARIES: [(&str, &[&str]); 12] = [
    ("redb", &["store"]),
    // The demo's tests write to its mailbox as a stranger would.
    ("lettre", &["mail", "demo/mailbox/tests.rs"]),
    ("minijinja", &["mail"]),
    ("webauthn_rs", &["factor/webauthn"]),
    ("totp_rs", &["factor/totp"]),
    ("jsonwebtoken", &["auth", "signing", "demo/issuer"]),
    ("clap", &["config"]),
    ("clap_complete", &["config"]),
    ("clap_mangen", &["config"]),
    ("httparse", &["server"]),
    ("listenfd", &["server"]),
    ("getrandom", &["base/entropy.rs"]),
];

/// Lines of a test at most, and of a function that integration tests call: a longer one promises
/// more than its name says.
const LONGEST_TEST: usize = 100;

/// The rooms that may see settings.
const READERS_OF_SETTINGS: [&str; 4] = ["main", "commands", "app", "log"];

struct Source {
    /// Below `src/`: `factor/totp/rule.rs`.
    path: String,
    /// Without its comments.
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            self.path
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Every path that starts with `root::`, groups taken apart: `["factor", "Desk"]`.
    fn paths_from(&self, root: &str) -> Vec<Vec<String>> {
        let start = format!("{root}::");
        let mut paths = Vec::new();
        for (at, _) in self.text.match_indices(&start) {
            if !self.text[..at].ends_with(is_word) {
                follow(&self.text[at + start.len()..], &[], &mut paths);
            }
        }
        paths
    }

    fn names(&self, word: &str) -> bool {
        self.text.match_indices(word).any(|(at, _)| {
            !self.text[..at].ends_with(is_word)
                && !self.text[at + word.len()..].starts_with(is_word)
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads one path of a use tree off the start of `text`, and gives what follows it.
fn follow<'t>(text: &'t str, before: &[String], paths: &mut Vec<Vec<String>>) -> &'t str {
    let mut path = before.to_vec();
    let mut rest = text.trim_start();
    loop {
        if let Some(mut inside) = rest.strip_prefix('{') {
            loop {
                inside = follow(inside, &path, paths).trim_start();
                match inside.strip_prefix(',') {
                    Some(more) if !more.trim_start().starts_with('}') => inside = more,
                    Some(end) => return end.trim_start().strip_prefix('}').unwrap_or_default(),
                    None => return inside.strip_prefix('}').unwrap_or_default(),
                }
            }
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        path.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(more) => rest = more,
            None => {
                paths.push(path);
                // `as` gives another name, which does not matter here.
                let trimmed = rest.trim_start();
                return match trimmed.strip_prefix("as ") {
                    Some(alias) => alias.trim_start().trim_start_matches(is_word),
                    None => trimmed,
                };
            }
        }
    }
}

/// The Rust files below a folder of the project, and their text.
fn files(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn sources() -> Vec<Source> {
    let code = |line: &str| match line.trim_start().starts_with("//") {
        true => String::new(),
        false => line.to_owned(),
    };
    let source = |(path, text): (String, String)| Source {
        path,
        text: text.lines().map(code).collect::<Vec<_>>().join("\n"),
    };
    files("src").into_iter().map(source).collect()
}

/// A function of a formatted source: its name, its lines, and whether it is a test.
fn functions(text: &str) -> Vec<(&str, usize, bool)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut is_test = false;
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        is_test |= code == "#[test]" || code.starts_with("#[tokio::test");
        let head = code.split_once('(').map_or(code, |(head, _)| head);
        let Some((before, name)) = head.split_once("fn ") else {
            continue;
        };
        if !before.chars().all(|c| c.is_lowercase() || c == ' ') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let last = match line.ends_with(['}', ';']) {
            true => Some(0),
            false => lines[at..].iter().position(|line| *line == end),
        };
        found.push((name, last.unwrap() + 1, is_test));
        is_test = false;
    }
    found
}

/// The lines of the map, from the top.
fn map() -> Vec<Vec<String>> {
    let docs =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let (_, picture) = docs.split_once("//! ```text\n").unwrap();
    let (picture, _) = picture.split_once("//! ```\n").unwrap();
    picture
        .lines()
        .map(|line| {
            let rooms = line.trim_start_matches("//!").split_whitespace();
            rooms.map(str::to_owned).collect()
        })
        .collect()
}

fn floor(map: &[Vec<String>], room: &str) -> Option<usize> {
    map.iter()
        .position(|line| line.iter().any(|one| one == room))
}

#[test]
fn every_room_stands_on_the_map_once() {
    let mut drawn: Vec<String> = map().concat();
    drawn.sort();
    let built: BTreeSet<String> = sources()
        .iter()
        .map(|source| source.room().to_owned())
        .filter(|room| room != "lib")
        .collect();
    assert_eq!(drawn, built.into_iter().collect::<Vec<_>>());
}

#[test]
fn arrows_run_down_only() {
    let map = map();
    let mut wrong = BTreeSet::new();
    for source in sources().iter().filter(|source| source.path != "lib.rs") {
        let root = if source.path == "main.rs" {
            "mfad"
        } else {
            "crate"
        };
        for path in source.paths_from(root) {
            let (from, to) = (source.room(), path[0].as_str());
            match (floor(&map, from), floor(&map, to)) {
                (Some(above), Some(below)) if above < below || from == to => {}
                _ => {
                    wrong.insert(format!("{}: {from} -> {to}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows up or sideways: {wrong:#?}");
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut wrong = BTreeSet::new();
    for source in sources() {
        for (library, places) in LIBRARIES {
            if !source.paths_from(library).is_empty() && !source.is_in(places) {
                wrong.insert(format!("{} names {library}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nobody_outside_names_a_factor_and_no_factor_another() {
    let mut wrong = BTreeSet::new();
    for source in sources() {
        for path in source.paths_from("crate") {
            let named = path.get(1).map(String::as_str).unwrap_or_default();
            if path[0] != "factor" || !FACTORS.contains(&named) {
                continue;
            }
            let own = format!("factor/{named}");
            let roof = source.path.starts_with("factor/") && source.path.matches('/').count() == 1;
            if !roof && !source.is_in(&[&own]) {
                wrong.insert(format!("{} names {named}", source.path));
            }
        }
    }
    for source in sources() {
        // From a file of a factor's folder, `super::super` is the roof.
        for path in source.paths_from("super") {
            let named = path.iter().find(|part| *part != "super");
            let steps = path.iter().take_while(|part| *part == "super").count() + 1;
            let outside = source.path.starts_with("factor/")
                && source.path.matches('/').count() == 2
                && steps
                    >= if source.path.ends_with("/mod.rs") {
                        1
                    } else {
                        2
                    };
            if outside && named.is_some_and(|name| FACTORS.contains(&name.as_str())) {
                wrong.insert(format!("{} names {named:?}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn settings_are_seen_by_those_who_compose() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| source.room() != "config" && !READERS_OF_SETTINGS.contains(&source.room()))
        .filter(|source| source.paths_from("crate").iter().any(|p| p[0] == "config"))
        .map(|source| source.path.clone())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_time_of_day_comes_through_base_alone() {
    for source in sources() {
        let asks = source.names("SystemTime::now")
            || source.names("std::time::Instant")
            || source.names("OffsetDateTime::now_utc");
        assert!(
            !asks || source.path == "base/time.rs",
            "{} asks for the time",
            source.path
        );
    }
}

#[test]
fn no_test_is_longer_than_a_hundred_lines() {
    let mut long = BTreeSet::new();
    let mut tests = 0;
    for folder in ["src", "tests/it"] {
        for (path, text) in files(folder) {
            for (name, lines, is_test) in functions(&text) {
                tests += usize::from(is_test);
                if lines > LONGEST_TEST && (is_test || folder == "tests/it") {
                    long.insert(format!("{folder}/{path}: {name} has {lines} lines"));
                }
            }
        }
    }
    assert!(tests > 500, "only {tests} tests were found");
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_lines_of_a_function_are_counted_to_its_own_end() {
    let text = "#[test]\nfn a() {\n    if b {\n    }\n}\n\nmod tests {\n    #[tokio::test(flavor = \"x\")]\n    async fn c() {\n        let f = |fn_: u8| {\n        };\n    }\n\n    fn d() {}\n\n    fn e() {\n    }\n}\n";
    let expected = [
        ("a", 4, true),
        ("c", 4, true),
        ("d", 1, false),
        ("e", 2, false),
    ];
    assert_eq!(functions(text), expected);
}

#[test]
fn use_trees_are_taken_apart() {
    let source = Source {
        path: "x.rs".to_owned(),
        text: "use crate::a::{self, b::{c, d as e}, f,};\nfn g() { crate::h::i(); xcrate::no(); }"
            .to_owned(),
    };
    let paths: Vec<String> = source
        .paths_from("crate")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(paths, ["a::self", "a::b::c", "a::b::d", "a::f", "h::i"]);
}
