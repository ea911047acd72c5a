//! Reads the settings, runs what they ask for, and says how it went.

use std::process::ExitCode;

use mfad::config::{
    self, Command, Exit, LogConfig, LogFormat, LogLevel, Problems, Refused, Settings, Surroundings,
};
use mfad::{commands, http, log};

/// The log of commands that give orders: a person reads it, beside the words of the command itself.
const BESIDE_WORDS: LogConfig = LogConfig {
    format: LogFormat::Text,
    level: LogLevel::Warn,
};

fn main() -> ExitCode {
    let command = match config::read(std::env::args_os(), &Surroundings::of_this_process()) {
        Ok(command) => command,
        Err(refused) => return refused.report().into(),
    };
    let exit = match command {
        Command::Serve(settings) => logged(settings.log, || commands::serve(&settings, again)),
        Command::Demo(settings) => logged(settings.log, || commands::demo(&settings)),
        Command::Check(settings) => logged(settings.log, || commands::check(&settings)),
        Command::Service(place, command) => {
            logged(BESIDE_WORDS, || commands::service(&place, command))
        }
        Command::SigningKey(place, command) => {
            logged(BESIDE_WORDS, || commands::signing_key(&place, command))
        }
        Command::DataKey(place, command) => {
            logged(BESIDE_WORDS, || commands::data_key(&place, command))
        }
        Command::MasterKey(place, command) => {
            logged(BESIDE_WORDS, || commands::master_key(&place, &command))
        }
        Command::Policy(place, command) => {
            logged(BESIDE_WORDS, || commands::policy(&place, command))
        }
        Command::User(place, command) => logged(BESIDE_WORDS, || commands::user(&place, &command)),
        Command::Clock(place, command) => logged(BESIDE_WORDS, || commands::clock(&place, command)),
        Command::Audit(place, command) => {
            logged(BESIDE_WORDS, || commands::audit(&place, &command))
        }
        Command::Backup(place, command) => {
            logged(BESIDE_WORDS, || commands::backup(&place, &command))
        }
        Command::Restore(place, command) => {
            logged(BESIDE_WORDS, || commands::restore(&place, &command))
        }
        Command::Config(layers) => commands::print(layers.describe()),
        Command::Openapi => match http::document_json() {
            Ok(document) => commands::print(&(document + "\n")),
            Err(failure) => {
                eprintln!("error: the document could not be written: {failure:?}");
                Exit::Io
            }
        },
        Command::Man(into) => commands::manual(into.as_deref()),
        Command::Completions(shell) => commands::print(config::completions(shell)),
        Command::Pam(settings) => commands::pam(&settings),
    };
    exit.into()
}

/// The settings of `mfad serve`, read anew.
fn again() -> Result<Box<Settings>, Problems> {
    match config::read(std::env::args_os(), &Surroundings::of_this_process()) {
        Ok(Command::Serve(settings)) => Ok(settings),
        Err(Refused::Settings(problems)) => Err(problems),
        // The arguments are those that this process was started with, so this is no command of another kind.
        Ok(_) | Err(Refused::Usage(_)) => {
            let mut problems = Problems::default();
            problems.add("arguments", "they cannot be read", "start the server anew");
            Err(problems)
        }
    }
}

fn logged(config: LogConfig, run: impl FnOnce() -> Exit) -> Exit {
    log::start(config);
    run()
}
