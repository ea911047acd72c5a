//! Giving back the room that removed rows have left in the file.
//!
//! The engine can move pages within the file, but then nobody can read or write, and it cannot be broken off. So the
//! rows are copied, from a view of what is committed, into a file beside the store, by a thread of its own: everybody
//! else goes on. Whoever writes meanwhile breaks it off, since what is built is then behind. Where nobody did, the
//! new file is on disk as a whole, has been checked page by page, says the same of itself as the old one, and takes
//! its name in one step. Until that step the store is untouched: a kill leaves a file that the next start removes,
//! and a full disk a line in the log.
//!
//! Measured with a debug build, two thirds of the rows removed: 19 MB became 3.7 in 0.07 s, 141 became 23 in 0.4 s,
//! 293 became 69 in 1.5 s. Who writes waits for the step alone, some milliseconds, and who reads for less.

use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{
    Database, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle,
};
use tokio::time::Instant;

use super::birth::empty;
use super::copy::{CopyError, Entry, NOT_COPIED};
use super::engine::{self, Opened, View};
use super::filler::{Filler, failed};
use super::meta::{self, META};
use super::open::{alone_in, opener};
use super::writer::{Writer, database_mut};

/// A try that took a moment is followed by so many moments without one, so that it never is more than half a
/// percent of what the machine does.
const REST: u32 = 200;

type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// When a file is compacted.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For how long nobody must have written.
    pub quiet: Duration,
    /// Bytes up to which a file stays as it is.
    pub smallest: u64,
    /// From the end of one look at the file to the next, at least.
    pub pause: Duration,
}

impl Pace {
    /// After five seconds without a commit, a file of more than 8 MiB of which less than half is needed.
    pub const WHEN_IDLE: Pace = Pace {
        quiet: Duration::from_secs(5),
        smallest: 8 << 20,
        pause: Duration::from_secs(60),
    };
}

/// A file that can take the place of the store's.
struct Built {
    database: Database,
    path: PathBuf,
    /// Bytes of the old file, and of this one.
    before: u64,
    after: u64,
    came_to: CameTo,
}

/// What rows of so many bytes have made of a file before. Where most are about half a page long, no file is dense.
#[derive(Clone, Copy)]
pub(super) struct CameTo {
    pub needed: u64,
    pub file: u64,
}

/// Whether a file of `size` bytes is worth it.
pub(super) fn is_roomy(size: u64, needed: u64, came_to: Option<CameTo>) -> bool {
    let again = came_to.map_or(0, |it| {
        let file = u128::from(it.file) * u128::from(needed) / u128::from(it.needed.max(1));
        u64::try_from(file).unwrap_or(u64::MAX)
    });
    size / 2 > needed && size / 3 > again / 2
}

struct Running {
    thread: JoinHandle<Result<Option<Built>, CopyError>>,
    broken_off: Arc<AtomicBool>,
    since: Instant,
}

/// Knows when it is time, and what is under way.
pub struct Compactor {
    path: PathBuf,
    pace: Pace,
    last_commit: Instant,
    not_before: Instant,
    /// Whether something was written since the file was last looked at.
    changed: bool,
    running: Option<Running>,
    /// Whether the operator has been told that it cannot be done.
    told: bool,
    /// Which file is ours: one that somebody else put in its place is left alone.
    ours: Option<(u64, u64)>,
    /// Whether the new file's name may not be on disk yet.
    name_unsynced: bool,
    came_to: Option<CameTo>,
    /// Old files that somebody may still read.
    retired: Vec<Opened>,
}

impl Compactor {
    /// For the store at `path`, which has just been opened. What an earlier try left there is removed.
    pub fn new(path: &Path, pace: Pace) -> Self {
        let _ = fs::remove_file(beside(path));
        let now = Instant::now();
        Compactor {
            path: path.to_owned(),
            pace,
            last_commit: now,
            not_before: now,
            changed: true,
            running: None,
            told: false,
            ours: identity(path),
            name_unsynced: false,
            came_to: None,
            retired: Vec::new(),
        }
    }

    /// Something was written, so that what is being built is behind.
    pub fn disturbed(&mut self) {
        self.last_commit = Instant::now();
        self.changed = true;
        self.break_off();
    }

    /// The file was opened anew.
    pub fn opened_anew(&mut self) {
        self.break_off();
        self.ours = identity(&self.path);
    }

    /// Must be asked before each commit: what is written into a file whose name is not on disk would be lost with it.
    pub fn name_is_on_disk(&mut self) -> io::Result<()> {
        if self.name_unsynced {
            sync_folder(&self.path)?;
            self.name_unsynced = false;
        }
        Ok(())
    }

