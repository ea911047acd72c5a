use std::fmt::Write;
use std::sync::Arc;

use crate::app::{StartError, key_place, store_problem};
use crate::audit::Operation;
use crate::base::{Clock, Failure, OsEntropy, RequestId, SystemClock, Timestamp};
use crate::clients::{self, Registered};
use crate::config::{Exit, RestoreCommand, StoreSettings};
use crate::factor::{self, Healing, Voided};
use crate::signing::{ROTATED_LATELY, Signer};
use crate::store::{
    self, CopyError, OpenError, Placed, RestoreError, Restoring, Source, Store, begin_restore,
};
use crate::{login, people, session, timekeeper};

use super::{block_on, print, problem, report};

/// What problems are called by.
const SUBJECT: &str = "restore";
/// Services that are told of.
const MOST_SERVICES: usize = 1000;

/// Brings a copy back, as `command` says, and tells what is void from now on.
pub fn restore(place: &StoreSettings, command: &RestoreCommand) -> Exit {
    block_on(async {
        match run(place, command).await {
            Ok(told) => print(&told),
            Err(refused) => report(refused.exit, &refused.problem),
        }
    })
}

fn failed(exit: Exit, cause: impl ToString, hint: &str) -> StartError {
    StartError {
        exit,
        problem: problem(SUBJECT, cause, hint),
    }
}

async fn run(place: &StoreSettings, command: &RestoreCommand) -> Result<String, StartError> {
    let source = match &command.file {
        Some(file) => Source::Copy(file),
        None if store::exists(&place.data_dir) => Source::Standing,
        None => {
            return Err(failed(
                Exit::Config,
                format!("there is no store in {}", place.data_dir.display()),
                "name the server's folder with --data-dir or its --config, or a backup to bring back",
            ));
        }
    };
    let now = SystemClock.now();
    let void = void_tables();
    let key = key_place(&place.data_dir, &place.master_key)?;
    let begun = begin_restore(
        &place.data_dir,
        &key,
        source,
        &void,
        now,
        Arc::new(OsEntropy),
    );
    let restoring = begun.map_err(refused)?;
    let healing = Healing {
        replaced: restoring.replaced().cloned(),
        now,
        request: RequestId::draw(&OsEntropy)
            .map_err(|failure| refused(RestoreError::Rows(failure)))?,
        keep_backup_codes: command.keep_backup_codes,
    };
    let (voided, services) = match heal(restoring.store(), &healing).await {
        Ok(healed) => healed,
        Err(failure) => {
            restoring.give_up().await;
            return Err(refused(RestoreError::Rows(failure)));
        }
    };
    let whose = names(&restoring, &voided);
    if let Err(failure) = note(&restoring, &voided, now).await {
        restoring.give_up().await;
        return Err(refused(RestoreError::Rows(failure)));
    }
    let known = healing.replaced.is_some();
    let placed = restoring.put_in_place(now).await.map_err(refused)?;
    let whose = whose.map_err(|failure| refused(RestoreError::Rows(failure)))?;
    Ok(words(&placed, known, command, &whose, &services))
}

/// What waits for an answer, or was given out to be used once.
fn void_tables() -> Vec<&'static str> {
    let mut void = factor::open_tables();
    void.extend(login::OPEN_TABLES);
    void.extend(session::OPEN_TABLES);
    void
}

/// Makes void what may have been used, and has another key sign.
async fn heal(store: &Store, healing: &Healing) -> Result<(Vec<Voided>, Vec<Registered>), Failure> {
    timekeeper::heal(store, healing.now).await?;
    let voided = factor::heal(store, healing).await?;
    let signer = Signer::open(store.clone(), Arc::new(SystemClock), Arc::new(OsEntropy)).await?;
    match signer.rotate().await {
        Err(failure) if failure.code() != ROTATED_LATELY => return Err(failure),
        _ => {}
    }
    let services = store.read(|read| clients::list(read, None, MOST_SERVICES, healing.now))?;
    Ok((voided, services))
}

/// Writes down that this was done.
async fn note(restoring: &Restoring, voided: &[Voided], now: Timestamp) -> Result<(), Failure> {
    let from = match restoring.made_at() {
        Some(made_at) => format!("backup of {made_at}"),
        None => "the store that stood there".to_owned(),
    };
    let epoch = restoring.epochs().1;
    let about = format!(
        "{from}, epoch {epoch}, people whose backup codes are void: {}",
        voided.len()
    );
    let line = Operation::new(now, "store.restore", Some(about));
    let written = restoring
        .store()
        .write(move |tx| crate::audit::note(tx, &line));
    written.await
}

/// The id that the issuer gave each of these people, and nothing else of theirs, and how many of their codes are void.
fn names(restoring: &Restoring, voided: &[Voided]) -> Result<Vec<String>, Failure> {
    restoring.store().read(|read| {
        let mut lines = Vec::new();
        for Voided { person, codes } in voided {
            let line = match people::profile(read, *person)? {
                Some(profile) => {
                    format!("{} at {}: {codes}", profile.subject, profile.issuer)
                }
                None => format!("somebody of whom nothing else is known: {codes}"),
            };
            // Names are what their issuers say, and must not steer a terminal.
            lines.push(line.replace(char::is_control, "\u{fffd}"));
        }
        Ok(lines)
    })
}

