//! Flag over variable over file over default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches};

use super::args::{PlaceArgs, SettingsArgs};
use super::cli::{Cli, CliCommand, DemoArgs, PamArgs};
use super::file::{self, Entry, is_list};
use super::manual::Shell;
use super::orders::{
    AuditCommand, BackupCommand, ClockCommand, DataKeyCommand, MasterKeyCommand, PolicyCommand,
    RestoreCommand, ServiceCommand, SigningKeyCommand,
};
use super::problem::{Exit, Problems};
use super::settings::Supervision;
use super::users::UserCommand;

/// What the process finds around itself, so that tests can say what that is.
pub struct Surroundings<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    terminal: bool,
}

impl<'a> Surroundings<'a> {
    /// Variables as `variable` tells them; `terminal` says whether a person reads standard error.
    pub fn new(variable: &'a dyn Fn(&str) -> Option<OsString>, terminal: bool) -> Self {
        Surroundings { variable, terminal }
    }

    /// Those of this process.
    pub fn of_this_process() -> Surroundings<'static> {
        Surroundings {
            variable: &|name| std::env::var_os(name),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// A variable that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// A variable.
    Environment(String),
    /// A line of the file.
    File(PathBuf, usize),
    /// A systemd credential.
    Credential(&'static str),
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("flag"),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::File(path, line) => write!(f, "file {}:{line}", path.display()),
            Source::Credential(name) => write!(f, "credential {name}"),
            Source::Default => f.write_str("default"),
        }
    }
}

/// Where settings come from, by the ids of their arguments.
type Sources = BTreeMap<String, Source>;

/// The settings as text, each from the layer that wins.
pub struct Layers {
    pub(super) args: Box<SettingsArgs>,
    /// By the ids of the arguments.
    pub(super) sources: Sources,
    /// By the ids of the arguments, for those that have any.
    pub(super) values: BTreeMap<String, Vec<String>>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub(super) credentials: Option<PathBuf>,
    pub(super) terminal: bool,
    pub(super) supervision: Supervision,
}

impl Layers {
    pub(super) fn source(&self, id: &str) -> &Source {
        self.sources.get(id).unwrap_or(&Source::Default)
    }

    /// Whether systemd handed the file over.
    pub(super) fn is_credential(&self, path: &Path) -> bool {
        self.credentials
            .as_ref()
            .is_some_and(|folder| path.starts_with(folder))
    }

    /// The credential of that name, where systemd has handed one over.
    pub(super) fn credential(&self, name: &str) -> Option<PathBuf> {
        let path = self.credentials.as_ref()?.join(name);
        path.is_file().then_some(path)
    }
}

/// What a command line asks for, before its values are looked at.
pub(super) enum Asked {
    Serve(Layers),
    Check(Layers),
    Config(Layers),
    Demo(DemoArgs, bool),
    Service(Layers, ServiceCommand),
    SigningKey(Layers, SigningKeyCommand),
    DataKey(Layers, DataKeyCommand),
    MasterKey(Layers, MasterKeyCommand),
    Policy(Layers, PolicyCommand),
    User(Layers, UserCommand),
    Backup(Layers, BackupCommand),
    Clock(Layers, ClockCommand),
    Audit(Layers, AuditCommand),
    Restore(Layers, RestoreCommand),
    Openapi,
    Man(Option<PathBuf>),
    Completions(Shell),
    Pam(PamArgs),
}

/// Why a command line leads to nothing more.
pub enum Refused {
    /// It asks for help or the version, or cannot be understood.
    Usage(Box<clap::Error>),
    /// Its settings are wrong.
    Settings(Problems),
}

impl Refused {
    /// Says it to the person, and how to end.
    pub fn report(&self) -> Exit {
        match self {
            Refused::Usage(error) => {
                let exit = if error.use_stderr() {
                    Exit::Usage
                } else {
                    Exit::Ok
                };
                error.print().map_or(Exit::Io, |()| exit)
            }
            Refused::Settings(problems) => {
                eprintln!("{problems}");
                Exit::Config
            }
        }
    }
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Refused::Usage(Box::new(error))
    }
}

