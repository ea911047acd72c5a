//! Reads the settings, runs what they ask for, and says how it went.

use std::io::{self, Write};
use std::process::ExitCode;

use mfad::config::{self, Command, Exit, LogConfig, Surroundings};
use mfad::{commands, http, log};

fn main() -> ExitCode {
    let command = match config::read(std::env::args_os(), &Surroundings::of_this_process()) {
        Ok(command) => command,
        Err(refused) => return refused.report().into(),
    };
    let exit = match command {
        Command::Serve(settings) => logged(settings.log, || commands::serve(&settings)),
        Command::Demo(settings) => logged(settings.log, || commands::demo(&settings)),
        Command::Check(settings) => logged(settings.log, || commands::check(&settings)),
        Command::Config(layers) => print(&layers.describe()),
        Command::Openapi => match http::document_json() {
            Ok(document) => print(&(document + "\n")),
            Err(failure) => {
                eprintln!("error: the document could not be written: {failure:?}");
                Exit::Io
            }
        },
    };
    exit.into()
}

fn logged(config: LogConfig, run: impl FnOnce() -> Exit) -> Exit {
    log::start(config);
    run()
}

/// Prints a whole document; whoever reads it may stop early.
fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            eprintln!("error: the output could not be written: {error}");
            Exit::Io
        }
    }
}
