//! The TOML file: which settings it holds, and on which line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use toml::de::{DeTable, DeValue};

use super::args::{BOOLEAN, NUMBER};
use super::problem::Problems;

/// Writing by users who neither own the file nor are in its group. That group is for those who look after the server.
const ANYBODY: u32 = 0o002;
/// The largest file that is read.
const LONGEST: u64 = 1 << 20;
/// How alike a wrong key and a right one must be for the one to be offered for the other.
const ALIKE: f64 = 0.8;

/// A setting's values and their line.
pub(super) struct Entry {
    pub(super) values: Vec<String>,
    pub(super) line: usize,
}

/// The settings of the file at `path`, by the ids of `command`'s arguments.
pub(super) fn read(
    path: &Path,
    command: &Command,
    problems: &mut Problems,
) -> BTreeMap<String, Entry> {
    let mut text = String::new();
    // What is no regular file, such as a shell's <(...), has no mode that says anything.
    let opened = fs::metadata(path).map(|it| it.is_file() && it.mode() & ANYBODY != 0);
    if matches!(opened, Ok(true)) {
        problems.add(
            format!("config {}", path.display()),
            "every user of this machine can write the file, and so say whose tokens are believed",
            format!("chmod o-w {}", path.display()),
        );
        return BTreeMap::new();
    }
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    match read {
        Err(error) => {
            problems.add(
                format!("config {}", path.display()),
                format!("the file cannot be read: {error}"),
                "check the path, and that this user may read it",
            );
            BTreeMap::new()
        }
        Ok(length) if length as u64 > LONGEST => {
            problems.add(
                format!("config {}", path.display()),
                "the file is longer than 1 MiB",
                "name a file with settings",
            );
            BTreeMap::new()
        }
        Ok(_) => parse(&text, path, command, problems),
    }
}

fn parse(
    text: &str,
    path: &Path,
    command: &Command,
    problems: &mut Problems,
) -> BTreeMap<String, Entry> {
    let line = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        before.bytes().filter(|b| *b == b'\n').count() + 1
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(1, |span| line(span.start));
        problems.add(
            format!("config {}:{at}", path.display()),
            format!("this is not TOML: {}", error.message()),
            "write one setting a line, as in: public-url = \"https://mfa.example.org\"",
        );
    }
    let mut entries = BTreeMap::new();
    // The table is sorted by key; people read from the top.
    let mut rows: Vec<_> = table.get_ref().iter().collect();
    rows.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in rows {
        let at = line(key.span().start);
        let subject = format!("config {}:{at}", path.display());
        let key = key.get_ref().as_ref();
        let Some(arg) = settings(command).find(|arg| arg.get_long() == Some(key)) else {
            problems.add(
                subject,
                format!("there is no setting {key:?}"),
                hint_for_unknown(key, command),
            );
            continue;
        };
        match texts(value.get_ref(), arg) {
            Ok(values) => {
                let id = arg.get_id().to_string();
                entries.insert(id, Entry { values, line: at });
            }
            Err(expected) => problems.add(
                subject,
                format!(
                    "{key} must be {expected}, not {}",
                    article(value.get_ref().type_str())
                ),
                format!("write it as in: {}", example(key, arg)),
            ),
        }
    }
    entries
}

/// The arguments that can stand in a file.
fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| arg.get_env().is_some() && arg.get_id() != "config")
}

fn hint_for_unknown(key: &str, command: &Command) -> String {
    let best = settings(command)
        .filter_map(Arg::get_long)
        .map(|long| (strsim::jaro_winkler(key, long), long))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((_, long)) => format!("did you mean {long}?"),
        None => "mfad config prints all settings".to_owned(),
    }
}

pub(super) fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

pub(super) fn is_bare(arg: &Arg) -> bool {
    has_value_name(arg, BOOLEAN) || has_value_name(arg, NUMBER)
}

fn has_value_name(arg: &Arg, name: &str) -> bool {
    arg.get_value_names()
        .is_some_and(|names| names.iter().any(|n| n.as_str() == name))
}

/// Whether all of it is a number: the reader of TOML passes on what stands right behind one.
fn is_number(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'+' | b'-'))
}