fn words(
    placed: &Placed,
    known: bool,
    command: &RestoreCommand,
    whose: &[String],
    services: &[Registered],
) -> String {
    let mut text = String::new();
    // Writing into a text does not fail.
    let _ = match &placed.head {
        Some(head) => writeln!(
            text,
            "The backup of {} is back: {} rows. The store is in epoch {}; the backup was made in {}.",
            head.made_at, placed.rows, placed.epochs.1, placed.epochs.0
        ),
        None => writeln!(
            text,
            "The store that stood there goes on, in epoch {} after {}.",
            placed.epochs.1, placed.epochs.0
        ),
    };
    if let Some(kept) = &placed.kept {
        let _ = writeln!(text, "What stood there before is now {}.", kept.display());
    }
    text.push_str(
        "\nVoid from now on: codes of apps up to this moment (the next ones are good after a minute), mailed codes, \
         set-ups and sign-ins under way, sessions of the settings page, trusted browsers.\n",
    );
    let since = match placed.head.as_ref().map(|head| head.made_at) {
        Some(made_at) => since(made_at),
        None => "since this file was last in use".to_owned(),
    };
    match (known, command.keep_backup_codes, whose) {
        (true, _, []) => text.push_str(
            "Backup codes that were used are known from the store that stood there, and are void; the others are good.\n",
        ),
        (false, true, _) => {
            let _ = writeln!(
                text,
                "Backup codes are as they were, as you asked. One that was used {since} is good once more."
            );
        }
        (false, false, []) => text.push_str("Nobody had unused backup codes.\n"),
        (_, _, whose) => {
            let why = match known {
                true => "These people have other backup codes since; those of the backup",
                false => "Which backup codes were used is not known. Those of these people may have been",
            };
            let end = match known {
                true => "are void:".to_owned(),
                false => format!(
                    "{since},\nand all that were unused are void. They make new ones on the settings page:"
                ),
            };
            let _ = writeln!(text, "{why} {end}");
            for line in whose {
                let _ = writeln!(text, "  {line}");
            }
            let (number, they) = match whose.len() {
                1 => ("1 person".to_owned(), "It stands in their history"),
                several => (format!("{several} people"), "It stands in their histories"),
            };
            let _ = writeln!(
                text,
                "That is {number}. {they}, and when the server starts it tells them by mail, where --smtp-url is set."
            );
        }
    }
    let _ = writeln!(
        text,
        "\nBack as well is what was changed {since}: factors that were removed, the policy that was stored, login services."
    );
    if !services.is_empty() {
        text.push_str(
            "Keys of login services that were changed or struck off since are good again, and newer ones are not known.\n\
             Where that may be so, draw new ones with mfad service rotate ID --overlap 0:\n",
        );
        for one in services {
            let newest = one.keys.iter().map(|key| key.made_at).max();
            let made = newest.map_or_else(String::new, |at| format!(", newest key of {at}"));
            let _ = writeln!(text, "  {}{made}", one.service.id);
        }
    }
    text
}

fn since(made_at: Timestamp) -> String {
    format!("since {made_at}")
}

fn refused(error: RestoreError) -> StartError {
    match error {
        RestoreError::Store(OpenError::InUse(path)) => failed(
            Exit::Temporary,
            OpenError::InUse(path),
            "stop the server first; nothing was changed",
        ),
        RestoreError::Store(error) => {
            let StartError { exit, problem } = store_problem(error);
            failed(exit, problem.cause, &problem.hint)
        }
        RestoreError::Copy { ref why, .. } => {
            let (exit, hint) = match why {
                CopyError::Io(_) => (Exit::Io, "check the file; nothing was changed"),
                CopyError::NoCopy => (
                    Exit::Usage,
                    "give a file that mfad backup wrote; nothing was changed",
                ),
                CopyError::Newer { .. } => (
                    Exit::Config,
                    "install the newer mfad to restore it; nothing was changed",
                ),
                CopyError::WrongMasterKey { .. } => (
                    Exit::Config,
                    "name the master key that this backup was made under with --master-key-file: one that was replaced stands as \
                     master.key.ID beside the one that took its place. Nothing was changed",
                ),
                CopyError::CutShort | CopyError::Altered => {
                    (Exit::Io, "take another backup; nothing was changed")
                }
                CopyError::Store(_) => (
                    Exit::Io,
                    "check that the data folder is writable and has space; nothing was changed",
                ),
            };
            failed(exit, error, hint)
        }
        RestoreError::Clock { .. } => failed(
            Exit::Temporary,
            error,
            "set the clock: what was used until now becomes void by the time that it says; nothing was changed",
        ),
        RestoreError::Rows(_) => failed(
            Exit::Io,
            error,
            "check that the data folder is writable and has space; nothing was changed",
        ),
    }
}
