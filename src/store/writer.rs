//! The store itself: many readers, one writer.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use redb::Database;
use tokio::sync::{Notify, oneshot};

use crate::base::{Entropy, Failure, Timestamp};
use crate::crypto::Sealer;

use super::engine::{self, Batch, EngineError, Opener, Snapshot};
use super::open::read_meta;
use super::tx::{ApplyError, Read, SnapshotReader, Tx, engine_failure, storage_unavailable};

/// Transactions that may wait for the writer; one more is refused with 503.
const QUEUE: usize = 8192;
/// Transactions that share one commit at the most.
const BATCH: usize = 512;
/// How often a store that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Rows that one transaction of the sweep removes.
const SWEEP: usize = 256;

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
}

struct Shared {
    /// Empty while the file is being opened anew, and after the end.
    database: RwLock<Option<Database>>,
    sealer: Arc<Sealer>,
    entropy: Arc<dyn Entropy>,
    /// Why nothing can be written; `None` while all is well.
    trouble: Mutex<Option<String>>,
    watchers: Mutex<BTreeMap<&'static str, Arc<Notify>>>,
}

enum Message {
    Work(Box<dyn Job>),
    Stop(oneshot::Sender<()>),
}

/// A transaction that waits, with the way back to whoever asked for it.
trait Job: Send {
    /// Runs the closure; true where its changes are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers. With `Err`, whatever the closure said did not happen.
    fn answer(self: Box<Self>, committed: Result<(), Failure>);
}

struct Work<T, F> {
    work: F,
    result: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: Fn(&mut Tx<'_>) -> Result<T, Failure> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)))
            .unwrap_or_else(|panic| Err(panicked(&*panic)));
        self.result.insert(result).is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), Failure>) {
        let Work { result, reply, .. } = *self;
        let result = committed.and_then(|()| result.unwrap_or_else(|| Err(storage_unavailable())));
        // Whoever asked may have gone away; what was committed stays.
        let _ = reply.send(result);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str));
    Failure::internal(format!(
        "panic in a transaction: {}",
        said.unwrap_or("no message")
    ))
}

impl Store {
    pub(super) fn start(
        database: Database,
        opener: Opener,
        identity: Vec<u8>,
        sealer: Arc<Sealer>,
        entropy: Arc<dyn Entropy>,
    ) -> std::io::Result<Store> {
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(database)),
            sealer,
            entropy,
            trouble: Mutex::default(),
            watchers: Mutex::default(),
        });
        let (queue, waiting) = sync_channel(QUEUE);
        let writer = Writer {
            shared: shared.clone(),
            opener,
            identity,
        };
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&waiting))?;
        Ok(Store { shared, queue })
    }

    /// Runs `work` on a snapshot of what is committed.
    ///
    /// # Errors
    /// Those of `work`; `unavailable` while the file cannot be read.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&dyn Read) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let snapshot = {
            let database = self
                .shared
                .database
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            let database = database.as_ref().ok_or_else(storage_unavailable)?;
            Snapshot::take(database).map_err(engine_failure)?
        };
        work(&SnapshotReader {
            snapshot: &snapshot,
            sealer: &self.shared.sealer,
        })
    }

    /// Runs `work` as one transaction. When this answers `Ok`, what was written is on disk; when it
    /// answers `Err`, nothing was written (but after a failed commit, where the disk alone knows).
    ///
    /// `work` may be run again by an engine that resolves conflicts, so it must do nothing but
    /// read and write through its argument. It must not wait for anything. Refusals that shall be
    /// remembered (a wrong code, with its tally) are part of an `Ok`: an `Err` rolls back.
    ///
    /// # Errors
    /// Those of `work`; `unavailable` where the commit failed or too many wait.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work {
            work,
            result: None,
            reply,
        });
        self.queue
            .try_send(Message::Work(job))
            .map_err(|refused| match refused {
                TrySendError::Full(_) => {
                    storage_unavailable().because("too many transactions wait for the disk")
                }
                TrySendError::Disconnected(_) => {
                    storage_unavailable().because("the store has ended")
                }
            })?;
        answer
            .await
            .map_err(|_| storage_unavailable().because("the store ended"))?
    }

    /// The keys under which the contents are sealed, people are named and codes are hashed.
    pub fn sealer(&self) -> &Sealer {
        &self.shared.sealer
    }

    /// Removes all rows whose time was up at `now`. Gives how many transactions it took.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, Failure> {
        let mut rounds = 1;
        while self.write(move |tx| tx.sweep(now, SWEEP)).await? {
            rounds += 1;
        }
        Ok(rounds)
    }

    /// Tells of every commit that changed `table`. A commit between two waits is not lost.
    pub fn watch(&self, table: &'static str) -> Arc<Notify> {
        self.shared
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(table)
            .or_default()
            .clone()
    }

    /// Whether the last commit succeeded.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    pub fn health(&self) -> Result<(), String> {
        match &*self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
        {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// Commits what waits, closes the file and releases its lock. Later calls are refused.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        let mut message = Message::Stop(reply);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            message = back;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // An error means that the writer has ended already.
        let _ = closed.await;
    }
}

/// What became of each job, and which tables changed.
struct Committed {
    settled: Vec<Result<(), Failure>>,
    changed: BTreeSet<String>,
}

struct Writer {
    shared: Arc<Shared>,
    opener: Opener,
    /// The wrapped key ring of the file that was opened first: another file is not ours.
    identity: Vec<u8>,
}

