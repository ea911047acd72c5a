use std::path::Path;

use crate::app::{self, StartError, ask, key_file};
use crate::base::{OsEntropy, Secret};
use crate::config::{Exit, MasterKeyCommand, StoreSettings, read_secret};
use crate::crypto::{MasterKey, MasterKeyError};

use super::{block_on, print, problem, report};

/// What problems are called by.
const SUBJECT: &str = "master-key";

/// Tells of the master key and seals it, as `command` says.
pub fn master_key(place: &StoreSettings, command: &MasterKeyCommand) -> Exit {
    block_on(async {
        match run(place, command) {
            Ok(told) => print(told),
            Err(refused) => report(refused.exit, &refused.problem),
        }
    })
}

fn refused(error: MasterKeyError) -> StartError {
    let (exit, hint) = match &error {
        MasterKeyError::Missing(_) => (
            Exit::Config,
            "name the server's folder with --data-dir or its --config; the first start of mfad serve makes the key",
        ),
        MasterKeyError::Io { .. } => (
            Exit::Io,
            "run this as the owner of the file, or as root, where its folder can be written",
        ),
        error => (Exit::Config, app::master_key_hint(error)),
    };
    StartError {
        exit,
        problem: problem(SUBJECT, error, hint),
    }
}

fn run(settings: &StoreSettings, command: &MasterKeyCommand) -> Result<String, StartError> {
    // Whether it is sealed is seen without its passphrase.
    let mut place = key_file(&settings.data_dir, &settings.master_key);
    let sealed = MasterKey::sealed_in(&place.file, place.ours).map_err(refused)?;
    let given = place.passphrase.take();
    let is_sealed = sealed.is_some();
    if let (MasterKeyCommand::Show, Some(name)) = (command, sealed) {
        return Ok(words(&place.file, &name, true));
    }
    if is_sealed {
        place.passphrase = match &given {
            Some(given) => Some(given.clone()),
            None => Some(ask("Passphrase of the master key: ")?),
        };
    }
    let key = place.load().map_err(refused)?;
    let name = key.id().to_string();
    let kept = |passphrase: Option<&Secret<Vec<u8>>>| -> Result<String, StartError> {
        let kept = key.keep_in(&place.file, passphrase, &OsEntropy);
        kept.map_err(refused)?;
        Ok(words(&place.file, &name, passphrase.is_some()))
    };
    match command {
        MasterKeyCommand::Show => Ok(words(&place.file, &name, false)),
        MasterKeyCommand::Protect {
            new_passphrase_file,
        } => {
            let new = match (new_passphrase_file, given) {
                (Some(file), _) => read_secret(file).map_err(|problem| StartError {
                    exit: Exit::Config,
                    problem,
                })?,
                // What the settings say of a key that is not sealed yet is what it shall be sealed with.
                (None, Some(given)) if !is_sealed => given,
                (None, _) => ask_twice()?,
            };
            kept(Some(&new))
        }
        MasterKeyCommand::Unprotect => kept(None),
    }
}

fn ask_twice() -> Result<Secret<Vec<u8>>, StartError> {
    let first = ask("New passphrase: ")?;
    let second = ask("The same again: ")?;
    match first.expose() == second.expose() {
        true => Ok(first),
        false => Err(StartError {
            exit: Exit::Usage,
            problem: problem(
                SUBJECT,
                "these are two passphrases",
                "try again; nothing was changed",
            ),
        }),
    }
}

fn words(file: &Path, name: &str, sealed: bool) -> String {
    let how = match sealed {
        true => "sealed with a passphrase",
        false => "not sealed",
    };
    format!("{name}  {how}, in {}\n", file.display())
}