    /// Ends what is under way, and lets go of what it leaves.
    pub fn end(&mut self) {
        self.break_off();
        if let Some(running) = self.running.take() {
            let built = running.thread.join();
            discard(built.ok().and_then(Result::ok).flatten());
        }
        self.retired.clear();
    }

    fn break_off(&self) {
        if let Some(running) = &self.running {
            running.broken_off.store(true, Ordering::Relaxed);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.running.is_none()
            && self.changed
            && now >= self.not_before
            && now.duration_since(self.last_commit) >= self.pace.quiet
            && fs::metadata(&self.path).is_ok_and(|file| file.len() > self.pace.smallest)
    }

    /// Begins to build, from what is committed now.
    pub(super) fn start(&mut self, view: View) -> io::Result<()> {
        let broken_off = Arc::new(AtomicBool::new(false));
        let (path, came_to, told) = (self.path.clone(), self.came_to, broken_off.clone());
        let thread = thread::Builder::new()
            .name("compaction".to_owned())
            .spawn(move || build(&view, &path, came_to, &told))?;
        self.changed = false;
        self.running = Some(Running {
            thread,
            broken_off,
            since: Instant::now(),
        });
        Ok(())
    }

    /// What has been built, where nobody has written since.
    fn take_built(&mut self) -> Result<Option<Built>, CopyError> {
        let Some(running) = self.running.take_if(|it| it.thread.is_finished()) else {
            return Ok(None);
        };
        let now = Instant::now();
        let rest = now.duration_since(running.since).saturating_mul(REST);
        self.not_before = now + rest.max(self.pace.pause);
        let built = running
            .thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("it panicked").into()))?;
        match running.broken_off.load(Ordering::Relaxed) {
            true => {
                discard(built);
                Ok(None)
            }
            false => Ok(built),
        }
    }

    /// Closes old files that nobody reads any more. That takes a while, for which nobody needs to wait.
    fn let_go(&mut self) {
        let (viewed, free) = mem::take(&mut self.retired)
            .into_iter()
            .partition(Opened::is_viewed);
        self.retired = viewed;
        let free: Vec<Opened> = free;
        if !free.is_empty() {
            let closing = thread::Builder::new().name("compaction".to_owned());
            // Where there is no thread to be had, they have been closed here.
            let _ = closing.spawn(move || drop(free));
        }
    }

    fn cannot(&mut self, why: &dyn std::fmt::Display) {
        if !mem::replace(&mut self.told, true) {
            tracing::warn!(%why, "the store's file cannot be compacted; it stays as it is, and is tried again");
        }
    }
}

impl Writer {
    /// To be called while nothing waits: begins a compaction that is due, and ends one that is ready.
    pub(super) fn compact_when_idle(&mut self) {
        let Some(mut compactor) = self.compactor.take() else {
            return;
        };
        compactor.let_go();
        match compactor.take_built() {
            Ok(Some(built)) => self.adopt(&mut compactor, built),
            Ok(None) => {}
            Err(why) => compactor.cannot(&why),
        }
        if compactor.is_due(Instant::now()) {
            let started = self
                .with_database(Opened::view)
                .map_err(io::Error::other)
                .and_then(|view| compactor.start(view));
            if let Err(why) = started {
                compactor.cannot(&why);
            }
        }
        self.compactor = Some(compactor);
    }

    fn adopt(&mut self, compactor: &mut Compactor, built: Built) {
        let (before, after) = (built.before, built.after);
        let placed = self.put_in_place(compactor, &built);
        #[cfg(test)]
        self.shared.compacted.fetch_add(1, Ordering::SeqCst);
        if let Err(why) = placed {
            compactor.cannot(&why);
            discard(Some(built));
            return;
        }
        compactor.told = false;
        compactor.came_to = Some(built.came_to);
        // Reads go on in the old file until they end, and begin in the new one.
        let old = database_mut(&self.shared).replace(Opened::new(built.database));
        compactor.retired.extend(old);
        compactor.opened_anew();
        compactor.name_unsynced = true;
        if let Err(error) = compactor.name_is_on_disk() {
            tracing::error!(%error, "the store's new name cannot be written to disk; nothing is written before it is");
        }
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.compacted();
        }
        tracing::info!(before, after, "the store's file was compacted");
    }

    fn put_in_place(&self, compactor: &Compactor, built: &Built) -> Result<(), String> {
        let said = |error: redb::Error| error.to_string();
        let is = self
            .with_database(|opened| Ok(meta::read(opened)))
            .map_err(|e| e.to_string())?
            .map_err(said)?;
        if meta::read(&built.database).map_err(said)? != is {
            return Err("the store has changed meanwhile".to_owned());
        }
        let folder = compactor.path.parent().ok_or("the store has no folder")?;
        let _alone = alone_in(folder, &compactor.path).map_err(|e| e.to_string())?;
        if compactor.ours.is_none() || identity(&compactor.path) != compactor.ours {
            return Err("another file stands in the place of the store's".to_owned());
        }
        fs::rename(&built.path, &compactor.path).map_err(|e| e.to_string())
    }
}

