//! What a start changes in a store of an older program: the ladder of formats.
//!
//! Each step takes a store from one format to the next; all that are due are one transaction, so that a
//! start that breaks off leaves the old format whole. Before it, the file is kept as it was under another
//! name. That is the file itself and no sealed copy: it holds the same sealed rows, needs no name and no clock, and
//! serves programs too that know of no copies.
//!
//! A step is written once and never changed, also when records change again: it spells out the shapes that it
//! reads and writes, and does not borrow those of today.

mod format_2;
mod format_3;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase};

use crate::base::{Entropy, Failure, open_regular};
use crate::crypto::{KeyId, MasterKey, Sealer};

use super::birth::empty;
use super::engine::{self, Batch};
use super::meta::{self, FORMAT, Meta, PROGRAM};
use super::open::opener;
use super::refusal::{OpenError, io_error};
use super::succession::Succession;
use super::tx::{ApplyError, Tx, engine_failure};

/// A way from one format to the next.
pub struct Step {
    /// What it does to the records, for operators: a clause without a full stop.
    pub says: &'static str,
    /// Do it, one after the other. None, where records that were read the old way are written the new way in time
    /// ([`super::Record::upgrade`]).
    pub passes: &'static [Pass],
}

/// Rewrites some rows of a table, those beyond the key that it gave before, so that a large table needs little memory.
/// Gives the last key that it looked at; `None` where none is left.
pub type Pass = fn(&mut Tx<'_>, Option<&[u8]>) -> Result<Option<Vec<u8>>, Failure>;

/// The steps from format 1 to this program's, in their order.
pub const LADDER: [Step; FORMAT as usize - 1] = [format_2::STEP, format_3::STEP];

/// The format at the top of a ladder.
fn top(ladder: &[Step]) -> u32 {
    u32::try_from(ladder.len()).map_or(u32::MAX, |steps| steps.saturating_add(1))
}

fn due(ladder: &[Step], format: u32) -> &[Step] {
    let done = usize::try_from(format.saturating_sub(1)).unwrap_or(usize::MAX);
    ladder.get(done..).unwrap_or_default()
}

/// Something that a start changes in a store of an older program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The store gets a name and a witness.
    Named,
    /// The file is kept as it is under that name.
    Kept(PathBuf),
    /// The records are brought to another format.
    Format {
        /// From this one.
        from: u32,
        /// To this one.
        to: u32,
        /// What becomes of the records.
        says: &'static str,
    },
    /// This program's version is noted.
    Noted,
    /// A master key takes the place of another.
    Succession {
        /// The one whose place it takes.
        before: KeyId,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Named => f.write_str(
                "it gets a name, and a witness beside it (mfad.witness) by which an older file in its place is noticed; \
                 no record is touched",
            ),
            Change::Kept(path) => write!(f, "the file as it is now is kept as {}", path.display()),
            Change::Format { from, to, says } => write!(f, "format {from} becomes {to}: {says}"),
            Change::Noted => write!(f, "it is noted that mfad {PROGRAM} writes it"),
            Change::Succession { before } => write!(
                f,
                "the new master key takes the place of {before}, which opens the store no more"
            ),
        }
    }
}

/// What a start would change in the store at `path`, which says `meta` of itself.
pub fn changes(
    path: &Path,
    meta: &Meta,
    ladder: &[Step],
    succession: Option<&Succession>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let steps = due(ladder, meta.format);
    if !steps.is_empty() {
        changes.push(Change::Kept(kept_as(path, ladder)));
    }
    if meta.known.is_none() {
        changes.push(Change::Named);
    }
    for (from, step) in (meta.format..).zip(steps) {
        changes.push(Change::Format {
            from,
            to: from.saturating_add(1),
            says: step.says,
        });
    }
    if meta.written_by.as_deref() != Some(PROGRAM) {
        changes.push(Change::Noted);
    }
    changes.extend(succession.map(|it| Change::Succession {
        before: it.before.id(),
    }));
    changes
}

