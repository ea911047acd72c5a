//! What may be said to the program, and what it answers.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use super::*;

mod brand;
mod layers;
mod refused;
mod values;

type Variables<'a> = &'a [(&'a str, &'a str)];

/// Enough to serve.
const ENOUGH: &[&str] = &["--issuer", "https://login.example.org"];

fn run(arguments: &[&str], variables: Variables<'_>) -> Result<Command, Refused> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let arguments = [&["mfad"], arguments].concat();
    read(
        arguments.into_iter().map(OsString::from),
        &Surroundings::new(&variable, false),
    )
}

fn serve_with(arguments: &[&str], variables: Variables<'_>) -> Result<Settings, Problems> {
    match run(&[&["serve"], arguments].concat(), variables) {
        Ok(Command::Serve(settings)) => Ok(*settings),
        Ok(_) => panic!("another command"),
        Err(Refused::Settings(problems)) => Err(problems),
        Err(Refused::Usage(error)) => panic!("{error}"),
    }
}

fn serve(arguments: &[&str]) -> Result<Settings, Problems> {
    serve_with(arguments, &[])
}

fn configured(arguments: &[&str], variables: Variables<'_>) -> Layers {
    match run(&[&["config"], arguments].concat(), variables) {
        Ok(Command::Config(layers)) => layers,
        Ok(_) => panic!("another command"),
        Err(Refused::Settings(problems)) => panic!("{problems}"),
        Err(Refused::Usage(error)) => panic!("{error}"),
    }
}

fn problems(arguments: &[&str]) -> Vec<Problem> {
    serve(arguments).expect_err("accepted").0
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}
