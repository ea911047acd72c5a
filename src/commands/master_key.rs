use std::fmt::Write;
use std::fs;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::app::{self, StartError, ask, key_file};
use crate::base::{OsEntropy, Secret};
use crate::config::{Exit, MasterKeyCommand, StoreSettings, read_secret};
use crate::console::{Answer, Order};
use crate::crypto::{KeyHold, MasterKey, MasterKeyError};
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
        MasterKeyError::Busy(_) => (
            Exit::Temporary,
            "another mfad master-key is at work on it: try again when that has ended",
        ),
        error => (Exit::Config, app::master_key_hint(error)),
    };
    StartError {
        exit,
        problem: problem(SUBJECT, error, hint),
    }
}

async fn run(settings: &StoreSettings, command: &MasterKeyCommand) -> Result<String, StartError> {
    let place = key_file(&settings.data_dir, &settings.master_key);
    match command {
        MasterKeyCommand::Show => show(&place),
        MasterKeyCommand::Protect {
            new_passphrase_file,
        } => Held::take(place)?.protect(new_passphrase_file.as_deref()),
        MasterKeyCommand::Unprotect => Held::take(place)?.keep(None),
        MasterKeyCommand::Rotate { into: None } => rotate(settings, &Held::take(place)?).await,
        MasterKeyCommand::Rotate { into: Some(into) } => {
            rotate_into(settings, &Held::take(place)?, into).await
        }
    }
}

fn show(place: &MasterKeyPlace) -> Result<String, StartError> {
    // Whether it is sealed, and what it is called then, is seen without its passphrase.
    let sealed = MasterKey::sealed_in(&place.file, place.ours).map_err(refused)?;
    let name = match &sealed {
        Some(name) => name.clone(),
        None => place.load().map_err(refused)?.id().to_string(),
    };
    Ok(words(&place.file, &name, sealed.is_some()))
}

/// A master key that is about to change, and its file, which no other command changes meanwhile.
struct Held {
    /// With the passphrase that it is sealed with, where it is.
    place: MasterKeyPlace,
    /// The passphrase that the settings tell.
    given: Option<Secret<Vec<u8>>>,
    hold: KeyHold,
    key: MasterKey,
}

impl Held {
    fn take(mut place: MasterKeyPlace) -> Result<Held, StartError> {
        // From before it is read until after it is written, or the one would not be the other.
        let hold = KeyHold::take(&place.file).map_err(refused)?;
        let sealed = MasterKey::sealed_in(&place.file, place.ours).map_err(refused)?;
        let given = place.passphrase.take();
        if sealed.is_some() {
            place.passphrase = match &given {
                Some(given) => Some(given.clone()),
                None => Some(ask("Passphrase of the master key: ")?),
            };
        }
        let key = place.load().map_err(refused)?;
        Ok(Held {
            place,
            given,
            hold,
            key,
        })
    }

    fn protect(&self, new: Option<&Path>) -> Result<String, StartError> {
        let new = match (new, &self.given) {
            (Some(file), _) => {
                let read = read_secret("new-passphrase-file", file);
                read.map_err(|problem| StartError {
                    exit: Exit::Config,
                    problem,
                })?
            }
            // What the settings say of a key that is not sealed yet is what it shall be sealed with.
            (None, Some(given)) if self.place.passphrase.is_none() => given.clone(),
            (None, _) => ask_twice()?,
        };
        let mut told = self.keep(Some(&new))?;
        for path in self.hold.unsealed_beside() {
            let _ = writeln!(told, "an earlier key in {} is not sealed", path.display());
        }
        Ok(told)
    }

    /// Puts the same key into its file again.
    fn keep(&self, passphrase: Option<&Secret<Vec<u8>>>) -> Result<String, StartError> {
        let written = self.hold.write(&self.key, passphrase, &OsEntropy);
        written.and_then(|it| it.put()).map_err(refused)?;
        let name = self.key.id().to_string();
        Ok(words(&self.place.file, &name, passphrase.is_some()))
    }
}

/// Has a new key take the place of the one that is held, in its file.
async fn rotate(settings: &StoreSettings, held: &Held) -> Result<String, StartError> {
    let Held {
        place, hold, key, ..
    } = held;
    if !place.ours {
        return Err(usage(
            "systemd hands the master key over, so that it cannot be replaced from here",
            "name a file for the new key with --into, and hand that over instead",
        ));
    }
    let passphrase = place.passphrase.as_ref();
    let before = key.id();
    let new = MasterKey::draw(&OsEntropy).map_err(|why| refused(MasterKeyError::Entropy(why)))?;
    // All that can fail comes before the store hears of it.
    let written = hold.write(&new, passphrase, &OsEntropy).map_err(refused)?;
    let kept = hold.keep_as(before).map_err(refused)?;
    let handed = hand_over(settings, held, &new).await;
    handed.inspect_err(|_| {
        // It stands in its own place.
        let _ = fs::remove_file(&kept);
    })?;
    written.put().map_err(refused)?;
    let now = words(&place.file, &new.id().to_string(), passphrase.is_some());
    Ok(format!(
        "{now}it takes the place of {before} when the server next starts; mfad data-key rotate and mfad signing-key rotate \
         belong behind that\n{before} is kept in {}, for backups from before\n",
        kept.display()
    ))
}

/// Has a new key, in the new file `into`, take the place of the one that is held when somebody brings it there.
async fn rotate_into(
    settings: &StoreSettings,
    held: &Held,
    into: &Path,
) -> Result<String, StartError> {
    if fs::symlink_metadata(into).is_ok() {
        let cause = format!("{} is there already", into.display());
        return Err(usage(&cause, "name a file that is not there yet"));
    }
    let passphrase = held.place.passphrase.as_ref();
    let before = held.key.id();
    // Whole on disk before the store hears of it.
    let new = MasterKey::create(into, passphrase, &OsEntropy).map_err(|error| StartError {
        exit: Exit::Io,
        problem: problem(
            SUBJECT,
            error,
            "name a file in a folder that is there and can be written",
        ),
    })?;
    let handed = hand_over(settings, held, &new).await;
    handed.inspect_err(|_| {
        // Nobody knows it, and nothing is sealed under it.
        let _ = fs::remove_file(into);
    })?;
    let now = words(into, &new.id().to_string(), passphrase.is_some());
    Ok(format!(
        "{now}give it to the server in the place of {before}, which is good until a server starts with the new one; keep \
         {before} for backups from before\n"
    ))
}

/// Tells the store, or the server that has it open, of the key that is to take the place of the one that is held.
async fn hand_over(
    settings: &StoreSettings,
    Held { place, key, .. }: &Held,
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

fn usage(cause: &str, hint: &str) -> StartError {
    StartError {
        exit: Exit::Usage,
        problem: problem(SUBJECT, cause, hint),
    }
}

fn ask_twice() -> Result<Secret<Vec<u8>>, StartError> {
    let first = ask("New passphrase: ")?;
    let second = ask("The same again: ")?;
    match first.expose() == second.expose() {
        true => Ok(first),
        false => Err(usage(
            "these are two passphrases",
            "try again; nothing was changed",
        )),
    }
}

fn words(file: &Path, name: &str, sealed: bool) -> String {
    let how = match sealed {
        true => "sealed with a passphrase",
        false => "not sealed",
    };
    format!("{name}  {how}, in {}\n", file.display())
}