/// Refuses what a newer program wrote, and keeps what an older one wrote under another name, before the file is opened
/// for writing: what is refused stays as it is to the byte. Gives what the start is going to change.
pub fn prepare(
    path: &Path,
    ladder: &[Step],
    master: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<Vec<Change>, OpenError> {
    let Some(meta) = look(path)? else {
        return Ok(Vec::new());
    };
    if meta.format > top(ladder) {
        return Err(OpenError::newer(path, &meta));
    }
    if !due(ladder, meta.format).is_empty() {
        let kept = kept_as(path, ladder);
        keep(path, &kept).map_err(io_error(&kept))?;
    }
    let succession = Succession::of(&meta, master, entropy)?;
    Ok(changes(path, &meta, ladder, succession.as_ref()))
}

/// What the file says of itself; `None` where it cannot be read, of which whoever opens it will say why.
pub(super) fn look(path: &Path) -> Result<Option<Meta>, OpenError> {
    let read = || {
        let database = engine::builder(false).open_read_only(path)?;
        let view = database.begin_read().ok();
        Ok(view.and_then(|view| meta::read_from(&view).ok()))
    };
    let found = match read() {
        // It was not closed in good order, and is mended first.
        Err(DatabaseError::RepairAborted) => match opener(path)(true) {
            Ok(mended) => mended.close().map(drop).and_then(|()| read()),
            Err(e) => Err(e),
        },
        found => found,
    };
    match found {
        Ok(found) => Ok(found),
        Err(e) if engine::is_in_use(&e) => Err(OpenError::InUse(path.to_owned())),
        Err(_) => Ok(None),
    }
}

/// Where the file is kept before its format changes. Not among the copies that are made when they are due, which the
/// oldest leave: this one goes when somebody removes it.
fn kept_as(path: &Path, ladder: &[Step]) -> PathBuf {
    path.with_extension(format!("redb.before-format-{}", top(ladder)))
}

/// Copies the file, which nobody has open. The copy gets its name when it is whole on disk.
fn keep(path: &Path, kept: &Path) -> io::Result<()> {
    let mut name = kept.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = kept.with_file_name(name);
    let made = empty(&unfinished).and_then(|mut copy| {
        io::copy(&mut open_regular(path)?, &mut copy)?;
        copy.sync_all()?;
        fs::rename(&unfinished, kept)?;
        match kept.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    });
    made.inspect_err(|_| {
        // Its room is given back; what is half a copy is nobody's.
        let _ = fs::remove_file(&unfinished);
    })
}

/// Brings the open store that says `meta` of itself to the top of the ladder, and notes who writes it from now on.
/// Gives what it says then. Nothing is changed where this fails.
pub fn climb(
    database: &Database,
    meta: Meta,
    ladder: &[Step],
    sealer: &Sealer,
    entropy: &dyn Entropy,
) -> Result<Meta, Failure> {
    let steps = due(ladder, meta.format);
    if steps.is_empty() && meta.written_by.as_deref() == Some(PROGRAM) {
        return Ok(meta);
    }
    let transaction = engine::begin(database).map_err(engine_failure)?;
    let batch = Batch::new(&transaction);
    for pass in steps.iter().flat_map(|step| step.passes) {
        let mut past: Option<Vec<u8>> = None;
        loop {
            let mut tx = Tx::new(&batch, sealer);
            past = pass(&mut tx, past.as_deref())?;
            tx.apply(entropy).map_err(|error| match error {
                ApplyError::Unsealed(failure) => failure,
                ApplyError::Engine(error) => engine_failure(error),
            })?;
            if past.is_none() {
                break;
            }
        }
    }
    drop(batch);
    let is = Meta {
        format: meta.format.max(top(ladder)),
        // An older file in the place of this one shall be noticed.
        known: match steps {
            [] => meta.known,
            _ => meta.known.map(|(store, was)| (store, meta::one_more(was))),
        },
        written_by: Some(PROGRAM.to_owned()),
        ring: meta.ring,
        handed: meta.handed,
    };
    meta::write(&transaction, &is).map_err(|e| engine_failure(e.into()))?;
    engine::commit(transaction).map_err(engine_failure)?;
    Ok(is)
}
