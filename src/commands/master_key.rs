use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::app::{self, StartError, ask, key_file};
use crate::base::{OsEntropy, Secret};
use crate::config::{Exit, MasterKeyCommand, StoreSettings, read_secret};
use crate::console::{Answer, Order};
use crate::crypto::{KeyId, MasterKey, MasterKeyError};
use crate::store::MasterKeyPlace;

use super::order::{another_answer, carry_out};
use super::{block_on, print, problem, report};

/// What problems are called by.
const SUBJECT: &str = "master-key";

/// Tells of the master key, seals and replaces it, as `command` says.
pub fn master_key(place: &StoreSettings, command: &MasterKeyCommand) -> Exit {
    block_on(async {
        match run(place, command).await {
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

async fn run(settings: &StoreSettings, command: &MasterKeyCommand) -> Result<String, StartError> {
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
        MasterKeyCommand::Rotate { into } => rotate(settings, &place, &key, into.as_deref()).await,
    }
}

/// Has a new key take the place of `key`, which is in `place`.
async fn rotate(
    settings: &StoreSettings,
    place: &MasterKeyPlace,
    key: &MasterKey,
    into: Option<&Path>,
) -> Result<String, StartError> {
    let passphrase = place.passphrase.as_ref();
    let (before, sealed) = (key.id(), passphrase.is_some());
    if let Some(into) = into {
        // Whole on disk before the store hears of it.
        let new = MasterKey::create(into, passphrase, &OsEntropy).map_err(refused)?;
        let handed = hand_over(settings, place, key, &new).await;
        handed.inspect_err(|_| {
            // Nobody knows it, and nothing is sealed under it.
            let _ = fs::remove_file(into);
        })?;
        let now = words(into, &new.id().to_string(), sealed);
        return Ok(format!(
            "{now}give it to the server in the place of {before}, which is good until a server starts with the new one\n"
        ));
    }
    if !place.ours {
        return Err(StartError {
            exit: Exit::Usage,
            problem: problem(
                SUBJECT,
                "systemd hands the master key over, so that it cannot be replaced from here",
                "name a file for the new key with --into, and hand that over instead",
            ),
        });
    }
    let new = MasterKey::draw(&OsEntropy).map_err(|why| refused(MasterKeyError::Entropy(why)))?;
    // First the store: with what was handed over and never used, the key before is as good as it was.
    hand_over(settings, place, key, &new).await?;
    let kept = keep_beside(&place.file, before)?;
    let put = new.keep_in(&place.file, passphrase, &OsEntropy);
    put.map_err(refused)?;
    let now = words(&place.file, &new.id().to_string(), sealed);
    Ok(format!(
        "{now}it takes the place of {before} when the server next starts; {before} is kept in {}, for backups from before that\n",
        kept.display()
    ))
}

/// Tells the store, or the server that has it open, of the key that is to take the place of `key`.
async fn hand_over(
    settings: &StoreSettings,
    place: &MasterKeyPlace,
    key: &MasterKey,
    new: &MasterKey,
) -> Result<(), StartError> {
    let handed = key.hand_over_to(new, &OsEntropy);
    let handed = handed.map_err(|why| refused(MasterKeyError::Entropy(why)))?;
    // Nobody is asked for the passphrase again.
    let mut settings = settings.clone();
    settings.master_key.passphrase.clone_from(&place.passphrase);
    let order = Order::MasterKeyHandOver {
        from: key.id(),
        to: new.id(),
        handed: BASE64_STANDARD.encode(handed),
    };
    match carry_out(SUBJECT, &settings, order).await? {
        Answer::Done => Ok(()),
        _ => Err(another_answer(SUBJECT, "that it is done")),
    }
}

/// Gives the file of the key `id` a second name beside it, under which it stays.
fn keep_beside(file: &Path, id: KeyId) -> Result<PathBuf, StartError> {
    // Of a link, the file that it stands for.
    let linked = fs::canonicalize(file).and_then(|file| {
        let mut name = file.clone().into_os_string();
        name.push(format!(".{id}"));
        let beside = PathBuf::from(name);
        match fs::hard_link(&file, &beside) {
            // By an attempt that was broken off.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(beside),
            linked => linked.map(|()| beside),
        }
    });
    linked.map_err(|source| {
        let path = file.to_owned();
        refused(MasterKeyError::Io { path, source })
    })
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