impl Writer {
    fn run(&self, waiting: &Receiver<Message>) {
        loop {
            let first = match waiting.recv_timeout(RETRY) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut stop = None;
            let mut jobs = Vec::new();
            for message in first.into_iter().chain(waiting.try_iter().take(BATCH - 1)) {
                match message {
                    Message::Work(job) => jobs.push(job),
                    Message::Stop(reply) => stop = Some(reply),
                }
            }
            if !jobs.is_empty() || self.in_trouble() {
                self.serve(jobs);
            }
            if let Some(reply) = stop {
                self.end();
                let _ = reply.send(());
                return;
            }
        }
        self.end();
    }

    fn end(&self) {
        let database = self.database_mut().take();
        close(database);
    }

    fn in_trouble(&self) -> bool {
        self.shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Runs and commits a batch. In trouble, the disk must first take a try of ours: changes that
    /// happen to be small enough would pass on a full one, and readiness would come and go.
    fn serve(&self, mut jobs: Vec<Box<dyn Job>>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if self.in_trouble() {
                self.with_database(engine::probe)?;
                self.set_trouble(None);
            }
            self.commit(&mut jobs)
        }))
        .unwrap_or_else(|panic| Err(EngineError::Storage(format!("{:?}", panicked(&*panic)))));
        match outcome {
            Ok(Committed { settled, changed }) => {
                for (job, committed) in jobs.into_iter().zip(settled) {
                    job.answer(committed);
                }
                let watchers = self
                    .shared
                    .watchers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                for (_, watcher) in watchers
                    .iter()
                    .filter(|(table, _)| changed.contains(**table))
                {
                    watcher.notify_one();
                }
            }
            Err(error) => {
                let why = error.to_string();
                let first = !self.in_trouble();
                self.set_trouble(Some(why.clone()));
                for job in jobs {
                    job.answer(Err(storage_unavailable().because(why.clone())));
                }
                self.reopen(first);
            }
        }
    }

    fn with_database<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let database = self
            .shared
            .database
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match database.as_ref() {
            Some(database) => work(database),
            None => Err(EngineError::Storage("the file is not open".to_owned())),
        }
    }

    fn commit(&self, jobs: &mut [Box<dyn Job>]) -> Result<Committed, EngineError> {
        self.with_database(|database| self.commit_to(database, jobs))
    }

    fn commit_to(
        &self,
        database: &Database,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<Committed, EngineError> {
        let transaction = engine::begin(database)?;
        let mut settled = Vec::with_capacity(jobs.len());
        let mut changed = BTreeSet::new();
        {
            let batch = Batch::new(&transaction);
            for job in jobs.iter_mut() {
                let mut tx = Tx::new(&batch, &self.shared.sealer);
                let committed = match job.run(&mut tx) {
                    true if !tx.is_unchanged() => match tx.apply(&*self.shared.entropy) {
                        Ok(tables) => {
                            changed.extend(tables);
                            Ok(())
                        }
                        Err(ApplyError::Unsealed(failure)) => Err(failure),
                        Err(ApplyError::Engine(error)) => return Err(error),
                    },
                    _ => Ok(()),
                };
                settled.push(committed);
            }
        }
        if changed.is_empty() {
            engine::abort(transaction)?;
        } else {
            engine::commit(transaction)?;
        }
        Ok(Committed { settled, changed })
    }

    fn set_trouble(&self, why: Option<String>) {
        let mut trouble = self
            .shared
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (&*trouble, &why) {
            (None, Some(why)) => {
                tracing::error!(%why, "the store cannot be written; trying again until it can")
            }
            (Some(_), None) => tracing::info!("the store can be written again"),
            _ => {}
        }
        *trouble = why;
    }

    /// The engine's handle is of no use after an I/O error: drop it and open the file anew. The whole
    /// file is checked once, when trouble begins; meanwhile readers are told at once that there is
    /// nothing to read. Each further try opens it without, in a moment that readers wait for.
    fn reopen(&self, first: bool) {
        let mut database = self.database_mut();
        close(database.take());
        if first {
            drop(database);
            let opened = self.open_again(true);
            database = self.database_mut();
            *database = opened;
        } else {
            *database = self.open_again(false);
        }
        drop(database);
        thread::sleep(Duration::from_millis(20));
    }

    fn open_again(&self, thorough: bool) -> Option<Database> {
        let opened = catch_unwind(AssertUnwindSafe(|| self.open_ours(thorough)))
            .unwrap_or_else(|panic| Err(format!("{:?}", panicked(&*panic))));
        opened
            .inspect_err(|why| {
                tracing::error!(%why, "the store cannot be opened again");
                self.set_trouble(Some(why.clone()));
            })
            .ok()
    }

    fn open_ours(&self, thorough: bool) -> Result<Database, String> {
        // The thorough check writes, which a full disk refuses; reading goes on without it, as every
        // value carries a tag of its own.
        let opened = match (self.opener)(thorough) {
            Err(refused) if thorough && engine::is_io(&refused) => (self.opener)(false),
            opened => opened,
        }
        .map_err(|refused| refused.to_string())?;
        match read_meta(&opened) {
            Ok((_, ring)) if ring == self.identity => Ok(opened),
            Ok(_) => Err("another store stands in the place of ours".to_owned()),
            Err(why) => Err(why.to_string()),
        }
    }

    fn database_mut(&self) -> RwLockWriteGuard<'_, Option<Database>> {
        self.shared
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Releases the file at once, also where a reader still holds a snapshot.
fn close(database: Option<Database>) {
    if let Some(Err(refused)) = database.map(Database::close) {
        tracing::debug!(%refused, "the store's handle was closed after an error");
    }
}
