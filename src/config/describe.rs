//! The settings, told to people: those in effect, and those there are.

use std::path::Path;

use clap::{Arg, Args, Command};
use url::Url;

use super::args::SettingsArgs;
use super::file::{is_bare, is_list};
use super::layers::Layers;

/// A setting, as a table shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// `--listen ADDR`.
    pub flag: String,
    /// `MFAD_LISTEN`.
    pub environment: String,
    /// Empty where there is none, or where `meaning` says how it comes about.
    pub default: String,
    /// A sentence or a few.
    pub meaning: String,
}

fn settings() -> Command {
    SettingsArgs::augment_args(Command::new("settings"))
}

/// All settings, in the order of the help.
pub fn settings_table() -> Vec<SettingRow> {
    let text = |os: &clap::builder::OsStr| os.to_string_lossy().into_owned();
    settings()
        .get_arguments()
        .map(|arg| SettingRow {
            flag: flag(arg),
            environment: arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            default: arg.get_default_values().iter().map(text).collect(),
            meaning: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        })
        .collect()
}

fn flag(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    format!(
        "--{} {}",
        arg.get_long().unwrap_or_default(),
        names.join(" ")
    )
}

impl Layers {
    /// The settings in effect, a line each with its source, as a TOML file that
    /// `--config` reads. What follows from other settings stands there as a
    /// comment, so that it goes on to follow. Secrets are not read for it, and
    /// passwords in URLs are masked.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for arg in settings().get_arguments() {
            let id = arg.get_id().as_str();
            let key = arg.get_long().unwrap_or_default();
            let values = self.values.get(id).map(Vec::as_slice).unwrap_or_default();
            let line = match (id, values, self.derived(id)) {
                ("config", ..) => continue,
                (_, [], Some((value, why))) => {
                    format!("# {key} = {value}   # from: default, {why}")
                }
                (_, [], None) => format!("# {key} is not set"),
                (_, values, _) => {
                    format!(
                        "{key} = {}   # from: {}",
                        toml(values, arg),
                        self.source(id)
                    )
                }
            };
            text.push_str(&line);
            text.push('\n');
        }
        for credential in ["smtp-password", "master-key-passphrase"] {
            if self.credential(credential).is_some() {
                text.push_str(&format!("# the credential {credential}: <set>\n"));
            }
        }
        text
    }

    /// The value of a setting that follows from others, and how.
    fn derived(&self, id: &str) -> Option<(String, String)> {
        let args = &self.args;
        let (value, why) = match id {
            "rp_id" => {
                let url = Url::parse(&args.public_url).ok()?;
                (url.host_str()?.to_owned(), "the host of public-url")
            }
            "audience" => (masked(args.public_url.trim_end_matches('/')), "public-url"),
            "master_key_file" => match self.credential("master-key") {
                Some(path) => (path.display().to_string(), "the credential master-key"),
                None => {
                    let path = Path::new(&args.store.data_dir).join("master.key");
                    (path.display().to_string(), "in data-dir")
                }
            },
            "log_format" if self.terminal => ("text".to_owned(), "a terminal"),
            "log_format" => ("json".to_owned(), "no terminal"),
            _ => return None,
        };
        Some((quoted(&value), why.to_owned()))
    }
}

fn toml(values: &[String], arg: &Arg) -> String {
    let written: Vec<String> = values
        .iter()
        .map(|value| match is_bare(arg) && is_bare_word(value) {
            true => value.clone(),
            false => quoted(&masked(value)),
        })
        .collect();
    match is_list(arg) {
        true => format!("[{}]", written.join(", ")),
        false => written.concat(),
    }
}

fn is_bare_word(value: &str) -> bool {
    value.parse::<bool>().is_ok() || value.parse::<u32>().is_ok_and(|n| n.to_string() == value)
}

/// As a basic string of TOML, whose escapes are those of JSON and one more.
fn quoted(value: &str) -> String {
    serde_json::Value::from(value)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

/// Without the password of a URL, whether or not the URL is a valid one: what
/// stands between the first colon behind `://` and the last `@` is taken for one.
fn masked(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{host}")
        }
        _ => value.to_owned(),
    }
}
