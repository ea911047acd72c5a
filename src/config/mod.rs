//! The settings: the only reader of arguments, variables and secret files.
//!
//! `args` says which settings there are; `layers` lets flags win over
//! variables, these over the file, and it over the defaults; `check` turns the
//! text into [`Settings`] and tells all that is wrong at once. A setting has one
//! place: its field in `args`.

mod args;
mod brand;
mod check;
mod cli;
mod describe;
mod duration;
mod file;
mod files;
mod issuer;
mod layers;
mod limits;
mod manual;
mod network;
mod orders;
mod pam;
mod policy;
mod problem;
mod settings;
mod smtp;
mod supervision;
#[cfg(test)]
mod tests;
mod ui;
mod users;
mod web;

use std::ffi::OsString;
use std::path::PathBuf;

pub use describe::{SettingRow, settings_table};
pub use files::read_secret;
pub use layers::{Layers, Refused, Source, Surroundings};
pub use manual::{Shell, completions, manual_page, write_manual};
pub use orders::{
    AuditCommand, BackupCommand, ClockCommand, DataKeyCommand, MasterKeyCommand, NewService,
    PolicyCommand, RestoreCommand, ServiceCommand, SigningKeyCommand,
};
pub use problem::{Exit, Problem, Problems};
pub use settings::{
    DemoSettings, IssuerConfig, KeySource, LogConfig, LogFormat, LogLevel, MasterKeyFile,
    MasterKeySettings, PamSettings, Settings, SmtpConfig, SmtpSecurity, StoreSettings, Supervision,
    UiAuth, UsageLimits,
};

pub use users::{UserCommand, UserSelector};

use layers::Asked;

/// What the command line asks for.
pub enum Command {
    /// Run the server.
    Serve(Box<Settings>),
    /// Run the demo.
    Demo(DemoSettings),
    /// Check a set-up.
    Check(Box<Settings>),
    /// Print the settings in effect, with [`Layers::describe`].
    Config(Layers),
    /// Look after the login services.
    Service(StoreSettings, ServiceCommand),
    /// Look after the keys that sign results.
    SigningKey(StoreSettings, SigningKeyCommand),
    /// Tell of the master key, or seal it.
    MasterKey(StoreSettings, MasterKeyCommand),
    /// Tell or rotate the keys that seal the store.
    DataKey(StoreSettings, DataKeyCommand),
    /// Tell and change the policy.
    Policy(StoreSettings, PolicyCommand),
    /// Say what is thought of the clock.
    Clock(StoreSettings, ClockCommand),
    /// Tell what was done to the server.
    Audit(StoreSettings, AuditCommand),
    /// Show a user, or remove their second factors.
    User(StoreSettings, UserCommand),
    /// Write a copy of the store.
    Backup(StoreSettings, BackupCommand),
    /// Bring a copy back.
    Restore(StoreSettings, RestoreCommand),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the manual page ([`manual_page`]), or write all pages into that folder ([`write_manual`]).
    Man(Option<PathBuf>),
    /// Print a shell's completions, as [`completions`] writes them.
    Completions(Shell),
    /// Ask a running server about a code on standard input.
    Pam(PamSettings),
}

/// Reads `arguments`, the first of which is the program's name, and what they point to.
///
/// # Errors
/// Where there is nothing to run: help was asked for, the command line cannot
/// be understood, or settings are wrong. [`Refused::report`] says so.
pub fn read(
    arguments: impl IntoIterator<Item = OsString>,
    surroundings: &Surroundings<'_>,
) -> Result<Command, Refused> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let settings = |layers: Layers| layers.settings().map(Box::new).map_err(Refused::Settings);
    Ok(match layers::read(&arguments, surroundings)? {
        Asked::Serve(layers) => Command::Serve(settings(layers)?),
        Asked::Check(layers) => Command::Check(settings(layers)?),
        Asked::Config(layers) => Command::Config(layers),
        Asked::Demo(args, terminal) => {
            Command::Demo(check::demo(&args, terminal).map_err(Refused::Settings)?)
        }
        Asked::Service(layers, command) => {
            Command::Service(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::SigningKey(layers, command) => {
            Command::SigningKey(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::DataKey(layers, command) => {
            Command::DataKey(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::MasterKey(layers, command) => {
            Command::MasterKey(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::Policy(layers, command) => {
            Command::Policy(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::User(layers, command) => {
            Command::User(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::Backup(layers, command) => {
            Command::Backup(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::Restore(layers, command) => {
            Command::Restore(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::Audit(layers, command) => {
            Command::Audit(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::Clock(layers, command) => {
            Command::Clock(layers.store().map_err(Refused::Settings)?, command)
        }
        Asked::Openapi => Command::Openapi,
        Asked::Man(folder) => Command::Man(folder),
        Asked::Completions(shell) => Command::Completions(shell),
        Asked::Pam(args) => {
            let user = surroundings.get(pam::USER);
            Command::Pam(pam::settings(&args, user).map_err(Refused::Settings)?)
        }
    })
}