/// The name of the file while it is built.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("compacting")
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    (found.is_file() && found.nlink() == 1).then(|| (found.dev(), found.ino()))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn discard(built: Option<Built>) {
    if let Some(Built { database, path, .. }) = built {
        drop(database);
        let _ = fs::remove_file(path);
    }
}

fn engine(error: impl Into<redb::Error>) -> CopyError {
    failed(error.into().into())
}

/// Builds the file beside the store, where that is worth it and nobody breaks it off.
fn build(
    view: &View,
    path: &Path,
    came_to: Option<CameTo>,
    broken_off: &AtomicBool,
) -> Result<Option<Built>, CopyError> {
    let before = fs::metadata(path)?.len();
    let needed = needed(view)?;
    if !is_roomy(before, needed, came_to) || broken_off.load(Ordering::Relaxed) {
        return Ok(None);
    }
    has_room(path, needed)?;
    let built = beside(path);
    let whole = write(view, &built, broken_off);
    let database = match whole {
        Ok(Some(database)) => database,
        ended => {
            let _ = fs::remove_file(&built);
            return ended.map(|_| None);
        }
    };
    let after = fs::metadata(&built)?.len();
    Ok(Some(Built {
        database,
        path: built,
        before,
        after,
        came_to: CameTo {
            needed,
            file: after,
        },
    }))
}

fn write(view: &View, path: &Path, broken_off: &AtomicBool) -> Result<Option<Database>, CopyError> {
    let file = FileBackend::new(empty(path)?).map_err(engine)?;
    let mut database = engine::builder(false)
        .create_with_backend(file)
        .map_err(engine)?;
    if !fill(view, &database, broken_off)? {
        return Ok(None);
    }
    // Nobody else has this one yet, so the engine may move what stands behind gaps. When it is closed, it is cut.
    database.compact().map_err(engine)?;
    database.close().map_err(engine)?;
    let database = opener(path)(true).map_err(engine)?;
    File::open(path)?.sync_all()?;
    Ok(Some(database))
}

/// Bytes of all rows, with what finds them.
fn needed(view: &ReadTransaction) -> Result<u64, CopyError> {
    let mut needed = 0;
    for table in view.list_tables().map_err(engine)? {
        let table = view.open_untyped_table(table).map_err(engine)?;
        let stats = table.stats().map_err(engine)?;
        needed += stats.stored_bytes() + stats.metadata_bytes();
    }
    Ok(needed)
}

/// Twice the room that is needed, so that others do not meet a full disk because of us.
fn has_room(path: &Path, needed: u64) -> io::Result<()> {
    let disk = rustix::fs::statvfs(path)?;
    match disk.f_bavail.saturating_mul(disk.f_frsize) / 2 >= needed {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("it needs {needed} bytes of a disk that has too little left"),
        )),
    }
}

/// Copies all rows. False where it was broken off.
pub(super) fn fill(
    view: &ReadTransaction,
    database: &Database,
    broken_off: &AtomicBool,
) -> Result<bool, CopyError> {
    let mut filler = Filler::new(database)?;
    for table in view.list_tables().map_err(engine)? {
        if NOT_COPIED.contains(&table.name()) {
            continue;
        }
        filler.take(Entry::Table(table.name().to_owned()))?;
        let rows = view
            .open_table(Definition::new(table.name()))
            .map_err(engine)?;
        for row in rows.iter().map_err(engine)? {
            if broken_off.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let (key, value) = row.map_err(engine)?;
            filler.take(Entry::Row(key.value().to_vec(), value.value().to_vec()))?;
        }
    }
    filler.finish()?;
    // Last, so that a file that lacks rows does not say that it is a store.
    let from = view.open_table(META).map_err(engine)?;
    let transaction = engine::begin(database).map_err(failed)?;
    {
        let mut into = transaction.open_table(META).map_err(engine)?;
        for row in from.iter().map_err(engine)? {
            let (name, value) = row.map_err(engine)?;
            into.insert(name.value(), value.value()).map_err(engine)?;
        }
    }
    engine::commit(transaction).map_err(failed)?;
    Ok(true)
}