/// The value as text, or what it should have been.
fn texts(value: &DeValue<'_>, arg: &Arg) -> Result<Vec<String>, &'static str> {
    match value {
        DeValue::String(text) if !is_bare(arg) => Ok(vec![text.to_string()]),
        DeValue::Boolean(value) if has_value_name(arg, BOOLEAN) => Ok(vec![value.to_string()]),
        DeValue::Integer(number)
            if has_value_name(arg, NUMBER)
                && number.radix() == 10
                && is_number(number.as_str()) =>
        {
            Ok(vec![number.as_str().to_owned()])
        }
        DeValue::Array(items) if is_list(arg) => items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                _ => Err("a list of texts"),
            })
            .collect(),
        _ if is_list(arg) => Err("a list of texts"),
        _ if has_value_name(arg, BOOLEAN) => Err("true or false"),
        _ if has_value_name(arg, NUMBER) => Err("a number"),
        _ => Err("a text"),
    }
}

fn article(kind: &str) -> String {
    match kind.starts_with(['a', 'i']) {
        true => format!("an {kind}"),
        false => format!("a {kind}"),
    }
}

fn example(key: &str, arg: &Arg) -> String {
    let value = if is_list(arg) {
        "[\"...\"]"
    } else if has_value_name(arg, BOOLEAN) {
        "true"
    } else if has_value_name(arg, NUMBER) {
        "512"
    } else {
        "\"...\""
    };
    format!("{key} = {value}")
}

#[cfg(test)]
mod tests {
    use clap::Args as _;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::base::fuzz::Target;
    use crate::config::args::SettingsArgs;

    /// What a file is read as says the same when it is written anew, and whatever is wrong is said with its line.
    #[test]
    fn fuzz_settings_files() {
        let line = select(
            &[
                "public-url = \"https://mfa.example.org\"",
                "issuer = [\"https://a.example\", \"https://b.example\"]",
                "issuer = 'https://a.example'",
                "log-format = \"json\"",
                "grace-days = 30",
                "grace-days = 0x1e",
                "grace-days = \"30\"",
                "email-factor = \"\"\"on\"\"\"",
                "trusted-device-days = 1_0",
                "require-mfa = [\"all\", 1]",
                "allow-factor = [\"totp\"] # why",
                "store = \"/var/lib\\u0020mfad\"",
                "unknown = true",
                "[table]",
                "a.b = 1979-05-27",
                "",
            ][..],
        );
        let generated = vec(line, 0..6).prop_map(|lines| lines.join("\n").into_bytes());
        let command = SettingsArgs::augment_args(Command::new("settings"));
        let target = Target::new("settings_files").words(&[
            " = ",
            "\"\"\"",
            "'",
            "[[",
            "#",
            "grace-days",
            "\\x",
        ]);
        target.check(generated, |input| {
            let Ok(text) = std::str::from_utf8(input) else {
                return false;
            };
            // Every line of a long one can be a problem, which takes long and shows nothing new.
            if text.len() > 4096 {
                return false;
            }
            let mut problems = Problems::default();
            let entries = parse(text, Path::new("mfad.toml"), &command, &mut problems);
            let lines = text.matches('\n').count() + 1;
            let told = problems.to_string();
            for problem in &problems.0 {
                let (_, at) = problem.subject.split_once("mfad.toml:").unwrap();
                assert!(
                    (1..=lines).contains(&at.parse::<usize>().unwrap()),
                    "{told}"
                );
            }
            // A terminal is not steered by what stands in a file.
            assert!(
                !told.chars().any(|c| c.is_control() && c != '\n'),
                "{told:?}"
            );
            let mut written = String::new();
            for (id, entry) in &entries {
                assert!((1..=lines).contains(&entry.line));
                let arg = settings(&command).find(|arg| arg.get_id() == id).unwrap();
                let quoted: Vec<String> = entry
                    .values
                    .iter()
                    .map(|value| toml::Value::from(value.as_str()).to_string())
                    .collect();
                let value = match (is_list(arg), is_bare(arg)) {
                    (true, _) => format!("[{}]", quoted.join(",")),
                    (_, true) => entry.values[0].clone(),
                    _ => quoted[0].clone(),
                };
                written.push_str(&format!("{} = {value}\n", arg.get_long().unwrap()));
            }
            if !problems.0.is_empty() {
                return false;
            }
            let mut none = Problems::default();
            let again = parse(&written, Path::new("mfad.toml"), &command, &mut none);
            assert!(none.0.is_empty(), "{none}");
            let values = |entries: &BTreeMap<String, Entry>| -> Vec<(String, Vec<String>)> {
                entries
                    .iter()
                    .map(|(id, entry)| (id.clone(), entry.values.clone()))
                    .collect()
            };
            assert_eq!(values(&again), values(&entries));
            true
        });
    }
}