/// Reads `arguments`, the first of which is the program's name.
pub(super) fn read(
    arguments: &[OsString],
    surroundings: &Surroundings<'_>,
) -> Result<Asked, Refused> {
    // Once for what was typed: help, mistakes, and which file to read.
    let typed = Cli::command().try_get_matches_from(arguments)?;
    let Some((name, matches)) = typed.subcommand() else {
        return Err(Cli::command()
            .error(
                clap::error::ErrorKind::MissingSubcommand,
                "a command is missing",
            )
            .into());
    };
    let mut problems = Problems::default();
    let mut sources = BTreeMap::new();
    let entries = match config_file(matches, surroundings) {
        Some(path) => {
            // The same file serves all commands, whichever part of it they need.
            let known = SettingsArgs::augment_args(Command::new("settings"));
            let entries = file::read(&path, &known, &mut problems);
            (path, entries)
        }
        None => (PathBuf::new(), BTreeMap::new()),
    };
    // And once more with variables and file in the place of the defaults, so
    // that clap itself lets the flags win.
    let layered = Cli::command()
        .mut_subcommand(name, |command| {
            command.mut_args(|arg| {
                let values = layer(&arg, matches, &entries, surroundings, &mut problems);
                let arg = arg.env(Resettable::Reset);
                let Some((source, values)) = values else {
                    return arg;
                };
                let id = arg.get_id().to_string();
                let flag = source == Source::Flag;
                sources.insert(id, source);
                if flag {
                    arg
                } else {
                    arg.default_values(values)
                }
            })
        })
        .try_get_matches_from(arguments)?;
    if !problems.0.is_empty() {
        return Err(Refused::Settings(problems));
    }
    let orders = |place: PlaceArgs, mut sources: Sources| {
        let args = around(place, &entries, surroundings, &mut sources)?;
        Ok::<_, Refused>((args, sources))
    };
    let layers = |(args, sources)| Layers {
        args,
        sources,
        values: values(&layered),
        credentials: surroundings.path("CREDENTIALS_DIRECTORY"),
        terminal: surroundings.terminal,
        supervision: Supervision::of(surroundings),
    };
    Ok(match Cli::from_arg_matches(&layered)?.command {
        CliCommand::Serve(args) => Asked::Serve(layers((args, sources))),
        CliCommand::Check(args) => Asked::Check(layers((args, sources))),
        CliCommand::Config(args) => Asked::Config(layers((args, sources))),
        CliCommand::Demo(args) => Asked::Demo(args, surroundings.terminal),
        CliCommand::Service(args) => {
            Asked::Service(layers(orders(args.place, sources)?), args.command)
        }
        CliCommand::SigningKey(args) => {
            Asked::SigningKey(layers(orders(args.place, sources)?), args.command)
        }
        CliCommand::DataKey(args) => {
            Asked::DataKey(layers(orders(args.place, sources)?), args.command)
        }
        CliCommand::MasterKey(args) => {
            Asked::MasterKey(layers(orders(args.place, sources)?), args.command)
        }
        CliCommand::Policy(args) => {
            let command = args.command.unwrap_or(PolicyCommand::Show { json: false });
            Asked::Policy(layers(orders(args.place, sources)?), command)
        }
        CliCommand::User(args) => Asked::User(layers(orders(args.place, sources)?), args.command),
        CliCommand::Backup(args) => {
            Asked::Backup(layers(orders(args.place, sources)?), args.command)
        }
        CliCommand::Restore(args) => {
            Asked::Restore(layers(orders(args.place, sources)?), args.command)
        }
        CliCommand::Audit(args) => Asked::Audit(layers(orders(args.place, sources)?), args.command),
        CliCommand::Clock(args) => Asked::Clock(layers(orders(args.place, sources)?), args.command),
        CliCommand::Openapi => Asked::Openapi,
        CliCommand::Man { into } => Asked::Man(into),
        CliCommand::Completions { shell } => Asked::Completions(shell),
        CliCommand::Pam(args) => Asked::Pam(args),
    })
}

