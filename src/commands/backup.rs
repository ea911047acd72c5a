use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::app::StartError;
use crate::base::{Clock, SystemClock};
use crate::config::{BackupCommand, Exit, StoreSettings};
use crate::console;
use crate::copies::{CopyFile, FileError, ends_whole};
use crate::store::{CopyError, Passing, Store};

use super::order::{Reached, reach};
use super::{block_on, problem, report};

/// What problems are called by.
const SUBJECT: &str = "backup";
/// Means standard output.
const STDOUT: &str = "-";

/// Writes a copy of the store where `command` says: from the running server, or of its file where none runs.
pub fn backup(place: &StoreSettings, command: &BackupCommand) -> Exit {
    block_on(async {
        match write(place, command).await {
            Ok(()) => Exit::Ok,
            Err(refused) => report(refused.exit, &refused.problem),
        }
    })
}

/// Where the copy goes.
enum Target {
    File(CopyFile),
    Stdout(Passing),
}

impl Target {
    fn begin(command: &BackupCommand) -> Result<Target, StartError> {
        if command.file == Path::new(STDOUT) {
            return match io::stdout().is_terminal() {
                true => Err(failed(
                    Exit::Usage,
                    "a backup is not for a terminal",
                    "name a file, or send standard output into one",
                )),
                false => Ok(Target::Stdout(Passing::default())),
            };
        }
        CopyFile::begin(&command.file, command.force)
            .map(Target::File)
            .map_err(not_written)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Target::File(file) => file.write(bytes),
            Target::Stdout(passing) => {
                passing.see(bytes);
                io::stdout().write_all(bytes)
            }
        }
    }

    fn finish(self) -> Result<(), FileError> {
        match self {
            Target::File(file) => file.finish(),
            Target::Stdout(passing) => {
                ends_whole(&passing)?;
                io::stdout().flush().map_err(|source| FileError::Io {
                    path: STDOUT.into(),
                    source,
                })
            }
        }
    }
}

fn failed(exit: Exit, cause: impl ToString, hint: &str) -> StartError {
    StartError {
        exit,
        problem: problem(SUBJECT, cause, hint),
    }
}

fn not_written(error: FileError) -> StartError {
    match &error {
        FileError::Exists(_) => failed(
            Exit::Usage,
            error,
            "choose another name, or let it be replaced with --force",
        ),
        FileError::Io { .. } => failed(
            Exit::Io,
            error,
            "check that the folder is there, is writable and has space",
        ),
        FileError::BrokeOff => failed(
            Exit::Temporary,
            error,
            "try again; if it stays so, look into the log of the server",
        ),
    }
}

async fn write(place: &StoreSettings, command: &BackupCommand) -> Result<(), StartError> {
    let mut target = Target::begin(command)?;
    let mut trouble = None;
    let fetched = {
        let (target, trouble) = (&mut target, &mut trouble);
        reach(SUBJECT, place, async || {
            let mut out = |bytes: &[u8]| {
                target.write(bytes).map_err(|error| {
                    let kind = error.kind();
                    *trouble = Some(error);
                    kind.into()
                })
            };
            console::fetch_copy(&place.data_dir, &mut out).await
        })
        .await
    };
    if let Some(error) = trouble {
        return Err(unwritable(error));
    }
    if let Reached::Store(store) = fetched? {
        let copied = of_file(&store, &mut target);
        let done = match copied {
            Ok((made_at, rows)) => {
                console::remember(&store, made_at, rows).await;
                Ok(())
            }
            Err(CopyError::Io(error)) => Err(unwritable(error)),
            Err(error) => Err(failed(
                Exit::Io,
                error,
                "try again; if it stays so, the store is damaged: restore an older backup",
            )),
        };
        store.close().await;
        done?;
    }
    target.finish().map_err(not_written)?;
    eprintln!(
        "The backup is whole. It restores nothing without the master key, which is not in it: keep that elsewhere."
    );
    Ok(())
}

fn of_file(store: &Store, target: &mut Target) -> Result<(crate::base::Timestamp, u64), CopyError> {
    let now = SystemClock.now();
    let rows = store.copy(now, &mut |piece| target.write(&piece))?;
    Ok((now, rows))
}

fn unwritable(error: io::Error) -> StartError {
    failed(
        Exit::Io,
        format!("the backup could not be written: {error}"),
        "check that there is space where it goes",
    )
}