/// All settings, of which a command that gives orders takes `place` as flags; the others stand in
/// variables, in the file and in the defaults alone.
fn around(
    place: PlaceArgs,
    entries: &(PathBuf, BTreeMap<String, Entry>),
    surroundings: &Surroundings<'_>,
    sources: &mut Sources,
) -> Result<Box<SettingsArgs>, Refused> {
    let none: [&str; 1] = ["settings"];
    let mut problems = Problems::default();
    let layered = SettingsArgs::augment_args(Command::new("settings"))
        .mut_args(|arg| {
            let values = below(&arg, entries, surroundings, &mut problems);
            let arg = arg.env(Resettable::Reset);
            match values {
                Some((source, values)) => {
                    sources.entry(arg.get_id().to_string()).or_insert(source);
                    arg.default_values(values)
                }
                None => arg,
            }
        })
        .try_get_matches_from(none)?;
    if !problems.0.is_empty() {
        return Err(Refused::Settings(problems));
    }
    let mut settings = SettingsArgs::from_arg_matches(&layered)?;
    settings.store = place.store;
    Ok(Box::new(settings))
}

fn values(matches: &ArgMatches) -> BTreeMap<String, Vec<String>> {
    let Some((_, matches)) = matches.subcommand() else {
        return BTreeMap::new();
    };
    let texts = |id: &clap::Id| {
        let values = matches.try_get_many::<String>(id.as_str()).ok()??;
        Some((id.to_string(), values.cloned().collect()))
    };
    matches.ids().filter_map(texts).collect()
}

fn config_file(matches: &ArgMatches, surroundings: &Surroundings<'_>) -> Option<PathBuf> {
    // Commands without settings have no such argument.
    let typed = matches.try_get_one::<String>("config").ok()?;
    match matches.value_source("config") {
        Some(ValueSource::CommandLine) => typed.map(PathBuf::from),
        _ => surroundings.path("MFAD_CONFIG"),
    }
}

/// The values of one argument, and from where, unless its default holds.
fn layer(
    arg: &Arg,
    typed: &ArgMatches,
    found: &(PathBuf, BTreeMap<String, Entry>),
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<(Source, Vec<String>)> {
    // What has no variable is no setting.
    arg.get_env()?;
    let id = arg.get_id().as_str();
    if typed.value_source(id) == Some(ValueSource::CommandLine) {
        return Some((Source::Flag, Vec::new()));
    }
    below(arg, found, surroundings, problems)
}

/// The same where no flag says it.
fn below(
    arg: &Arg,
    (file, entries): &(PathBuf, BTreeMap<String, Entry>),
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<(Source, Vec<String>)> {
    let variable = arg.get_env()?.to_str()?;
    let id = arg.get_id().as_str();
    if let Some(value) = surroundings.get(variable) {
        let source = Source::Environment(variable.to_owned());
        return text(variable, value, problems).map(|value| (source, split(arg, value)));
    }
    if let Some(entry) = entries.get(id) {
        let source = Source::File(file.clone(), entry.line);
        return Some((source, entry.values.clone()));
    }
    if id == "data_dir" {
        return state_directory(surroundings, problems);
    }
    None
}

/// systemd parts several folders with colons; the first is the service's own.
fn state_directory(
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<(Source, Vec<String>)> {
    const NAME: &str = "STATE_DIRECTORY";
    let value = text(NAME, surroundings.get(NAME)?, problems)?;
    let first = value.split(':').next().filter(|first| !first.is_empty())?;
    let source = Source::Environment(NAME.to_owned());
    Some((source, vec![first.to_owned()]))
}

fn text(name: &str, value: OsString, problems: &mut Problems) -> Option<String> {
    match value.into_string() {
        Ok(value) => Some(value),
        Err(_) => {
            problems.add(
                format!("environment {name}"),
                "its value is not UTF-8",
                "set it anew, or unset it",
            );
            None
        }
    }
}

fn split(arg: &Arg, value: String) -> Vec<String> {
    if !is_list(arg) {
        return vec![value];
    }
    value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether systemd or the container's runtime put `path` where only this
/// process can come to it, whatever its mode says.
pub(super) fn is_handed_over(path: &Path, credentials: Option<&Path>) -> bool {
    credentials.is_some_and(|folder| path.starts_with(folder)) || path.starts_with("/run/secrets")
}
